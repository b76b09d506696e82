"""Codes of every row from the cluster: workers read and encode parts, and hand their codes on in the order of the rows.

What `vqdoctor encode --engine ray` writes is written by the process that was started: the same file, byte for byte, as of the
local engine, whichever worker is done first and whichever is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ray

from vqdoctor.checkpoint import open_source
from vqdoctor.engines import CodedPart, code_part
from vqdoctor.model import Lookup
from vqdoctor.samples import Part, Rows, part_rows
from vqdoctor_ray.cluster import RETRIES, answer, candid, explained, in_order, join_cluster
from vqdoctor_ray.counting import searcher_of


def encode_rows(rows: Rows, lookup: Lookup, *, progress: Callable[[int], None] = lambda n: None) -> Iterator[CodedPart]:
    """See :func:`vqdoctor.engines.encode_rows`; progress is told of a part at a time.

    Raises:
        InputError, SampleError: as there, whoever found it. UsageError: no cluster. ClusterError: it could not do the work.
    """
    join_cluster()
    put = ray.put(lookup)
    held: list[Any] = []  # parts that only this process has: what a lost worker was given is still here

    def hand_out(part: Part) -> Any:
        if part.held is None:
            return _code.remote([put], part)
        held.append(ray.put(part))
        return _code.remote([put], held[-1])

    with explained():
        for part, ref in in_order(rows.parts(part_rows(rows.n)), hand_out):
            found: CodedPart = answer(ref)
            progress(part.rows)
            yield found


@ray.remote(num_cpus=1, max_retries=RETRIES)
@candid()
def _code(lookup: list[Any], part: Part) -> CodedPart:
    return code_part(part, searcher_of(lookup[0]), open_source=open_source)

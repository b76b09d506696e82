"""An engine for vqdoctor that finds nearest codes on a Ray cluster.

Only the search is sent away, because only the search is slow. The rows are counted where the command runs, by the code that counts
them without a cluster: no partial results are merged, so none can be merged wrongly, and a block that is done twice, because its
worker was lost, is counted once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import ray

from vqdoctor.engines import Engine
from vqdoctor.engines import measure_rows as measure_here
from vqdoctor.model import Lookup
from vqdoctor.nearest import Encoded, Searcher

UNDER_WAY = 2
"""Blocks that are under way for each core: one is searched while the next travels."""
RETRIES = 8
"""How often a block is sent again when its worker is lost."""


def encode_there(lookup: Lookup, blocks: Iterable[np.ndarray], temperature: float | None) -> Iterator[tuple[np.ndarray, Encoded]]:
    """Each block with its codes, in order, once. Joins the cluster of ``RAY_ADDRESS``, or starts one on this machine."""
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    most = max(2, UNDER_WAY * int(ray.cluster_resources().get("CPU", 1)))
    held = ray.put(lookup)
    waiting: deque[tuple[np.ndarray, Any]] = deque()
    for block in blocks:
        waiting.append((block, _encode.remote(held, block, temperature)))
        if len(waiting) >= most:
            yield _next(waiting)
    while waiting:
        yield _next(waiting)


def _next(waiting: deque[tuple[np.ndarray, Any]]) -> tuple[np.ndarray, Encoded]:
    block, codes = waiting.popleft()
    return block, ray.get(codes)


@ray.remote(num_cpus=1, max_retries=RETRIES)
def _encode(lookup: Lookup, block: np.ndarray, temperature: float | None) -> Encoded:
    return Searcher(lookup).encode(block, temperature=temperature)


measure_rows: Engine = partial(measure_here, encoding=encode_there)
"""The engine: encodes on the cluster, counts here; see :func:`vqdoctor.engines.measure_rows`."""

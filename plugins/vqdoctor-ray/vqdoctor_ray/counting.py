"""Counting a sample on the cluster: the engine itself.

Three kinds of task, none of which needs more than a part or a piece in memory:

1. *count*: a worker reads a part of the sample, encodes and counts it. Its share (hits, sums, kept rows) comes here; the codes stay
   where they were found.
2. *place*: once the parts before it are counted it is known where in the sample a part stands: from its codes come the batches, and
   its IDs as sorted runs, cut into pieces at the same places for all parts.
3. *merge*: the runs of one piece, of all parts, become the distinct IDs of that piece, and what they say comes here (`ids`).

Shares and runs are joined in the order of the parts by the functions that the local engine joins them with. So counts, IDs, batches
and kept rows are the same bit for bit, and the sums of floats as well; only use under a temperature may differ in its last digits,
which follow the number of threads. A task whose worker is lost is done again; its result has one name and is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import ray

from vqdoctor.checkpoint import open_source
from vqdoctor.engines import Share, Tally, assemble, count_part, join, nothing, shared_out
from vqdoctor.engines.distinct import DistinctRows
from vqdoctor.engines.ids import MEMBER_BYTES, Packing
from vqdoctor.metrics.batches import BatchMeans, BatchRun, batch_run
from vqdoctor.model import Lookup
from vqdoctor.nearest import Searcher
from vqdoctor.samples import Part, Rows
from vqdoctor.samples.spool import Spool
from vqdoctor_ray.cluster import RETRIES, answer, candid, explained, in_order, join_cluster
from vqdoctor_ray.ids import ClusterIds, cut_run

PIECES, MOST_PIECES, PIECE_ROWS = 32, 256, 1 << 25
"""Into how many pieces IDs are cut: as many workers can merge them. More where a piece would have more rows than that."""


def measure_rows(
    rows: Rows,
    lookup: Lookup,
    *,
    rng: np.random.Generator,
    batch: int = 1024,
    keep: int = 16384,
    temperature: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """The engine: see :func:`vqdoctor.engines.measure_rows`.

    Raises:
        InputError, SampleError: as there, whoever found it. UsageError: no cluster. ClusterError: it could not do the work.
    """
    work = shared_out(rows, lookup, keep, rng)
    join_cluster()
    gathered = _Gathered(lookup, batch, temperature, max(PIECES, min(MOST_PIECES, work.rows // PIECE_ROWS)))
    with explained():
        for (part, _), refs in in_order(work.parts, gathered.hand_out):
            gathered.take(*refs)
            if progress is not None:
                progress(part.rows)
        return assemble(
            gathered.share, lookup, work.keep,
            ids=gathered.ids(), batches=gathered.batches(), distinct_rows=gathered.distinct_rows,
        )  # fmt: skip


class _Gathered:
    """What has come back so far, and references to what stays on the cluster."""

    def __init__(self, lookup: Lookup, batch: int, temperature: float | None, pieces: int) -> None:
        self._lookup, self._temperature = ray.put(lookup), temperature
        self._sizes, self._batch = [len(stage.codes) for stage in lookup.stages], batch
        self.share = nothing(self._sizes)
        self._distinct = DistinctRows() if len(self._sizes) > 1 else None
        self._members = _Members(self._sizes) if len(self._sizes) > 1 else None
        self._cut_into, self._bounds = pieces, None  # where IDs are cut into pieces
        self._runs: list[Any] = []  # of batches, by part
        self._pieces: list[list[Any]] = []  # of IDs, by part
        self._held: list[Any] = []  # parts that only this process has: what a lost worker was given is still here

    def hand_out(self, job: tuple[Part, Any]) -> Any:
        """References to the share of a part, its codes and the hashes of its rows."""
        part, drawn = job
        if part.held is not None:
            self._held.append(ray.put(part))
            part = self._held[-1]
        hashing = self._distinct is not None and self._distinct.counting
        return _count.remote([self._lookup], part, drawn, self._temperature, hashing)

    def take(self, share: Any, codes: Any, hashes: Any) -> None:
        """The next part: waits for its share; its codes are only looked at where they are."""
        counted: Share = answer(share)
        missing = -self.share.n % self._batch
        self.share = join(self.share, counted)
        if self._distinct is None or self._members is None:
            self._runs.append(_place.remote(codes, self._sizes, self._batch, missing, None))
            return
        if self._distinct.counting and (found := ray.get(hashes)) is not None:
            self._distinct.add_hashes(found)
        self._members.add(counted.n, codes)
        if self._bounds is None and counted.n:
            self._bounds = _bounds.remote(codes, self._sizes, self._cut_into)
        pieces = self._cut_into if self._bounds is not None else 0  # nothing before the first good row
        run, *runs = _returned(
            _place.options(num_returns=1 + pieces).remote(codes, self._sizes, self._batch, missing, self._bounds)
        )
        self._runs.append(run)
        self._pieces += [runs] if runs else []

    def batches(self) -> list[BatchMeans]:
        """The batches of each level."""
        means = [BatchMeans(size, self._batch) for size in self._sizes]
        for ref in self._runs:
            for level, run in zip(means, ray.get(ref), strict=True):
                level.extend(run)
        return means

    def ids(self) -> ClusterIds | None:
        """The distinct IDs; None for one level."""
        return None if self._members is None else ClusterIds(self._sizes, [*zip(*self._pieces, strict=True)], self._members.keys)

    @property
    def distinct_rows(self) -> int | None:
        """Different rows; None where not counted, or too many."""
        return None if self._distinct is None else self._distinct.finish()


class _Members:
    """The key of every row while they are few, so that the members of groups can be named; as :class:`vqdoctor.engines.IdTable`."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._packing = Packing(sizes)
        self._left = MEMBER_BYTES
        self.keys: Spool | None = Spool(self._packing.dtype)  # in order; None where they are too many

    def add(self, n: int, codes: Any) -> None:
        """The next n rows; a reference to their codes, which come here only while there is room."""
        self._left -= n * self._packing.dtype.itemsize
        if self._left < 0:
            self.keys = None
        if self.keys is not None:
            self.keys.append(self._packing.pack(ray.get(codes)))


def _returned(refs: Any) -> list[Any]:
    """Ray gives one reference bare, several as a list."""
    return refs if isinstance(refs, list) else [refs]


@lru_cache(maxsize=1)
def searcher_of(lookup: Any) -> Searcher:
    """The searcher of this worker, made ready once for all parts that it is given."""
    return Searcher(ray.get(lookup), threads=1)


@ray.remote(num_cpus=1, max_retries=RETRIES, num_returns=3)
@candid(results=3)
def _count(lookup: list[Any], part: Part, drawn: Any, temperature: float | None, hashing: bool) -> tuple[Any, Any, Any]:
    found = count_part(part, searcher_of(lookup[0]), drawn, temperature=temperature, hashing=hashing, open_source=open_source)
    return found.share, found.codes, found.hashes


@ray.remote(num_cpus=1, max_retries=RETRIES)
def _bounds(codes: np.ndarray, sizes: Sequence[int], pieces: int) -> np.ndarray:
    """The first key of each piece but the first: quantiles of one part that has any."""
    keys = np.sort(Packing(sizes).pack(codes))
    return keys[np.arange(1, pieces) * len(keys) // pieces]


@ray.remote(num_cpus=1, max_retries=RETRIES)
def _place(codes: np.ndarray, sizes: Sequence[int], batch: int, missing: int, bounds: np.ndarray | None) -> Any:
    """The batches of a part whose place is known; beside them, given bounds, its IDs as a run for each piece."""
    batches: tuple[BatchRun, ...] = tuple(batch_run(codes[:, level], batch, missing) for level in range(codes.shape[1]))
    if bounds is None:
        return batches
    return batches, *cut_run(Packing(sizes).pack(codes), bounds)

"""The engine that is always there: this process, one pass, a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vqdoctor.engines.assemble import assemble, named_groups, shared_out
from vqdoctor.engines.distinct import DistinctRows
from vqdoctor.engines.share import MOST_LISTED, count_part, join, nothing
from vqdoctor.engines.spill import SpillingIds
from vqdoctor.engines.tally import LevelTally, Tally
from vqdoctor.errors import SampleError
from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.model import Lookup
from vqdoctor.nearest import Searcher
from vqdoctor.samples import Rows

ID_PART = 1 << 18  # distinct IDs handed over at a time


class CodeCounter:
    """Counts codes of all levels: hits, batches and IDs.

    Args:
        sizes: K per level. batch: rows in a batch. spill, source: as for :class:`vqdoctor.engines.spill.SpillingIds`.
    """

    def __init__(self, sizes: Sequence[int], batch: int, *, spill: str | None = None, source: str = "") -> None:
        self.counts = [np.zeros(size, np.int64) for size in sizes]
        self.batches = [BatchMeans(size, batch) for size in sizes]
        self.ids = SpillingIds(sizes, folder=spill, source=source) if len(sizes) > 1 else None
        self.n = 0

    def add(self, codes: np.ndarray) -> None:
        """The next rows, (b, L) integers, each in [0, K_l)."""
        self.n += len(codes)
        for level, (counts, batches) in enumerate(zip(self.counts, self.batches, strict=True)):
            counts += np.bincount(codes[:, level], minlength=len(counts))
            batches.feed(codes[:, level])
        if self.ids is not None:
            self.ids.add(codes)

    def tally(
        self, dropped: int, left_out: Sequence[int], *, merging: Callable[[int], None], progress: Callable[[int], None]
    ) -> Tally:
        """The result. left_out: numbers of all rows that were dropped, ascending, or of the first; merging: see `tally_codes`."""
        ids = None if self.ids is None else self.ids.finish(merging, progress)
        groups = () if ids is None else named_groups(ids, left_out if len(left_out) == dropped else None)
        levels = tuple(LevelTally(counts, batches) for counts, batches in zip(self.counts, self.batches, strict=True))
        return Tally(self.n, dropped, tuple(left_out[:MOST_LISTED]), levels, ids, groups)


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
    """Encodes and counts feature rows in one pass, part by part.

    Args:
        rows: the features. lookup: the quantiser.
        rng: draws the kept rows. keep: how many of them, at most. batch: rows in a batch of usage.batch_*.
        temperature: also the use under softmax(−d²/T).
        progress: told the number of rows done after each block.

    Raises:
        SampleError: the rows do not have the quantiser's width.
    """
    work = shared_out(rows, lookup, keep, rng)
    sizes = [len(stage.codes) for stage in lookup.stages]
    batches = [BatchMeans(size, batch) for size in sizes]
    ids, distinct = (SpillingIds(sizes), DistinctRows()) if len(sizes) > 1 else (None, None)
    searcher = Searcher(lookup)
    share = nothing(sizes)
    for part, drawn in work.parts:
        hashing = distinct is not None and distinct.counting
        found = count_part(part, searcher, drawn, temperature=temperature, hashing=hashing, progress=progress)
        share = join(share, found.share)
        for level, means in enumerate(batches):
            means.feed(found.codes[:, level])
        if ids is not None:
            ids.add(found.codes)
        if distinct is not None and found.hashes is not None:
            distinct.add_hashes(found.hashes)
    return assemble(
        share, lookup, work.keep, batches=batches,
        ids=None if ids is None else ids.finish(), distinct_rows=None if distinct is None else distinct.finish(),
    )  # fmt: skip


def tally_codes(
    blocks: Iterable[np.ndarray],
    sizes: Sequence[int],
    *,
    batch: int = 1024,
    top_suffix: int | None = None,
    path: str | None = None,
    progress: Callable[[int], None] = lambda n: None,
    merging: Callable[[int], None] = lambda n: None,
    spill: str | None = None,
    source: str = "",
) -> Tally:
    """Counts codes that somebody else assigned: `--codes` and semantic IDs.

    Args:
        blocks: (b, L) integers in order; a row with −1 anywhere has no code and is dropped.
        sizes: K per level.
        top_suffix: blocks have one more column, the de-duplication token of each row, −1 where it has none; this is the highest.
        path: the file, for messages.
        progress: told of rows done. merging: told of items that went to disk, before they are merged and `progress` told of them.
        spill: folder for IDs that memory does not hold, gone on with after an interruption; None: a temporary one.
        source: what says that the file is still the same.

    Raises:
        SampleError: a code at or above K, or below −1; or another number of levels than `sizes`.
    """
    counter = CodeCounter(sizes, batch, spill=spill, source=source)
    with_suffix = None if top_suffix is None else SpillingIds([*sizes, top_suffix + 2])
    seen, dropped = 0, 0
    left_out: list[int] = []
    for block in blocks:
        codes = block if with_suffix is None else block[:, :-1]
        _check_codes(codes, sizes, seen, path)
        assigned = (codes >= 0).all(axis=1)
        out = np.flatnonzero(~assigned)
        dropped += len(out)
        left_out += (out[: MOST_LISTED - len(left_out)] + seen).tolist()
        counter.add(codes[assigned])
        if with_suffix is not None:
            with_suffix.add(np.hstack([codes, block[:, -1:] + 1])[assigned])
        seen += len(block)
        progress(len(block))
    tally = counter.tally(dropped, left_out, merging=merging, progress=progress)
    return tally if with_suffix is None else replace(tally, unique_with_suffix=len(with_suffix.finish().keys))


def distinct_ids(blocks: Iterable[np.ndarray], sizes: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The distinct rows of (b, L) blocks, (u, L) int32 in lexicographic order, and how many there are of each (u,), in parts."""
    table = SpillingIds(sizes)
    for block in blocks:
        table.add(block)
    found = table.finish()
    for part in found.runs(size=ID_PART):
        yield found.packing.unpack(found.keys[part]), np.asarray(found.items[part])


def _check_codes(block: np.ndarray, sizes: Sequence[int], seen: int, path: str | None) -> None:
    """Raises SampleError at the first code that no codebook of these sizes has."""
    if block.shape[1] != len(sizes):
        raise SampleError(f"has {block.shape[1]} levels, the quantiser has {len(sizes)}", where=path)
    odd = np.argwhere((block < -1) | (block >= np.asarray(sizes)))
    if len(odd):
        row, level = odd[0]
        what = f"row {seen + row} has code {block[row, level]} at level {level}, whose codebook has {sizes[level]} codes"
        raise SampleError(what, where=path, hint="Codes count from 0; -1 marks a row without one.")

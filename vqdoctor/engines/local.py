"""The engine that is always there: this process, one pass, constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vqdoctor.engines.distinct import DistinctRows
from vqdoctor.engines.ids import DistinctIds, IdGroup
from vqdoctor.engines.spill import SpillingIds
from vqdoctor.engines.tally import Encoding, Kept, LevelTally, Tally
from vqdoctor.errors import SampleError
from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.model import Lookup
from vqdoctor.nearest import Encoded, Searcher
from vqdoctor.samples import Rows
from vqdoctor.samples.reservoir import Reservoir

BLOCK_BYTES = 4 << 20  # of rows at a time
MOST_LISTED = 10_000  # dropped rows whose numbers are kept
ID_PART = 1 << 18  # distinct IDs handed over at a time
KEPT_BYTES = 64 << 20  # of reservoir, whatever the width of a row


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

    def tally(self, dropped: int, left_out: Sequence[int]) -> Tally:
        """The result so far. left_out: numbers of all rows that were dropped, ascending, or of the first of them."""
        ids = None if self.ids is None else self.ids.finish()
        groups = () if ids is None else _named(ids, left_out if len(left_out) == dropped else None)
        levels = tuple(LevelTally(counts, batches) for counts, batches in zip(self.counts, self.batches, strict=True))
        return Tally(self.n, dropped, tuple(left_out[:MOST_LISTED]), levels, ids, groups)


class Moments:
    """Mean and variance of a stream of rows, in float64 about its first row, so that a large common offset costs no digits."""

    def __init__(self) -> None:
        self.n = 0
        self._shift = self._sum = self._squares = np.zeros(0)

    def add(self, rows: np.ndarray) -> None:
        """The next rows, (b, w)."""
        if not self.n and len(rows):
            self._shift = rows[0].astype(np.float64)
            self._sum, self._squares = np.zeros_like(self._shift), np.zeros_like(self._shift)
        self.n += len(rows)
        apart = rows - self._shift
        self._sum += apart.sum(axis=0)
        self._squares += np.einsum("ij,ij->j", apart, apart)

    @property
    def mean(self) -> np.ndarray:
        """(w,) float64."""
        return self._shift + self._sum / self.n

    @property
    def variance(self) -> np.ndarray:
        """(w,) float64, over n."""
        return np.maximum(self._squares / self.n - (self._sum / self.n) ** 2, 0)


def measure_rows(
    rows: Rows,
    lookup: Lookup,
    *,
    rng: np.random.Generator,
    batch: int = 1024,
    keep: int = 16384,
    temperature: float | None = None,
    progress: Callable[[int], None] | None = None,
    encoding: Encoding | None = None,
) -> Tally:
    """Encodes and counts feature rows in one pass.

    Args:
        rows: the features. lookup: the quantiser.
        rng: draws the kept rows. keep: how many of them, at most. batch: rows in a batch of usage.batch_*.
        temperature: also the use under softmax(−d²/T).
        progress: told the number of rows done after each block.
        encoding: where nearest codes are found; None: here.

    Raises:
        SampleError: the rows do not have the quantiser's width.
    """
    if rows.width != lookup.width:
        what = f"has rows of {rows.width} columns, the quantiser takes {lookup.width}"
        raise SampleError(what, where=rows.path, hint="Give the encoder's outputs before quantisation.")
    work = _Pass(lookup, batch, min(keep, max(1, KEPT_BYTES // (4 * rows.width))), rng, temperature)
    blocks = rows.blocks(max(256, BLOCK_BYTES // (4 * rows.width)))
    for block, found in (encoding or encode_here)(lookup, blocks, temperature):
        work.add(block, found, rows.dropped_rows)
        if progress is not None:
            progress(len(block))
    return work.tally(rows)


def encode_here(lookup: Lookup, blocks: Iterable[np.ndarray], temperature: float | None) -> Iterator[tuple[np.ndarray, Encoded]]:
    """The `Encoding` of this process: each block with its codes."""
    searcher = Searcher(lookup)
    for block in blocks:
        yield block, searcher.encode(block, temperature=temperature)


class _Pass:
    """Everything that one pass over feature rows accumulates."""

    def __init__(self, lookup: Lookup, batch: int, keep: int, rng: np.random.Generator, temperature: float | None) -> None:
        self._searcher = Searcher(lookup)
        self._temperature = temperature
        self._counter = CodeCounter([len(stage.codes) for stage in lookup.stages], batch)
        self._moments = Moments()
        self._residuals = np.zeros(len(lookup.stages))
        self._soft = [np.zeros(len(stage.codes)) for stage in lookup.stages]
        self._reservoir = Reservoir(keep, rng)
        self._distinct = DistinctRows() if len(lookup.stages) > 1 else None
        self._seen = 0
        self._lost: list[int] = []

    def add(self, block: np.ndarray, found: Encoded, dropped_rows: Sequence[int]) -> None:
        """The next good rows and their codes; `dropped_rows`: numbers of the bad ones up to there, or further."""
        assigned: np.ndarray = found.codes.min(axis=1) >= 0
        if not assigned.all():
            self._lost += row_numbers(self._seen + np.flatnonzero(~assigned), dropped_rows).tolist()
            block, found = block[assigned], _only(found, assigned)
        self._seen += len(assigned)
        self._counter.add(found.codes)
        self._moments.add(self._searcher.enter(block))
        self._residuals += found.residuals.sum(axis=0, dtype=np.float64)
        self._reservoir.add(block, found.codes, found.distances)
        if self._distinct is not None:
            self._distinct.add(block)
        for total, shares in zip(self._soft, found.soft or (), strict=False):
            total += shares

    def tally(self, rows: Rows) -> Tally:
        """The result."""
        left_out = sorted([*rows.dropped_rows, *self._lost])
        tally = self._counter.tally(rows.dropped + len(self._lost), left_out)
        if not tally.n:
            return tally
        soft = self._soft if self._temperature is not None else [None] * len(self._soft)
        residuals = self._residuals / tally.n
        levels = zip(tally.levels, residuals, soft, strict=True)
        numbers, (kept, codes, distances) = self._reservoir.finish()
        return replace(
            tally,
            levels=tuple(
                replace(level, residual=float(residual), soft=None if shares is None else shares / tally.n)
                for level, residual, shares in levels
            ),
            distinct_rows=None if self._distinct is None else self._distinct.finish(),
            mean=self._moments.mean,
            variance=self._moments.variance,
            energy=float(self._moments.variance.sum()),
            squared_error=float(residuals.sum() if self._searcher.lookup.structure == "product" else residuals[-1]),
            kept=Kept(row_numbers(numbers, left_out), kept, codes, distances),
        )


def tally_codes(
    blocks: Iterable[np.ndarray],
    sizes: Sequence[int],
    *,
    batch: int = 1024,
    top_suffix: int | None = None,
    path: str | None = None,
    progress: Callable[[int], None] | None = None,
    spill: str | None = None,
    source: str = "",
) -> Tally:
    """Counts codes that somebody else assigned: `--codes` and semantic IDs.

    Args:
        blocks: (b, L) integers in order; a row with −1 anywhere has no code and is dropped.
        sizes: K per level.
        top_suffix: blocks have one more column, the de-duplication token of each row, −1 where it has none; this is the highest.
        path: the file, for messages.
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
        if progress is not None:
            progress(len(block))
    tally = counter.tally(dropped, left_out)
    return tally if with_suffix is None else replace(tally, unique_with_suffix=len(with_suffix.finish().keys))


def distinct_ids(blocks: Iterable[np.ndarray], sizes: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The distinct rows of (b, L) blocks, (u, L) int32 in lexicographic order, and how many there are of each (u,), in parts."""
    table = SpillingIds(sizes)
    for block in blocks:
        table.add(block)
    found = table.finish()
    for start in range(0, len(found.keys), ID_PART):
        part = slice(start, start + ID_PART)
        yield found.packing.unpack(found.keys[part]), np.asarray(found.items[part])


def row_numbers(indices: np.ndarray, left_out: Sequence[int]) -> np.ndarray:
    """Numbers in the file of rows whose place among the rows that were not left out is `indices`; `left_out` ascending."""
    gaps = np.asarray(left_out, np.int64) - np.arange(len(left_out))
    return indices + np.searchsorted(gaps, indices, side="right")


def _named(ids: DistinctIds, left_out: Sequence[int] | None) -> tuple[IdGroup, ...]:
    """The largest groups, rows numbered as in the file; without members where it is not known which rows were left out."""
    groups = ids.largest(members=10 if left_out is not None else 0)
    return tuple(
        replace(group, rows=tuple(map(int, row_numbers(np.array(group.rows, np.int64), left_out or ())))) for group in groups
    )


def _only(found: Encoded, rows: np.ndarray) -> Encoded:
    return replace(found, codes=found.codes[rows], distances=found.distances[rows], residuals=found.residuals[rows])


def _check_codes(block: np.ndarray, sizes: Sequence[int], seen: int, path: str | None) -> None:
    """Raises SampleError at the first code that no codebook of these sizes has."""
    if block.shape[1] != len(sizes):
        raise SampleError(f"has {block.shape[1]} levels, the quantiser has {len(sizes)}", where=path)
    odd = np.argwhere((block < -1) | (block >= np.asarray(sizes)))
    if len(odd):
        row, level = odd[0]
        what = f"row {seen + row} has code {block[row, level]} at level {level}, whose codebook has {sizes[level]} codes"
        raise SampleError(what, where=path, hint="Codes count from 0; -1 marks a row without one.")

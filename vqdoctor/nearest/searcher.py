"""Rows through a whole quantiser: which code at each level, and what is left after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest.book import NO_DIRECTION, Book, energies
from vqdoctor.nearest.fused import Scans, compiled_for
from vqdoctor.nearest.tiles import WORTH_THREADS, Desk, over_tiles, rows_per_tile, usable_threads

Choose = Callable[[int, np.ndarray], np.ndarray]  # (level, what is looked up (b, d)) → codes (b,)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Codes of n rows at L levels (or groups).

    Attributes:
        codes: (n, L) int32; −1 where a row has no nearest code (not finite; for "cosine" no direction).
        distances: (n, L) float32, squared distance between what was looked up and the chosen code, in the space of the lookup:
            ‖z−c‖², for "cosine" 2−2·cos; NaN where the code is −1.
        residuals: (n, L) float32, squared norm of what is left after each level; of a product, of that group's columns.
        reconstruction: (n, width) float32, what the codes stand for in the quantiser's space, or None where not asked for.
        soft: per level (K,) float64, Σ over rows of softmax(−d²/T), or None where not asked for.
    """

    codes: np.ndarray
    distances: np.ndarray
    residuals: np.ndarray
    reconstruction: np.ndarray | None = None
    soft: tuple[np.ndarray, ...] | None = None


class _Step(NamedTuple):
    """One level of a tile: what was looked up (b, d), the codes (b,), what they stand for (b, w) and what is left of it (b, w).

    `scale`: the row norms that `normalise_residuals` has divided out so far, (b, 1), or 1.
    """

    looked_up: np.ndarray
    codes: np.ndarray
    value: np.ndarray
    rest: np.ndarray
    scale: np.ndarray | float


class Searcher:
    """A quantiser made ready for search once, for any number of blocks.

    Working memory is about 24 MiB for any number of rows, beside the prepared codes. Several threads may search at once.

    Args:
        lookup: the quantiser as arrays.
        threads: how many to use; None: one per core.

    Example:
        >>> stage = Stage(np.array([[0.0, 0.0], [1.0, 1.0]], np.float32))
        >>> Searcher(Lookup((stage,), "single", "l2", width=2)).encode(np.array([[0.9, 1.2]], np.float32)).codes
        array([[1]], dtype=int32)
    """

    def __init__(self, lookup: Lookup, *, threads: int | None = None) -> None:
        self.lookup = lookup
        self.books = tuple(Book(stage.codes, lookup.metric) for stage in lookup.stages)
        self.columns = _columns(lookup)
        self.width = self.columns[-1][1]
        self._threads = threads or usable_threads()
        self._desks: list[Desk] = []

    def enter(self, rows: np.ndarray) -> np.ndarray:
        """Feature rows (n, lookup.width) in the quantiser's space (n, width): its columns, projected (a view if none)."""
        if rows.ndim != 2 or rows.shape[1] != self.lookup.width:
            raise ValueError(f"rows of shape {rows.shape} for a quantiser of width {self.lookup.width}")
        if self.lookup.columns is not None:
            rows = rows[:, slice(*self.lookup.columns)]
        return rows if self.lookup.project_in is None else self.lookup.project_in(rows)

    def encode(self, rows: np.ndarray, *, reconstruct: bool = False, temperature: float | None = None) -> Encoded:
        """Codes of feature rows.

        Args:
            rows: (n, lookup.width) float32.
            reconstruct: also what the codes stand for.
            temperature: also the use of each code under softmax(−d²/T).
        """
        count, levels = len(rows), len(self.books)
        found = Encoded(
            codes=np.empty((count, levels), np.int32),
            distances=np.empty((count, levels), np.float32),
            residuals=np.empty((count, levels), np.float32),
            reconstruction=np.zeros((count, self.width), np.float32) if reconstruct else None,
            soft=None if temperature is None else tuple(np.zeros(book.size) for book in self.books),
        )
        adding = Lock()

        scans = self._scans(count)

        def work(part: slice, desk: Desk) -> None:
            steps = self._walk(self.enter(rows[part]), lambda level, z: self.books[level].search(z, desk, scans), desk)
            for level, step in enumerate(steps):
                self._note(found, part, level, step)
                if found.soft is not None and temperature is not None:
                    shares = self.books[level].soften(step.looked_up, step.codes, temperature, desk)
                    with adding:
                        found.soft[level][:] += shares

        threads = self._threads if count * sum(book.codes.size for book in self.books) >= WORTH_THREADS else 1
        tile = rows_per_tile(count, max(book.width for book in self.books), threads)
        over_tiles(count, tile, threads, work, self._desks)
        return found

    def _scans(self, count: int) -> Scans | None:
        """What scans the scores of `count` rows where that pays."""
        scores = count * sum(book.size for book in self.books)
        return compiled_for(scores, max(book.width for book in self.books))

    def inputs(self, rows: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """What each level looked up, (n, d) float32 a level, for feature rows (n, lookup.width) whose codes (n, L) are known."""
        steps = self._walk(self.enter(rows), lambda level, _: codes[:, level], Desk())
        return (np.array(step.looked_up) for step in steps)

    def _walk(self, inner: np.ndarray, choose: Choose, desk: Desk) -> Iterator[_Step]:
        """Takes rows (b, width) through the levels. The arrays of a step are overwritten by the next but one."""
        left, scale = inner, 1.0
        for level, (stage, (start, stop)) in enumerate(zip(self.lookup.stages, self.columns, strict=True)):
            given = left[:, start:stop]
            if self.lookup.normalise_residuals:
                norm = np.sqrt(energies(given))[:, None]
                given = given / np.maximum(norm, NO_DIRECTION)
                scale = scale * norm
            looked_up = given if stage.project_in is None else stage.project_in(given)
            codes = choose(level, looked_up)
            value = _value(stage, codes, desk)
            rest = np.subtract(given, value, out=desk.take(f"rest{level % 2}", *given.shape))
            yield _Step(looked_up, codes, value, rest, scale)
            if self.lookup.structure != "product":
                left = rest

    def _note(self, found: Encoded, part: slice, level: int, step: _Step) -> None:
        """Writes one step of a tile into the result."""
        found.codes[part, level] = step.codes
        energy = energies(step.rest)
        found.residuals[part, level] = energy * np.square(np.ravel(step.scale))
        stage = self.lookup.stages[level]
        plain = stage.values is None and stage.project_in is None and stage.project_out is None and self.lookup.metric != "cosine"
        distances = energy if plain else self._distances(step, level)
        found.distances[part, level] = distances
        if step.codes.min(initial=0) < 0:
            found.distances[part, level][step.codes < 0] = np.nan
        if found.reconstruction is not None:
            found.reconstruction[part, slice(*self.columns[level])] += step.value * step.scale

    def _distances(self, step: _Step, level: int) -> np.ndarray:
        """Squared distances (b,) between what was looked up and its code; between directions where the metric is cosine."""
        rows, codes = step.looked_up, self.books[level].codes[step.codes]
        if self.lookup.metric == "cosine":
            rows = rows / np.sqrt(energies(rows))[:, None]
            codes = codes / np.sqrt(energies(codes))[:, None]
        return energies(rows - codes)


def encode(rows: np.ndarray, lookup: Lookup, **options: Any) -> Encoded:
    """Codes of feature rows (n, lookup.width) float32 through `lookup`; options as for :meth:`Searcher.encode`."""
    return Searcher(lookup).encode(rows, **options)


def assign(rows: np.ndarray, codes: np.ndarray, metric: str = "l2") -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `codes` (K, D) for each of `rows` (n, D).

    Returns:
        indices (n,) int32, −1 where there is none, and squared distances (n,) float32 as :attr:`Encoded.distances`.
    """
    found = Searcher(Lookup((Stage(codes),), "single", metric, width=codes.shape[1])).encode(rows)
    return found.codes[:, 0], found.distances[:, 0]


def _columns(lookup: Lookup) -> tuple[tuple[int, int], ...]:
    """Which columns of the quantiser's space each stage is given: consecutive ones of a product, else all."""
    widths = [(stage.codes if stage.project_in is None else stage.project_in.weight).shape[1] for stage in lookup.stages]
    if lookup.structure == "product":
        return tuple(pairwise(accumulate(widths, initial=0)))
    if len(set(widths)) != 1:
        raise ValueError(f"levels of one residual quantiser differ in width: {widths}")
    return ((0, widths[0]),) * len(widths)


def _value(stage: Stage, codes: np.ndarray, desk: Desk) -> np.ndarray:
    """What `codes` (b,) stand for in the space of the residual, (b, w); 0 for −1, so that nothing is taken away."""
    table = stage.codes if stage.values is None else stage.values
    value = np.take(table, codes, axis=0, out=desk.take("value", len(codes), table.shape[1]), mode="clip")
    if stage.project_out is not None:
        value = stage.project_out(value)
    if codes.min(initial=0) < 0:
        value[codes < 0] = 0
    return value

"""Lows and highs of a growing column at coarser and coarser steps, so that drawing a million points costs what drawing a few does.

Level k holds the minimum and maximum of each whole block of 8^k values. A chart takes them from the coarsest level that is still
finer than its own columns; the ends of a range, which no block fits, come from the values themselves: no spike is lost or invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

FACTOR = 8  # a power of two


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """A range of a series as a chart's columns: step of the first point, lowest and highest value of each, (m,) float64.

    starts: (s,) int64, the column at which each segment of the series begins; a line is not drawn across.
    """

    steps: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    starts: np.ndarray


class Pyramid:
    """Blocks of one column, made as they are asked for."""

    def __init__(self) -> None:
        self._levels: list[tuple[np.ndarray, np.ndarray]] = []

    def extremes(self, values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lows and highs of values[edges[i]:edges[i + 1]], and where each of these begins.

        Args:
            values: the column, (n,) float64; it may only have grown since the last call.
            edges: (m + 1,) int64, ascending, m ≥ 1. Inner edges move down to the next block border, so that empty ranges drop out.

        Returns:
            Three (k,) arrays, k ≤ m + 2.
        """
        first, last = int(edges[0]), int(edges[-1])
        depth = self._depth((last - first) // max(1, len(edges) - 1))
        block = FACTOR**depth
        begin, end = -(-first // block), last // block
        if depth == 0 or begin >= end:
            return _reduced(values, values, np.unique(edges[edges < last]), last)
        lows, highs = self._level(values, depth)
        inner = np.unique(np.clip(edges[:-1] // block, begin, end - 1))
        inner = inner if inner[0] == begin else np.concatenate([[begin], inner])
        middle = _reduced(lows, highs, inner, end)
        parts = [(*middle[:2], inner * block)]
        for start, stop, at in ((first, begin * block, 0), (end * block, last, len(parts))):
            if start < stop:
                part = values[start:stop]
                parts.insert(at, (part.min(keepdims=True), part.max(keepdims=True), np.array([start])))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]

    def bins(self, steps: np.ndarray, values: np.ndarray, starts: Sequence[int], first: float, last: float, width: int) -> Bins:
        """The points from step `first` to `last` in about `width` columns of equal steps.

        Args:
            steps, values: (n,) float64, see `extremes`. starts: where each segment of steps that never fall begins.
        """
        grid = np.linspace(first, last, width + 1)
        parts, borders, found = [], [], 0
        for begin, end in pairwise([*starts, len(steps)]):
            segment = steps[begin:end]
            edges = begin + np.searchsorted(segment, grid, side="left")
            edges[-1] = begin + np.searchsorted(segment, last, side="right")
            if edges[0] < edges[-1]:
                lows, highs, places = self.extremes(values, edges)
                parts.append((steps[places], lows, highs))
                borders.append(found)
                found += len(places)
        if not parts:
            return Bins(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64))
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Bins(joined[0], joined[1], joined[2], np.array(borders, dtype=np.int64))

    def clear(self) -> None:
        """Forget all blocks: the column was thinned."""
        self._levels.clear()

    def _depth(self, points: int) -> int:
        """The coarsest level with at least four blocks in so many points."""
        depth = 0
        while 4 * FACTOR ** (depth + 1) <= points:
            depth += 1
        return depth

    def _level(self, values: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Level `depth` ≥ 1, grown to what `values` now holds."""
        lows = highs = values
        for level in range(depth):
            if level == len(self._levels):
                self._levels.append((np.empty(0), np.empty(0)))
            old = self._levels[level]
            new = slice(len(old[0]) * FACTOR, len(lows) // FACTOR * FACTOR)
            if new.start < new.stop:
                old = self._levels[level] = (
                    np.concatenate([old[0], _blocks(lows[new], np.minimum)]),
                    np.concatenate([old[1], _blocks(highs[new], np.maximum)]),
                )
            lows, highs = old
        return lows, highs


def _blocks(values: np.ndarray, which: np.ufunc) -> np.ndarray:
    """The lowest or the highest of each whole block, by rounds of pairs: a sixth of the cost of reducing rows as short as these."""
    for _ in range(FACTOR.bit_length() - 1):
        values = which(values[0::2], values[1::2])
    return values


def _reduced(lows: np.ndarray, highs: np.ndarray, starts: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lows and highs between each of `starts` and the next, the last until `end`."""
    return np.minimum.reduceat(lows[:end], starts), np.maximum.reduceat(highs[:end], starts), starts

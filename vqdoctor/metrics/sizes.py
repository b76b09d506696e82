"""How many groups have each size: all that entropy, collisions and the shape of a tree ask of groups, in memory that does not grow
with them.

Sizes repeat (most groups of equal IDs hold one item), so a billion of them are a histogram of a few thousand lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 1 << 18  # groups looked at a time
_SMALL = 1 << 12  # sizes counted in a vector; larger ones, which are few, one by one


@dataclass(frozen=True, slots=True)
class Sizes:
    """Different sizes (v,) int64, ascending, and how many groups have each (v,) int64."""

    values: np.ndarray
    groups: np.ndarray

    @property
    def total(self) -> int:
        """Items in all groups."""
        return int(self.values @ self.groups)

    @property
    def count(self) -> int:
        """Groups."""
        return int(self.groups.sum())

    def above(self, size: int) -> Sizes:
        """Only groups that are larger."""
        return Sizes(self.values[self.values > size], self.groups[self.values > size])

    def entropy_bits(self) -> float:
        """−Σ p log2 p over the groups, p their share of the items; 0 without items. As `entropy.entropy_bits` of the groups."""
        values = self.values[self.values > 0].astype(np.float64)
        if not values.size:
            return 0.0
        shares = values / self.total
        return max(0.0, float(-(self.groups[self.values > 0] * shares * np.log2(shares)).sum()))


class SizeCounter:
    """Sizes as they come."""

    def __init__(self) -> None:
        self._small = np.zeros(_SMALL, np.int64)
        self._large: Counter[int] = Counter()

    def add(self, sizes: np.ndarray) -> None:
        """The next groups', (n,) integers, none negative."""
        small = sizes < _SMALL
        self._small += np.bincount(sizes[small], minlength=_SMALL)
        self._large.update(sizes[~small].tolist())

    def finish(self) -> Sizes:
        """What was counted."""
        low = np.flatnonzero(self._small)
        high = np.array(sorted(self._large), np.int64)
        many = np.array([self._large[int(size)] for size in high], np.int64)
        return Sizes(np.concatenate([low, high]), np.concatenate([self._small[low], many]))


class Runs:
    """The sums over consecutive groups of a stream of values, which may end anywhere: only their histogram is kept."""

    def __init__(self) -> None:
        self._sizes = SizeCounter()
        self._open: int | None = None

    def feed(self, values: np.ndarray, starts: np.ndarray) -> None:
        """The next values (n,), and where among them groups begin, ascending; what lies before belongs to the last group."""
        upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
        edges = upto[starts]
        if not len(edges):
            self._open = (self._open or 0) + int(upto[-1])
            return
        closed = np.diff(edges)
        if self._open is not None:
            closed = np.append(closed, self._open + edges[0])
        self._sizes.add(closed)
        self._open = int(upto[-1] - edges[-1])

    def finish(self) -> Sizes:
        """Ends the last group."""
        if self._open is not None:
            self._sizes.add(np.array([self._open]))
            self._open = None
        return self._sizes.finish()


def sizes_of(groups: np.ndarray) -> Sizes:
    """The histogram of (U,) group sizes, wherever they lie."""
    counter = SizeCounter()
    for part in blocks(len(groups)):
        counter.add(np.asarray(groups[part], np.int64))
    return counter.finish()


def blocks(first: int, last: int | None = None) -> Iterator[slice]:
    """first..last cut into pieces; with one argument, 0..it."""
    begin, end = (0, first) if last is None else (first, last)
    edges: Iterable[int] = range(begin, end, BLOCK)
    return (slice(start, min(start + BLOCK, end)) for start in edges)

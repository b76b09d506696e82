"""The tree that IDs form, as numbers that a table too large to hold can be counted to: a run of it at a time, joined in order.

A node is a prefix; its size the items below it, its children the prefixes one code longer. Of the nodes of a depth only the first
and the last of a run can go on in its neighbours; all others are complete, and only how many there are of each size is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import numpy as np


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many things there are of each size: values (m,) int64, ascending; times (m,) int64."""

    values: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray) -> Sizes:
        """Of things with these sizes, (n,) whole numbers from 0."""
        if len(sizes) and int(sizes.max()) < max(1024, len(sizes)):
            times = np.bincount(sizes)
            return cls(np.flatnonzero(times), times[times > 0])
        return cls(*np.unique(np.asarray(sizes, np.int64), return_counts=True))

    def joined(self, other: Sizes) -> Sizes:
        """Of the things of both."""
        values, places = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        return Sizes(values, np.bincount(places, np.concatenate([self.times, other.times]), len(values)).astype(np.int64))

    @property
    def number(self) -> int:
        """Things in all."""
        return int(self.times.sum())

    @property
    def total(self) -> int:
        """Their sizes in all."""
        return int((self.values * self.times).sum())


@dataclass(frozen=True, slots=True)
class Depth:
    """The nodes of one depth in a run.

    Attributes:
        items, children: of those that are complete.
        ends: (items, children) of the first and of the last, which may go on outside; once where they are one.
    """

    items: Sizes
    children: Sizes
    ends: tuple[tuple[int, int], ...]

    def closed(self) -> tuple[Sizes, Sizes]:
        """Items and children of all nodes, nothing going on outside."""
        items, children = (Sizes.of(np.array(column)) for column in zip(*self.ends, strict=True))
        return self.items.joined(items), self.children.joined(children)


@dataclass(frozen=True, slots=True)
class IdTree:
    """What a run of distinct IDs in lexicographic order says. first, last: the IDs at its ends. depths: L + 1, the root's first."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    depths: tuple[Depth, ...]


def tree_of(ids: np.ndarray, items: np.ndarray) -> IdTree:
    """The tree of distinct IDs (U, L) in lexicographic order, U ≥ 1, that (U,) items have."""
    new = np.zeros(len(ids), dtype=bool)
    new[0] = True
    starts = [np.flatnonzero(new)]
    for column in ids.T:
        new[1:] |= column[1:] != column[:-1]
        starts.append(np.flatnonzero(new))
    below = [np.diff(np.searchsorted(after, here), append=len(after)) for here, after in pairwise(starts)]
    depths = [
        _depth(np.add.reduceat(items, here, dtype=np.int64), children)
        for here, children in zip(starts, [*below, np.zeros(len(ids), np.int64)], strict=True)
    ]
    return IdTree(tuple(map(int, ids[0])), tuple(map(int, ids[-1])), tuple(depths))


def join_trees(one: IdTree, other: IdTree) -> IdTree:
    """The tree of the run `one` and the run right after it."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one.last, other.first, strict=True)))
    depths = tuple(_joined(a, b, shared - depth) for depth, (a, b) in enumerate(zip(one.depths, other.depths, strict=True)))
    return IdTree(one.first, other.last, depths)


def fullest_path(branch: Callable[[tuple[int, ...]], np.ndarray], levels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Always the fullest child, of equals the first: its codes (L,), and the items at each step.

    Args:
        branch: a prefix → items (K,) by the code that follows it.
    """
    path: tuple[int, ...] = ()
    held = []
    for _ in range(levels):
        items = branch(path)
        path = (*path, int(items.argmax()))
        held.append(int(items.max()))
    return path, tuple(held)


def _depth(items: np.ndarray, children: np.ndarray) -> Depth:
    ends = {0, len(items) - 1}
    return Depth(Sizes.of(items[1:-1]), Sizes.of(children[1:-1]), tuple((int(items[at]), int(children[at])) for at in sorted(ends)))


def _joined(one: Depth, other: Depth, further: int) -> Depth:
    """further: how many codes the IDs where the runs meet share beyond this depth; below 0 the nodes there are two."""
    nodes: Sequence[tuple[int, int]] = (*one.ends, *other.ends)
    if further >= 0:
        (items, children), (more, others) = one.ends[-1], other.ends[0]
        nodes = (*one.ends[:-1], (items + more, children + others - (further > 0)), *other.ends[1:])
    inner = np.array(nodes[1:-1], np.int64).reshape(-1, 2)
    return Depth(
        one.items.joined(other.items).joined(Sizes.of(inner[:, 0])),
        one.children.joined(other.children).joined(Sizes.of(inner[:, 1])),
        (nodes[0], nodes[-1]) if len(nodes) > 1 else (nodes[0],),
    )

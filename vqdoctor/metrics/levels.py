"""What the levels of a quantiser do together: how much each adds to the prefix before it, and the tree that the IDs form.

Source: chain rule H(c_l | c_<l) = H(c_1..c_l) − H(c_1..c_l−1); the hourglass is named by Kuai et al. 2024 (arXiv 2407.21488), who
give entropy, Gini and deviation by level but no single index: the index here is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from vqdoctor.metrics.distortion import decibel
from vqdoctor.metrics.entropy import gini, grassberger_bits, normalized
from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.sizes import Runs, Sizes, blocks


class Rows(Protocol):
    """(U, L) distinct IDs, read in parts: an array, or what unpacks itself."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(U, L)."""
        ...

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> np.ndarray: ...


class Branches(NamedTuple):
    """What follows one prefix, fullest first: codes (c,) int64, items that have each (c,), distinct IDs behind each (c,)."""

    codes: np.ndarray
    items: np.ndarray
    ids: np.ndarray


def branches(ids: np.ndarray, items: np.ndarray, prefix: Sequence[int] = ()) -> Branches:
    """The children of one node of the tree that IDs form.

    Args:
        ids: (U, L) distinct, in lexicographic order. items: (U,) how many items have each. prefix: the node, shorter than L.

    Example:
        >>> branches(np.array([[0, 3], [2, 1], [2, 5]]), np.array([1, 4, 2]), (2,)).codes.tolist()
        [1, 5]
    """
    first, last = 0, len(ids)
    for level, code in enumerate(prefix):
        column = ids[first:last, level]
        first, last = first + int(np.searchsorted(column, code)), first + int(np.searchsorted(column, code, side="right"))
    column = ids[first:last, len(prefix)]
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]]) if len(column) else np.zeros(0, np.int64)
    held = np.add.reduceat(items[first:last], starts) if len(starts) else np.zeros(0, np.int64)
    order = np.argsort(-held, kind="stable")
    return Branches(column[starts][order].astype(np.int64), held[order], np.diff(starts, append=len(column))[order])


def measure_levels(
    ids: Rows,
    items: np.ndarray,
    *,
    sizes: Sequence[int] | None = None,
    residual_energy: Sequence[float] | None = None,
) -> Measured:
    """Everything that the table of IDs says about its levels.

    Args:
        ids: (U, L) integers, the distinct IDs without a de-dup token; what is no array is in lexicographic order already.
        items: (U,) how many items have each.
        sizes: K of each level; without them there is no levels.hourglass.
        residual_energy: L+1 means, R_0 the variance of the rows about their mean, R_l what is left of it after level l.

    Returns:
        all levels.*: joint_entropy_bits; conditional_entropy_bits, one a level; gain_db, 10 log10(R_l−1/R_l) a level (negative: the
        level hurts); hourglass (three levels or more). Without items all are None.
        facts: "entropy_normalized" (bias-corrected) and "gini" of each level, where sizes are known; "prefixes", one entry a depth:
        "nodes" distinct prefixes; "branching" mean children of a node of the depth before; "max_branching"; "single_child" share of
        those nodes with one child; "dominant_share" share of the items in the fullest prefix; "shared" share of the items whose
        prefix another item has; "path" the greedy path (always the fullest child) and "path_share" its share of the items.
    """
    gains = None if residual_energy is None else gains_db(residual_energy)
    if isinstance(ids, np.ndarray):
        ids, items = _sorted(ids, items)
    tree = _Tree(ids.shape[1], sizes)
    for part in blocks(len(ids)):
        tree.add(ids[part], np.asarray(items[part], np.int64))
    nodes, children = ([run.finish() for run in runs] for runs in (tree.nodes, tree.children))
    if not len(ids) or not nodes[-1].total:
        names = ("levels.joint_entropy_bits", "levels.conditional_entropy_bits", "levels.gain_db", "levels.hourglass")
        return Measured({**dict.fromkeys(names), "levels.gain_db": gains}, {"prefixes": None})
    joint = [depth.entropy_bits() for depth in nodes]
    conditional = [max(0.0, here - before) for before, here in zip([0.0, *joint], joint, strict=False)]
    evenness = _evenness(tree.counts) if sizes else None
    return Measured(
        {
            "levels.joint_entropy_bits": joint[-1],
            "levels.conditional_entropy_bits": list(conditional),
            "levels.gain_db": gains,
            "levels.hourglass": hourglass(evenness["entropy_normalized"]) if evenness else None,
        },
        {"prefixes": _shape(nodes, children) | _greedy_path(ids, items, nodes[0].total), **(evenness or {})},
    )


def gains_db(residual_energy: Sequence[float]) -> list[float | None]:
    """Gain of each level in dB from L+1 residual energies; None where one of the two is 0."""
    return [decibel(before, after) for before, after in pairwise(residual_energy)]


def hourglass(entropies: Sequence[float | None]) -> float | None:
    """How much the middle levels are narrower than the ends: min(first, last) − min(between) of normalised entropies (L,).

    None with fewer than three levels, or where one has no normalised entropy.
    """
    known = [value for value in entropies if value is not None]
    if len(known) < 3 or len(known) < len(entropies):
        return None
    return min(known[0], known[-1]) - min(known[1:-1])


def _sorted(ids: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The table (U, L), (U,) in lexicographic order; untouched where it is already."""
    equal = np.ones(max(0, len(ids) - 1), dtype=bool)
    for column in ids.T:
        if (equal & (column[:-1] > column[1:])).any():
            order = np.lexsort(ids.T[::-1])
            return ids[order], items[order]
        equal &= column[:-1] == column[1:]
    return ids, items


class _Tree:
    """What a pass over the sorted IDs accumulates, a depth at a time.

    Attributes:
        nodes: items of each distinct prefix. children: prefixes one longer of each. counts: items of each code, (K,) a level.
    """

    def __init__(self, levels: int, sizes: Sequence[int] | None) -> None:
        self.nodes, self.children = [Runs() for _ in range(levels)], [Runs() for _ in range(levels)]
        self.counts = [np.zeros(size, np.int64) for size in sizes or ()]
        self._last: np.ndarray | None = None

    def add(self, ids: np.ndarray, items: np.ndarray) -> None:
        """The next rows, (b, L), and the items of each, (b,)."""
        fresh = np.zeros(len(ids), bool)
        fresh[0] = self._last is None
        above = np.flatnonzero(fresh)  # the root begins once
        for depth, (nodes, children) in enumerate(zip(self.nodes, self.children, strict=True)):
            column = ids[:, depth]
            fresh[0] |= self._last is not None and column[0] != self._last[depth]
            fresh[1:] |= column[1:] != column[:-1]
            starts = np.flatnonzero(fresh)
            nodes.feed(items, starts)
            children.feed(fresh, above)
            above = starts
        for counts, column in zip(self.counts, ids.T, strict=bool(self.counts)):
            counts += np.bincount(column, weights=items, minlength=len(counts)).astype(np.int64)
        self._last = ids[-1]


def _shape(nodes: Sequence[Sizes], children: Sequence[Sizes]) -> dict[str, list[float]]:
    total = float(nodes[0].total)
    return {
        "nodes": [depth.count for depth in nodes],
        "branching": [number.total / number.count for number in children],
        "max_branching": [int(number.values.max()) for number in children],
        "single_child": [float(number.groups[number.values == 1].sum()) / number.count for number in children],
        "dominant_share": [float(depth.values.max()) / total for depth in nodes],
        "shared": [float(depth.above(1).total) / total for depth in nodes],
    }


def _greedy_path(ids: Rows, items: np.ndarray, total: int) -> dict[str, list[float]]:
    """Down the tree, always to the fullest child."""
    first, last = 0, len(ids)
    path: list[float] = []
    shares: list[float] = []
    for level in range(ids.shape[1]):
        held, first, last = _fullest(ids, items, level, first, last)
        path.append(int(ids[first : first + 1][0, level]))
        shares.append(held / total)
    return {"path": path, "path_share": shares}


def _fullest(ids: Rows, items: np.ndarray, level: int, first: int, last: int) -> tuple[int, int, int]:
    """Of the rows first:last, whose codes before `level` agree, those of the fullest code there: items, first and last."""
    best = (0, first, last)
    begin, held, code = first, 0, None  # of the run that is not over yet
    for part in blocks(first, last):
        column = ids[part][:, level]
        starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        sums = np.add.reduceat(np.asarray(items[part], np.int64), starts)
        begins = part.start + starts
        if code == column[0]:
            sums[0], begins[0] = sums[0] + held, begin
        elif held > best[0]:
            best = (held, begin, part.start)
        if len(sums) > 1 and (top := int(sums[:-1].argmax())) >= 0 and sums[top] > best[0]:
            best = (int(sums[top]), int(begins[top]), int(begins[top + 1]))
        begin, held, code = int(begins[-1]), int(sums[-1]), column[-1]
    return (held, begin, last) if held > best[0] else best


def _evenness(counts: Sequence[np.ndarray]) -> dict[str, list[float | None]]:
    return {
        "entropy_normalized": [normalized(grassberger_bits(level), level.size) for level in counts],
        "gini": [gini(level) for level in counts],
    }

"""What the levels of a quantiser do together: how much each adds to the prefix before it, and the tree that the IDs form.

Source: chain rule H(c_l | c_<l) = H(c_1..c_l) − H(c_1..c_l−1); the hourglass is named by Kuai et al. 2024 (arXiv 2407.21488), who
give entropy, Gini and deviation by level but no single index: the index here is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vqdoctor.metrics.distortion import decibel
from vqdoctor.metrics.entropy import gini, grassberger_bits, normalized
from vqdoctor.metrics.id_tree import IdTree, Sizes, fullest_path, tree_of
from vqdoctor.metrics.measured import Measured


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
    ids: np.ndarray,
    items: np.ndarray,
    *,
    sizes: Sequence[int] | None = None,
    residual_energy: Sequence[float] | None = None,
) -> Measured:
    """Everything that the table of IDs says about its levels.

    Args:
        ids: (U, L) integers, the distinct IDs without a de-dup token. items: (U,) how many items have each.
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
    ids, items = np.asarray(ids), np.asarray(items, dtype=np.int64)
    if not items.sum():
        return measure_tree(None, None, residual_energy=residual_energy)
    ids, items = _sorted(ids, items)
    counts = None
    if sizes:
        counts = [
            np.bincount(level, weights=items, minlength=size).astype(np.int64) for level, size in zip(ids.T, sizes, strict=True)
        ]

    def branch(prefix: tuple[int, ...]) -> np.ndarray:
        found = branches(ids, items, prefix)
        return np.bincount(found.codes, weights=found.items).astype(np.int64)

    return measure_tree(tree_of(ids, items), fullest_path(branch, ids.shape[1]), counts=counts, residual_energy=residual_energy)


def measure_tree(
    tree: IdTree | None,
    path: tuple[tuple[int, ...], tuple[int, ...]] | None,
    *,
    counts: Sequence[np.ndarray] | None = None,
    residual_energy: Sequence[float] | None = None,
) -> Measured:
    """As :func:`measure_levels`, of a table that need not be at hand.

    Args:
        tree: of all IDs; None: there are none. path: its `fullest_path`.
        counts: (K,) items by code of each level; without them there is no levels.hourglass.
    """
    gains = None if residual_energy is None else gains_db(residual_energy)
    if tree is None or path is None:
        names = ("levels.joint_entropy_bits", "levels.conditional_entropy_bits", "levels.gain_db", "levels.hourglass")
        return Measured({**dict.fromkeys(names), "levels.gain_db": gains}, {"prefixes": None})
    nodes, children = zip(*(depth.closed() for depth in tree.depths), strict=True)
    joint = [_entropy_bits(sizes) for sizes in nodes[1:]]
    conditional = [max(0.0, here - before) for before, here in zip([0.0, *joint], joint, strict=False)]
    evenness = _evenness(counts) if counts else None
    total = float(nodes[0].total)
    greedy = {"path": list(path[0]), "path_share": [held / total for held in path[1]]}
    return Measured(
        {
            "levels.joint_entropy_bits": joint[-1],
            "levels.conditional_entropy_bits": list(conditional),
            "levels.gain_db": gains,
            "levels.hourglass": hourglass(evenness["entropy_normalized"]) if evenness else None,
        },
        {"prefixes": _shape(nodes[1:], children[:-1], total) | greedy, **(evenness or {})},
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


def _entropy_bits(sizes: Sizes) -> float:
    """Plug-in entropy of nodes by their items."""
    shares = sizes.values[sizes.values > 0] / sizes.total
    return max(0.0, float(-(sizes.times[sizes.values > 0] * shares * np.log2(shares)).sum()))


def _shape(nodes: Sequence[Sizes], children: Sequence[Sizes], total: float) -> dict[str, list[float]]:
    """Of each depth the nodes, and the children of those of the depth before."""
    return {
        "nodes": [sizes.number for sizes in nodes],
        "branching": [below.total / below.number for below in children],
        "max_branching": [int(below.values[-1]) for below in children],
        "single_child": [int(below.times[below.values == 1].sum()) / below.number for below in children],
        "dominant_share": [float(sizes.values[-1]) / total for sizes in nodes],
        "shared": [float((sizes.values * sizes.times)[sizes.values > 1].sum()) / total for sizes in nodes],
    }


def _evenness(counts: Sequence[np.ndarray]) -> dict[str, list[float | None]]:
    return {
        "entropy_normalized": [normalized(grassberger_bits(level), level.size) for level in counts],
        "gini": [gini(level) for level in counts],
    }

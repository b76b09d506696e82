"""Lloyd's iterations without the work that cannot change anything.

A row whose own centre stayed, or came no farther, can only be won by a centre that moved: the others are no nearer than they were.
So only rows whose centre went away are searched among all. Late iterations, in which few centres move, cost next to nothing, and
the result is that of the plain algorithm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Assign = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(rows (n, D), centres (k, D)) → nearest centre (n,) and squared distance (n,): `nearest.assign`."""

TOLERANCE = 1e-4  # relative gain below which Lloyd stops
WORTH_SPLITTING = 0.9  # share of moved centres above which searching among all is the shorter way
BLOCK = 4096  # rows whose distances are worked out at a time


def refine(
    points: np.ndarray, centres: np.ndarray, *, assign: Assign, onto: Callable[[np.ndarray], np.ndarray], iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (k, D) moved to the means of their rows, mapped by `onto`, until little is gained.

    Returns:
        centres (k, D) float32, labels (n,) int, squared distances (n,) float32.
    """
    labels, squared = assign(points, centres)
    for _ in range(iterations):
        now = onto(means(points, labels, squared, len(centres)))
        labels_now, squared_now = _reassign(points, labels, squared, now, (now != centres).any(axis=1), assign)
        gain = inertia(squared) - inertia(squared_now)
        if gain < 0:
            break
        settled = (labels_now == labels).all() or gain <= TOLERANCE * inertia(squared_now)
        centres, labels, squared = now, labels_now, squared_now
        if settled:
            break
    return centres, labels, squared


def inertia(squared: np.ndarray) -> float:
    """Σ of squared distances, in float64."""
    return float(squared.sum(dtype=np.float64))


def means(points: np.ndarray, labels: np.ndarray, squared: np.ndarray, k: int) -> np.ndarray:
    """The mean of each cluster (k, D) float32; an empty one gets a row that is farthest from its centre."""
    sums, sizes = totals(points, labels, k)
    centres = np.empty((k, points.shape[1]), np.float32)
    full = sizes > 0
    centres[full] = sums[full] / sizes[full, None]
    if empty := k - int(full.sum()):
        centres[~full] = points[np.argpartition(-squared, empty - 1)[:empty]]
    return centres


def totals(points: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the rows of each cluster, (k, D) float64, and how many they are, (k,) int64."""
    sizes, sums = np.bincount(labels, minlength=k), np.zeros((k, points.shape[1]))
    full = np.flatnonzero(sizes)
    if len(full):
        starts = np.cumsum(sizes[full]) - sizes[full]
        sums[full] = np.add.reduceat(points[np.argsort(labels, kind="stable")], starts, axis=0, dtype=np.float64)
    return sums, sizes


def _reassign(
    points: np.ndarray, labels: np.ndarray, squared: np.ndarray, centres: np.ndarray, moved: np.ndarray, assign: Assign
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `centres` for each row, given it before some `moved` (k,)."""
    if moved.mean() > WORTH_SPLITTING:
        return assign(points, centres)
    labels, own = labels.copy(), squared.copy()
    followed = np.flatnonzero(moved[labels])
    own[followed] = _distances(points, followed, centres, labels)
    lost = own > squared
    rest, candidates = np.flatnonzero(~lost), np.flatnonzero(moved)
    if lost.any():
        labels[lost], own[lost] = assign(points[lost], centres)
    if len(rest) and len(candidates):
        found, near = assign(points[rest], centres[candidates])
        won = near < own[rest]
        labels[rest[won]], own[rest[won]] = candidates[found[won]], near[won]
    return labels, own


def _distances(points: np.ndarray, rows: np.ndarray, centres: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distances (r,) float32 of some rows (r,) to the centres of their clusters."""
    squared = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        away = points[part] - centres[labels[part]]
        squared[start : start + BLOCK] = np.einsum("ij,ij->i", away, away)
    return squared

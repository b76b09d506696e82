"""Lloyd's iterations without the work that cannot change anything.

A row whose own centre stayed, or came no farther, can only be won by a centre that moved: the others are no nearer than they were.
So only rows whose centre went away are searched among all. Late iterations, in which few centres move, cost next to nothing, and
the result is that of the plain algorithm.

When to stop is one rule: the first FREE multiply-adds, about a second of one core, are spent on any gain at all; what comes after
them has to gain TOLERANCE a step. Small problems so run until nothing changes, large ones as long as it is worth their minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Assign = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(rows (n, D), centres (k, D)) → nearest centre (n,) and squared distance (n,): `nearest.assign`."""
Onto = Callable[[np.ndarray], np.ndarray]
"""Means (k, D) → where centres may lie: themselves, or the sphere."""

FREE = 4_000_000_000  # multiply-adds of search in which no gain is too small
TOLERANCE = 1e-4  # relative gain of a step that is worth more than those
WORTH_SPLITTING = 0.9  # share of moved centres above which searching among all is the shorter way
BLOCK = 4096  # rows whose distances are worked out at a time


@dataclass(slots=True)
class Effort:
    """How much has been searched so far, in multiply-adds."""

    spent: int = 0

    def add(self, rows: int, centres: np.ndarray) -> None:
        """A search of so many rows among centres (k, D)."""
        self.spent += rows * centres.size

    @property
    def free(self) -> bool:
        """Whether any gain is still worth a step."""
        return self.spent < FREE

    def suffices(self, gain: float, inertia: float) -> bool:
        """Whether a step that gained so much was the last that is worth it."""
        return gain <= (0 if self.free else TOLERANCE * inertia)


class Placed(NamedTuple):
    """centres (k, D) float32, and of each row its nearest, labels (n,) int, and the squared distance to it (n,) float32."""

    centres: np.ndarray
    labels: np.ndarray
    squared: np.ndarray

    @property
    def inertia(self) -> float:
        """Σ of the squared distances."""
        return inertia(self.squared)


def counted(assign: Assign, effort: Effort) -> Assign:
    """A search that says what it took."""

    def search(rows: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        effort.add(len(rows), centres)
        return assign(rows, centres)

    return search


def refine(points: np.ndarray, start: Placed, *, assign: Assign, onto: Onto, iterations: int, effort: Effort) -> Placed:
    """Centres moved to the means of their rows, mapped by `onto`, until little is gained.

    Args:
        points: (n, D). effort: what `assign` counts.
    """
    now = start
    for _ in range(iterations):
        before, now = now, step(points, now, assign=assign, onto=onto)
        gain = before.inertia - now.inertia
        if gain < 0:
            return before
        if effort.suffices(gain, now.inertia) or (now.labels == before.labels).all():
            break
    return now


def step(points: np.ndarray, now: Placed, *, assign: Assign, onto: Onto) -> Placed:
    """One iteration."""
    centres = onto(means(points, now.labels, now.squared, len(now.centres)))
    moved = (centres != now.centres).any(axis=1)
    return Placed(centres, *_reassign(points, now.labels, now.squared, centres, moved, assign))


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
    together, stop = points[np.argsort(labels, kind="stable")], 0
    for cluster in np.flatnonzero(sizes):  # one by one: `reduceat` takes five times as long
        start, stop = stop, stop + sizes[cluster]
        np.add.reduce(together[start:stop], axis=0, dtype=np.float64, out=sums[cluster])
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

"""k-means: the yardstick for a codebook's distortion, and the start of a repaired one.

Greedy k-means++ seeds (Arthur, Vassilvitskii 2007) decide the result: no number of Lloyd steps from random points makes up for
them. Where many seeds are drawn from few rows, one product of the rows with themselves replaces thousands of thin ones. Search
is the caller's (`nearest.assign`), because rooms on one floor do not import each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Assign = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(rows (n, D), centres (k, D)) → nearest centre (n,) and squared distance (n,): `nearest.assign`."""

MOST_SEEDED = 16384  # rows that seeds are drawn from
TABLE_BYTES = 256 << 20  # of distances between all of them at once, at most; more than that is worked out row by row
TOLERANCE = 1e-4  # relative gain below which Lloyd stops


class Clusters(NamedTuple):
    """centres (k, D) float32; inertia Σ‖x − centre‖² (float64; of unit rows for "cosine"); labels (n,) int."""

    centres: np.ndarray
    inertia: float
    labels: np.ndarray


def fit(
    rows: np.ndarray, k: int, *, rng: np.random.Generator, assign: Assign, metric: str = "l2", iterations: int = 25
) -> Clusters:
    """k centres of rows (n, D) float32, finite.

    Args:
        metric: "l2", or "cosine": rows and centres are kept at unit norm.
        iterations: Lloyd steps, at most.

    Raises:
        ValueError: fewer rows than centres, or another metric.

    Example:
        >>> from vqdoctor.nearest import assign
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1]], np.float32)
        >>> fit(rows, 2, rng=np.random.default_rng(0), assign=assign).inertia < 0.011
        True
    """
    if not 1 <= k <= len(rows):
        raise ValueError(f"{k} centres of {len(rows)} rows")
    if metric not in ("l2", "cosine"):
        raise ValueError(f"no k-means for the metric {metric!r}")
    middle = rows.mean(axis=0, dtype=np.float64).astype(np.float32) if metric == "l2" else np.float32(0)
    points = rows - middle if metric == "l2" else _unit(rows)
    centres = _seeds(points, k, rng)
    labels, squared = assign(points, centres)
    inertia = float(squared.sum(dtype=np.float64))
    for _ in range(iterations):
        moved = _means(points, labels, squared, k)
        centres_now = _unit(moved) if metric == "cosine" else moved
        labels_now, squared = assign(points, centres_now)
        now = float(squared.sum(dtype=np.float64))
        if now > inertia:
            break
        settled = (labels_now == labels).all() or inertia - now <= TOLERANCE * now
        centres, labels, inertia = centres_now, labels_now, now
        if settled:
            break
    return Clusters(centres + middle, inertia, labels)


def _means(points: np.ndarray, labels: np.ndarray, squared: np.ndarray, k: int) -> np.ndarray:
    """The mean of each cluster (k, D) float32; an empty one gets a row that is farthest from its centre."""
    sizes = np.bincount(labels, minlength=k)
    full = np.flatnonzero(sizes)
    starts = np.cumsum(sizes[full]) - sizes[full]
    sums = np.add.reduceat(points[np.argsort(labels, kind="stable")], starts, axis=0, dtype=np.float64)
    centres = np.empty((k, points.shape[1]), np.float32)
    centres[full] = sums / sizes[full, None]
    if empty := k - len(full):
        centres[sizes == 0] = points[np.argpartition(-squared, empty - 1)[:empty]]
    return centres


def _seeds(points: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k of the rows by greedy k-means++: each the best of 2 + ln k, drawn ∝ squared distance to the seeds so far."""
    most = max(MOST_SEEDED, k)
    pool = points if len(points) <= most else points[np.sort(rng.choice(len(points), most, replace=False))]
    trials = 2 + int(math.log(k))
    distances = _distances_between(pool, whole=k * trials >= len(pool) and 4 * len(pool) ** 2 <= TABLE_BYTES)
    chosen = [int(rng.integers(len(pool)))]
    left = distances(np.array(chosen))[0]
    while len(chosen) < k:
        mass = np.cumsum(left, dtype=np.float64)
        if mass[-1] <= 0:  # fewer different rows than centres: any others will do
            others = np.setdiff1d(np.arange(len(pool)), chosen)
            chosen += rng.choice(others, k - len(chosen), replace=False).tolist()
            break
        drawn = np.minimum(np.searchsorted(mass, rng.random(trials) * mass[-1], side="right"), len(pool) - 1)
        after = np.minimum(left, distances(drawn))
        best = int(after.sum(axis=1, dtype=np.float64).argmin())
        left = after[best]
        left[drawn[best]] = 0
        chosen.append(int(drawn[best]))
    return pool[chosen]


def _distances_between(pool: np.ndarray, whole: bool) -> Callable[[np.ndarray], np.ndarray]:
    """indices (t,) → squared distances (t, n) of those rows to all rows; `whole`: all computed at once."""
    energy = np.einsum("ij,ij->i", pool, pool)

    def some(indices: np.ndarray) -> np.ndarray:
        table = pool[indices] @ pool.T
        table *= -2
        table += energy
        table += energy[indices, None]
        return np.maximum(table, 0, out=table)

    if not whole:
        return some
    table = some(np.arange(len(pool)))
    return table.__getitem__


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows at norm 1; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return (rows / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)

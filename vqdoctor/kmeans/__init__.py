"""k-means: the yardstick for a codebook's distortion, and the start of a repaired one.

Good seeds first, then breaths that move centres to where they are needed, then Lloyd's iterations, which only polish: no number of
those makes up for the rest. Search is the caller's (`nearest.assign`), because rooms on one floor do not import each other.

`fit` · `Clusters` · `pool_size`, `unit`; for rows that no one process holds: `gathering`
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vqdoctor.kmeans.breathing import breathe
from vqdoctor.kmeans.lloyd import Assign, Effort, Placed, counted, refine
from vqdoctor.kmeans.seeding import draw_seeds

__all__ = ["Assign", "Clusters", "fit", "pool_size", "unit"]

MOST_SEEDED, SEEDED_A_CENTRE = 8192, 4  # rows that seeds are drawn from: so many, or so many a centre if that is more


class Clusters(NamedTuple):
    """centres (k, D) float32; inertia Σ‖x − centre‖² (float64; of unit rows for "cosine"); labels (n,) int."""

    centres: np.ndarray
    inertia: float
    labels: np.ndarray


def fit(
    rows: np.ndarray, k: int, *, rng: np.random.Generator, assign: Assign, metric: str = "l2", iterations: int = 100
) -> Clusters:
    """k centres of rows (n, D) float32, finite.

    Args:
        metric: "l2", or "cosine": rows and centres are kept at unit norm.
        iterations: Lloyd's, at most, after the breaths.

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
    points = rows - middle if metric == "l2" else unit(rows)
    most = pool_size(k)
    pool = points if len(points) <= most else points[np.sort(rng.choice(len(points), most, replace=False))]
    start = pool[draw_seeds(pool, k, rng)]
    onto = unit if metric == "cosine" else np.asarray
    effort = Effort()
    search = counted(assign, effort)
    placed = Placed(start, *search(points, start))
    placed = breathe(points, placed, rng=rng, assign=search, onto=onto, effort=effort)
    placed = refine(points, placed, assign=search, onto=onto, iterations=iterations, effort=effort)
    return Clusters(placed.centres + middle, placed.inertia, placed.labels)


def pool_size(k: int) -> int:
    """How many rows k seeds are drawn from, at most."""
    return max(MOST_SEEDED, SEEDED_A_CENTRE * k)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows at norm 1; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return (rows / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)

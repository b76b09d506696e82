"""What a repaired codebook is judged against: fresh k-means of the same size on the same rows."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

STARTS = 2  # runs that a yardstick is the mean of: each depends on its start


def worst_use(codes: np.ndarray, sizes: tuple[int, ...]) -> float:
    """Share of the codes in use, of the level that uses fewest; codes (n, L)."""
    return min(len(np.unique(column)) / size for column, size in zip(codes.T, sizes, strict=True))


def yardstick(fitted: np.ndarray, judges: np.ndarray, sizes: tuple[int, ...]) -> tuple[float, float]:
    """Use of the worst level and error of fresh k-means, level after level; the mean over a few starts."""
    use, error = np.mean([fresh_kmeans(fitted, judges, sizes, start) for start in range(STARTS)], axis=0)
    return float(use), float(error)


def fresh_kmeans(fitted: np.ndarray, judges: np.ndarray, sizes: tuple[int, ...], start: int) -> tuple[float, float]:
    chosen = []
    for size in sizes:
        model = KMeans(size, n_init=1, random_state=start).fit(fitted)
        chosen.append(model.predict(judges))
        fitted = fitted - model.cluster_centers_[model.labels_]
        judges = judges - model.cluster_centers_[chosen[-1]]
    return worst_use(np.stack(chosen, axis=1), sizes), float(np.square(judges).sum(axis=1).mean())

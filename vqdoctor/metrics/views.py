"""Two dimensions of many: where the codes lie among the features, for a picture. A view measures nothing."""

from __future__ import annotations

from typing import Any

import numpy as np


def pca_map(codes: np.ndarray, features: np.ndarray | None = None, most: int = 2000) -> dict[str, Any]:
    """Codes and features on the two directions in which the features (or, without them, the codes) vary most.

    Args:
        codes: (K, D), rows with NaN or infinities are left out. features: (n, D) finite rows. most: points in all; evenly spaced
        rows are kept where there are more, at most half of them features.

    Returns:
        "codes" [[x, y], …] with "code_rows" their row numbers; "features" likewise or None; "explained" the share of the variance
        shown. The same input gives the same picture: each axis points so that its largest loading is positive.
    """
    finite = np.flatnonzero(np.isfinite(codes).all(axis=1))
    room = most if features is None else max(1, most - min(len(features), most // 2))
    kept = finite[_spaced(len(finite), room)]
    points = codes[kept].astype(np.float64)
    cloud = None if features is None else features[_spaced(len(features), most - len(kept))].astype(np.float64)
    reference = points if cloud is None or not len(cloud) else cloud
    centre, axes, explained = _principal_axes(reference)
    return {
        "codes": ((points - centre) @ axes).tolist(),
        "code_rows": kept.tolist(),
        "features": None if cloud is None else ((cloud - centre) @ axes).tolist(),
        "explained": explained,
    }


def _spaced(count: int, most: int) -> np.ndarray:
    """At most `most` evenly spaced positions in range(count)."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64) if count else np.zeros(0, dtype=np.int64)


def _principal_axes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Centre (D,), two axes (D, 2) (the second all 0 in one dimension) and the share of the variance along them."""
    width = rows.shape[1]
    if not len(rows):
        return np.zeros(width), np.zeros((width, 2)), None
    centre = rows.mean(axis=0)
    variance, vectors = np.linalg.eigh((rows - centre).T @ (rows - centre))
    vectors = vectors[:, ::-1][:, :2]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    axes = np.zeros((width, 2))
    axes[:, : vectors.shape[1]] = vectors
    total = float(variance.sum())
    return centre, axes, float(variance[::-1][:2].sum()) / total if total > 0 else None

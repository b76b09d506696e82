"""Rows whose nearest codes are known."""

from __future__ import annotations

import numpy as np


def rows_near(codes: np.ndarray, hits: np.ndarray, noise: float = 0.01, seed: int = 1) -> np.ndarray:
    """Rows whose nearest code is `hits`, as long as the codes lie far apart."""
    rng = np.random.default_rng(seed)
    return (codes[hits] + noise * rng.normal(size=(len(hits), codes.shape[1]))).astype(np.float32)

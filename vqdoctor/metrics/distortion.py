"""How well the codes fit the features: error, signal to noise, and whether unseen codes are far away or merely overtaken.

The sums are collected elsewhere, block by block; here they become numbers. Distances are Euclidean; `distortion.mse` is squared.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.rows import row_norms

ORPHAN_FACTOR = 3.0
"""An unseen code farther than this many median errors from every feature is an orphan."""

ROWS_SHOWN = 1000
"""Row numbers kept in facts."""


def decibel(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise) of two powers; None where either is 0."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None


def measure_distortion(n: int, squared_error: float, centred_energy: float, *, kmeans_mse: float | None = None) -> Measured:
    """Quantisation error over a sample.

    Args:
        n: rows. squared_error: Σ‖x − Q(x)‖² over them. centred_energy: Σ‖x − x̄‖².
        kmeans_mse: mean ‖x − Q(x)‖² of a k-means fit with equally many codes, on the same rows; None if none was fitted.

    Returns:
        distortion.mse (a row's squared error, summed over its columns; divide by D for a column's), .snr_db (None for constant
        features, and for zero error, which is infinite), .kmeans_ratio.
        facts: "snr_infinite" True where the error is exactly 0 though the features vary.
    """
    mse = squared_error / n if n else None
    return Measured(
        {
            "distortion.mse": mse,
            "distortion.snr_db": decibel(centred_energy, squared_error) if n else None,
            "distortion.kmeans_ratio": mse / kmeans_mse if mse is not None and kmeans_mse else None,
        },
        {"snr_infinite": bool(n and squared_error == 0 and centred_energy > 0)},
    )


def measure_match(
    codes: np.ndarray,
    *,
    feature_mean: np.ndarray,
    feature_variance: np.ndarray,
    unseen: np.ndarray | None = None,
    nearest_feature: np.ndarray | None = None,
    nearest_code: np.ndarray | None = None,
    median_error: float | None = None,
) -> Measured:
    """Codebook against features.

    Args:
        codes: (K, D). feature_mean, feature_variance: (D,) of the features that this level is given.
        unseen: (K,) bool, codes without a hit. nearest_feature: (K,) distance of the nearest feature, NaN where not known.
        nearest_code: (K,) index of the nearest other code, only quoted in facts. median_error: median ‖x − Q(x)‖ over the sample.

    Returns:
        match.mean_shift = ‖μx − μe‖ / √trΣx; match.scale_ratio = √(trΣe / trΣx), the spread of the codes over that of the features;
        match.orphans and match.shadowed: unseen finite codes farther than 3 median errors from every feature, and the other ones.
        facts: "code_norm", "feature_norm" root mean squares; "orphan_rows", "shadowed_rows" (the first 1000), "shadowed_by".
    """
    norms = row_norms(codes)
    finite = ~np.isnan(norms)
    metrics, facts = _moments(codes[finite].astype(np.float64), feature_mean, feature_variance)
    metrics |= {"match.orphans": None, "match.shadowed": None}
    if unseen is not None and nearest_feature is not None and median_error is not None:
        judged = unseen & finite & ~np.isnan(nearest_feature)
        far = nearest_feature > ORPHAN_FACTOR * median_error
        orphans, shadowed = np.flatnonzero(judged & far), np.flatnonzero(judged & ~far)
        metrics |= {"match.orphans": len(orphans), "match.shadowed": len(shadowed)}
        facts |= {"orphan_rows": orphans[:ROWS_SHOWN].tolist(), "shadowed_rows": shadowed[:ROWS_SHOWN].tolist()}
        if nearest_code is not None:
            facts["shadowed_by"] = nearest_code[shadowed[:ROWS_SHOWN]].tolist()
    return Measured(metrics, facts)


def measure_agreement(own: np.ndarray, nearest: np.ndarray) -> Measured:
    """match.agreement: share of rows whose own code (n,) is the nearest one (n,); rows without a code (−1) are left out.

    facts: "agreement_rows" how many rows that rests on. Of two equally near codes either may be named: a share just below 1 is
    agreement.
    """
    known = own >= 0
    rows = int(known.sum())
    return Measured(
        {"match.agreement": float((own[known] == nearest[known]).mean()) if rows else None},
        {"agreement_rows": rows},
    )


def _moments(codes: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    spread = math.sqrt(float(variance.sum()))
    known = spread > 0 and len(codes) > 0
    shift = float(np.linalg.norm(mean - codes.mean(axis=0))) if known else None
    code_spread = math.sqrt(float(codes.var(axis=0).sum())) if known and len(codes) > 1 else None
    return {
        "match.mean_shift": None if shift is None else shift / spread,
        "match.scale_ratio": None if code_spread is None else code_spread / spread,
    }, {
        "code_norm": math.sqrt(float((codes**2).sum(axis=1).mean())) if len(codes) else None,
        "feature_norm": math.sqrt(float((mean**2).sum() + variance.sum())),
    }

"""What a sample of n rows can prove about codes that it did not show.

Reachable codes (bias-corrected Chao1 with its log-normal interval), coverage (Chao & Jost 2012), what a uniform source would show,
and how many rows a verdict of "dead" takes. Sources: EstimateS appendix B, equations 6, 7, 13 and 14; Hurlbert 1971 (rarefaction).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vqdoctor.metrics.entropy import Z95
from vqdoctor.metrics.special import stirling_error


class Richness(NamedTuple):
    """What the estimators need of the counts: rows, codes used, codes used exactly once and exactly twice."""

    n: int
    used: int
    singletons: int
    doubletons: int


def richness_of(counts: np.ndarray) -> Richness:
    """The four numbers of integer counts (K,)."""
    return Richness(*(int(part) for part in (counts.sum(), (counts > 0).sum(), (counts == 1).sum(), (counts == 2).sum())))


def coverage(sample: Richness) -> float | None:
    """Chao–Jost estimate of the probability mass of the codes seen; None for n < 2, where it would claim everything was seen."""
    n, f1, f2 = sample.n, sample.singletons, sample.doubletons
    if n < 2:
        return None
    if f1 == 0:
        return 1.0
    unseen, seen = ((n - 1) * f1, 2 * f2) if f2 else ((n - 1) * (f1 - 1), 2)
    return 1 - f1 / n * unseen / (unseen + seen)


def reachable(sample: Richness, codes: int) -> tuple[float, float, float] | None:
    """Lower bound (in expectation) on the codes with any probability, and its 95 % interval; None for n = 0.

    Bias-corrected Chao1, S + f1(f1−1)/(2(f2+1)). With f1 ≤ 1 the log-normal interval is 0·∞, so equation 14 stands in.

    Returns:
        estimate, low, high; each clipped to [used, K].
    """
    n, used, f1, f2 = sample
    if n == 0:
        return None
    beyond = f1 * (f1 - 1) / (2 * (f2 + 1))
    if beyond > 0:
        stretch = math.exp(Z95 * math.sqrt(math.log1p(_chao1_variance(sample) / beyond**2)))
        low, high = used + beyond / stretch, used + beyond * stretch
    else:
        miss = math.exp(-n / used)
        middle, half = used / (1 - miss), Z95 * math.sqrt(used * miss) / (1 - miss)
        low, high = max(used, middle - half), max(used, middle + half)
    return min(used + beyond, codes), min(low, codes), min(high, codes)


def _chao1_variance(sample: Richness) -> float:
    """EstimateS equations 6 and 7, for f1 ≥ 2."""
    _, used, f1, f2 = sample
    if f2 == 0:
        estimate = used + f1 * (f1 - 1) / 2
        return f1 * (f1 - 1) / 2 + f1 * (2 * f1 - 1) ** 2 / 4 - f1**4 / (4 * estimate)
    d = f2 + 1
    return f1 * (f1 - 1) / (2 * d) + f1 * (2 * f1 - 1) ** 2 / (4 * d**2) + f1**2 * f2 * (f1 - 1) ** 2 / (4 * d**4)


def expected_used(codes: int, n: int) -> float:
    """Codes that n draws from K equally likely ones show on average, K(1−(1−1/K)^n)."""
    if codes == 1 or n == 0:
        return float(min(codes, n, 1))
    return -codes * math.expm1(n * math.log1p(-1 / codes))


def expected_used_deviation(codes: int, n: int) -> float:
    """Standard deviation of that number (occupancy), from terms that do not cancel: √(Ka(1−a) + K(K−1)(b−a²))."""
    if codes == 1 or n == 0:
        return 0.0
    miss = math.exp(n * math.log1p(-1 / codes))
    pair = -1.0 if codes == 2 else math.expm1(n * math.log1p(-1 / (codes - 1) ** 2))
    return math.sqrt(max(0.0, codes * miss * (1 - miss) + codes * (codes - 1) * miss**2 * pair))


def rarefied(counts: np.ndarray, rows: int) -> float:
    """Codes that a random `rows` of the counted n would show on average: S − Σ C(n−c, m)/C(n, m).

    Raises:
        ValueError: more rows asked for than were counted.
    """
    n = int(counts.sum())
    if rows > n:
        raise ValueError(f"cannot rarefy {n} rows to {rows}")
    values, codes = np.unique(counts[counts > 0], return_counts=True)
    certain = n - values < rows  # too few other rows to avoid this code
    rest = values[~certain].astype(np.float64)
    logs = _log_gamma(n - rest + 1) - _log_gamma(n - rest - rows + 1) - _log_gamma(n + 1.0) + _log_gamma(n - rows + 1.0)
    return float(codes[certain].sum() - (codes[~certain] * np.expm1(logs)).sum())


def _log_gamma(x: np.ndarray | float) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    return (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + stirling_error(x)


def rows_to_call_dead(codes: int, rate: float = 0.01, alpha: float = 0.05, together: int = 1) -> int:
    """Rows in which a code must stay unseen to be called below `rate` × uniform at confidence 1−alpha: ⌈ln α / ln(1−r/K)⌉.

    Args:
        together: how many codes are to be called at once (Bonferroni).
    """
    if rate >= codes:
        return 1
    return math.ceil(math.log(alpha / together) / math.log1p(-rate / codes) - 1e-12)


def unseen_rate_upper(n: int, codes: int, alpha: float = 0.05) -> float | None:
    """Upper bound, as a multiple of the uniform rate, for a code unseen in n rows: K(1−α^(1/n)) ≈ 3K/n; None for n = 0.

    At 1 or above the sample cannot call any unseen code dead.
    """
    return None if n == 0 else -codes * math.expm1(math.log(alpha) / n)

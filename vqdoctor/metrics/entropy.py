"""How evenly codes are used: entropy, its bias correction and interval, concentration.

All functions take the counts of one codebook as a vector; nothing is added inside a logarithm. Entropies are in bits.
Sources: Grassberger 2003 (physics/0307138); delta method with a second-order floor; Hill 1973; Gini over all K codes.
"""

from __future__ import annotations

import math

import numpy as np

from vqdoctor.metrics.special import digamma, scaled_bessel

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def entropy_bits(weights: np.ndarray) -> float | None:
    """Plug-in entropy −Σ p log2 p of counts or other non-negative weights (K,); None where they sum to 0."""
    used = np.asarray(weights, dtype=np.float64)
    used = used[used > 0]
    if not used.size:
        return None
    shares = used / used.sum()
    shares = shares[shares > 0]  # a denormal count's share can vanish
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def normalized(bits: float | None, codes: int) -> float | None:
    """Entropy over its maximum log2 K; None for K = 1 (0/0)."""
    return None if bits is None or codes < 2 else bits / math.log2(codes)


def perplexity(bits: float | None) -> float | None:
    """2^bits: the number of equally used codes with this entropy."""
    return None if bits is None else 2.0**bits


def grassberger_bits(counts: np.ndarray) -> float | None:
    """Grassberger's entropy estimate of integer counts (K,), clipped to [0, log2 K]; None where they sum to 0.

    ln n − (1/n) Σ c G(c) with G(c) = ψ(c) + ½(−1)^c [ψ((c+1)/2) − ψ(c/2)].
    """
    values, codes = np.unique(counts[counts > 0], return_counts=True)
    if not values.size:
        return None
    n = float((values * codes).sum())
    sign = np.where(values % 2, -1.0, 1.0)
    g = digamma(values) + 0.5 * sign * (digamma((values + 1) / 2) - digamma(values / 2))
    nats = math.log(n) - float((codes * values * g).sum()) / n
    return min(max(0.0, nats / math.log(2)), math.log2(counts.size))


def entropy_error_bits(counts: np.ndarray) -> float | None:
    """Standard error of the plug-in entropy of integer counts (K,); None where they sum to 0.

    √([Σ p log2² p − H²]/n + (S−1)/(2n² ln²2)): the second term keeps it above 0 for a uniform sample.
    """
    used = counts[counts > 0].astype(np.float64)
    if not used.size:
        return None
    n = used.sum()
    shares = used / n
    logs = np.log2(shares)
    first = max(0.0, float((shares * logs**2).sum() - (shares * logs).sum() ** 2))
    return math.sqrt(first / n + (used.size - 1) / (2 * n * n * math.log(2) ** 2))


def perplexity_interval(counts: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the perplexity: 2^(Grassberger ± 1.96 standard errors), clipped to [1, K]; None where counts sum to 0."""
    middle = grassberger_bits(counts)
    error = entropy_error_bits(counts)
    if middle is None or error is None:
        return None
    top = math.log2(counts.size)
    return 2.0 ** max(0.0, middle - Z95 * error), 2.0 ** min(top, middle + Z95 * error)


def hill2(counts: np.ndarray) -> float | None:
    """Hill number of order 2, 1/Σp²: how many codes carry the mass; None where counts sum to 0."""
    used = counts[counts > 0].astype(np.float64)
    return float(used.sum() ** 2 / (used**2).sum()) if used.size else None


def gini(weights: np.ndarray) -> float | None:
    """Gini coefficient over all K entries, zeros included: Σ(2i−K−1)x_(i) / (KΣx), in [0, (K−1)/K]; None where they sum to 0."""
    ordered = np.sort(np.asarray(weights, dtype=np.float64))
    size, total = ordered.size, ordered.sum()
    if total == 0:
        return None
    ranks = 2.0 * np.arange(1, size + 1) - size - 1
    return max(0.0, float((ranks * ordered).sum() / (size * total)))


def gini_floor(hits_per_code: float) -> float:
    """Gini that a perfectly uniform source shows at n/K hits a code: that of a Poisson count, e^−2λ (I0(2λ) + I1(2λ))."""
    return scaled_bessel(0, 2 * hits_per_code) + scaled_bessel(1, 2 * hits_per_code)

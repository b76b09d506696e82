"""The special functions that the measures need, in numpy: reading a checkpoint must not wait for scipy to load.

Sources: Abramowitz & Stegun 6.1, 6.3, 9.6, 9.7 (Stirling, digamma, modified Bessel); the binomial tail is summed term by term.
"""

from __future__ import annotations

import math

import numpy as np

_ASYMPTOTIC = 8.0  # from here on the series below are exact to rounding
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12, 3617 / 8160)


def _even_powers(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Sum of coefficients[i] * x**(-2i), by Horner."""
    step = 1.0 / (x * x)
    total = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * step + coefficient
    return total


def digamma(x: np.ndarray) -> np.ndarray:
    """ψ(x) = d ln Γ(x)/dx for x > 0, elementwise, float64."""
    x = np.array(x, dtype=np.float64)
    below = np.zeros_like(x)
    while (small := x < _ASYMPTOTIC).any():
        below[small] -= 1 / x[small]
        x[small] += 1
    return below + np.log(x) - 0.5 / x + _even_powers(_DIGAMMA, x) / (x * x)


def stirling_error(x: np.ndarray) -> np.ndarray:
    """ln Γ(x) − [(x−½) ln x − x + ½ ln 2π] for x > 0: what Stirling's formula leaves out.

    Differences of ln Γ cancel at large x; with the leading terms written out and only this rest added they do not.
    """
    x = np.array(x, dtype=np.float64)
    rest = np.zeros_like(x)
    while (small := x < _ASYMPTOTIC).any():
        rest[small] += (x[small] + 0.5) * np.log1p(1 / x[small]) - 1
        x[small] += 1
    return rest + _even_powers(_STIRLING, x) / x


def scaled_bessel(order: int, x: float) -> float:
    """e^−x · I_order(x), the scaled modified Bessel function of the first kind, for order 0 or 1 and x ≥ 0."""
    if x <= 30:
        term = total = (x / 2) ** order
        k = 1
        while term > 1e-17 * total:
            term *= (x / 2) ** 2 / (k * (k + order))
            total += term
            k += 1
        return math.exp(-x) * total
    term = total = 1.0
    for k in range(1, 30):
        term *= ((2 * k - 1) ** 2 - 4 * order * order) / (k * 8 * x)
        total += term
    return total / math.sqrt(2 * math.pi * x)


def binomial_tail(hits: np.ndarray, n: int, rate: float) -> np.ndarray:
    """P(X ≤ hits) for X ~ Binomial(n, rate), elementwise: the probability of `hits`, and the terms below it, which only shrink.

    Args:
        hits: integers below n·rate, any shape. n: trials. rate: in (0, 1].
    """
    hits = np.asarray(hits, dtype=np.float64)
    if rate >= 1:
        return np.zeros(hits.shape)
    term = np.full(hits.shape, math.exp(n * math.log1p(-rate)))
    some = hits > 0
    term[some] = np.exp(_log_binomial(hits[some], n, rate))
    total = term.copy()
    odds = (1 - rate) / rate
    k = 0
    while (term > 1e-17 * total).any():
        term = term * (odds * (hits - k) / (n - hits + 1 + k))
        total += term
        k += 1
    return total


def _log_binomial(hits: np.ndarray, n: int, rate: float) -> np.ndarray:
    """ln P(X = hits), 0 < hits < n, with the large terms of ln Γ cancelled by hand (Loader's saddle-point form)."""
    misses = n - hits
    likelihood = hits * np.log(n * rate / hits) + misses * np.log1p((hits - n * rate) / misses)
    rest = stirling_error(np.array(n)) - stirling_error(hits) - stirling_error(misses)
    return likelihood + rest + 0.5 * np.log(n / (2 * math.pi * hits * misses))

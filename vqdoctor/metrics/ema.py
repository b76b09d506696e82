"""What a checkpoint's own counters claim about use, and how far they can be believed.

A running count decays slowly, so a code that nobody chooses any more stays "active" for a long time: the claim is measured as its
family would make it (`ema.active` under the family's own test) and set against real use (`measure_illusion`).
Source: the formulas follow from N ← γN + (1−γ)·hits and the code of the families named in `vqdoctor.model.EmaFacts`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vqdoctor.metrics.entropy import entropy_bits, normalized, perplexity
from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.precision import epsilon
from vqdoctor.metrics.rows import row_blocks
from vqdoctor.metrics.usage import counts_of
from vqdoctor.model.quantizer import EmaFacts, laplace
from vqdoctor.model.report import MetricValue

DEFAULT_THRESHOLD = 1e-5
"""Where a family has no test of its own."""

KNOWN_THRESHOLDS = {
    "1e-5": (1e-5, False),
    "0.01": (0.01, False),
    "0.1": (0.1, False),
    "1": (1.0, False),
    "2": (2.0, False),
    "0.08×uniform": (0.08, True),
    "0.1×uniform": (0.1, True),
}
"""Tests in use: 1e-5 (ESM), 0.01, 0.1 (audiocraft's conditioner), 1 (Jukebox, T2M-GPT, kakaobrain), 2 (lucidrains, EnCodec),
0.08 × uniform (VAR), 0.1 × uniform (Moshi). True: a multiple of the mean count."""

CHURN = 0.01
"""Share of evenly used codes that a threshold relative to the mean may take at any time and still be called feasible."""

ROWS_SHOWN = 1000
"""Row numbers kept in facts."""


def counts_from(stored: np.ndarray, ema: EmaFacts, size: int) -> np.ndarray:
    """One count a code from what the file stores.

    Args:
        stored: the counter as read: (K,), or (scales, K) for counts "scales", or (R,) recent indices for counts "ring".
        size: K.

    Returns:
        (K,) float64. Scales are summed; a ring is counted.

    Raises:
        ValueError: a ring with something else than code indices, or a shape that does not fit.
    """
    if ema.counts == "ring":
        return counts_of(stored, size)[0].astype(np.float64)
    counts = np.asarray(stored, dtype=np.float64)
    if ema.counts == "scales" and counts.ndim == 2:
        counts = counts.sum(axis=0)
    if counts.shape != (size,):
        raise ValueError(f"a counter of shape {np.shape(stored)} does not fit {size} codes")
    return counts


def measure_ema(
    counts: np.ndarray,
    *,
    sums: np.ndarray | None = None,
    codes: np.ndarray | None = None,
    ema: EmaFacts,
    dtype: str = "float32",
) -> Measured:
    """What the counters say, under the family's own test and under every other known one.

    Args:
        counts: (K,) from `counts_from`. sums, codes: (K, D) running sums and the codes as stored, for the consistency check.
        ema: what the family means by them. dtype: the type they are stored in.

    Returns:
        all ema.* but the illusion gaps; all None where the counters say nothing, with facts["uninformative"] = why.
        facts: "thresholds" name → share of codes active; "threshold_source" "family" or "default"; "life" steps for which a code
        that is never hit stays active, "fade" the same for one of average use after its last hit (None: unknown or for ever);
        "feasibility" see `threshold_feasibility`; and where sums were given "inconsistent_rows" (the first 1000),
        "inconsistent_inactive" how many of them are below the threshold, "inconsistency" the largest relative error,
        "sum_is_code_rows" how many sums equal the code although its count is 2 or more (a shrunken start).
    """
    counts = np.asarray(counts, dtype=np.float64)
    names = (*_CLAIMS, "ema.inconsistent_rows")
    why = uninformative(counts, ema)
    if why:
        return Measured(dict.fromkeys(names), {"uninformative": why})
    threshold = resolved_threshold(counts, ema)
    active = counts >= threshold
    metrics = _claims(counts, threshold, int(active.sum()))
    facts = _facts(counts, threshold, ema)
    metrics["ema.inconsistent_rows"] = None
    if sums is not None and codes is not None:
        wrong, evidence = _inconsistency(counts, active, sums, codes, ema, dtype)
        metrics["ema.inconsistent_rows"] = wrong
        facts |= evidence
    return Measured(metrics, facts)


def measure_illusion(ema_utilization: float | None, usage: dict[str, MetricValue], size: int) -> Measured:
    """How much more the counters claim than real use shows.

    Args:
        ema_utilization: ema.utilization. usage: metrics of `measure_usage` for the same level. size: K.

    Returns:
        ema.illusion_gap = ema.utilization − usage.utilization; ema.illusion_gap_conservative against the upper end of the reachable
        codes, so that a small sample cannot make an illusion. None where either side is.
    """
    real, high = usage.get("usage.utilization"), usage.get("usage.reachable_high")
    pairs = {"ema.illusion_gap": (real, 1), "ema.illusion_gap_conservative": (high, size)}
    return Measured(
        {
            name: ema_utilization - value / per if ema_utilization is not None and isinstance(value, (int, float)) else None
            for name, (value, per) in pairs.items()
        },
        {},
    )


def uninformative(counts: np.ndarray, ema: EmaFacts) -> str | None:
    """Why these counters say nothing about use; None where they do."""
    if ema.counts == "stale":
        return "this counter is never updated in this family"
    if ema.counts == "countdown":
        return "this counter counts down to a replacement: it says how long ago a code was used, not how often"
    if not np.isfinite(counts).all():
        return "the counters hold NaN or infinite values"
    if (counts < 0).any():
        return "the counters hold negative values"
    first = float(counts[0])
    if first in (0.0, 1.0) and (counts == first).all():
        return f"every count is exactly {first:g}: never updated"
    if ema.counts == "ring" and counts[0] == counts.sum():
        return "the ring of recent codes holds only 0, which is also what an unfilled one holds"
    return None


def resolved_threshold(counts: np.ndarray, ema: EmaFacts) -> float:
    """The family's own test as a count (count < threshold is dead); 1e-5 where it has none or one that never fires."""
    if not ema.threshold or ema.threshold <= 0:
        return DEFAULT_THRESHOLD
    return ema.threshold * float(counts.mean()) if ema.threshold_unit == "uniform" else ema.threshold


def ema_life(mass: float, threshold: float, decay: float) -> int | None:
    """Steps for which a code of this mass that is never hit stays active (mass·decay^t ≥ threshold); None: for ever.

    ⌊ln(mass/threshold) / −ln decay⌋ + 1 is the first inactive step; 0 where it is inactive from the start.
    """
    if mass < threshold:
        return 0
    if threshold <= 0 or decay >= 1:
        return None
    if decay <= 0:
        return 1
    steps = max(0, math.floor(math.log(mass / threshold) / -math.log(decay)) - 1)
    while mass * decay**steps >= threshold:
        steps += 1
    return steps


def hits_only(counts: np.ndarray, start_mass: float, decay: float, steps: int) -> np.ndarray:
    """The running counts (K,) without what is left of their initial mass: exactly what hits contributed; removes the illusion."""
    return np.asarray(counts, dtype=np.float64) - start_mass * decay**steps


def threshold_feasibility(tokens: float, size: int, decay: float, threshold: float, *, relative: bool = False) -> dict[str, Any]:
    """Can a perfectly uniform codebook stay above the threshold?

    With n tokens a step the stationary count of a code of rate 1/K has mean n/K and variance n/K·(1−1/K)·(1−γ)/(1+γ).

    Args:
        relative: the threshold is a share of the mean, which uniform use always meets on average. Near 0 the count's law is far
            from normal, so that deviations say little: a code falls that low only if no token finds it for long.

    Returns:
        "mean", "deviation", "feasible" (mean ≥ threshold + 4 deviations; relative: at most `CHURN` of such codes below it at any
        time), "false_dead" the chance that a healthy code is below it, were its count normal.
    """
    mean = tokens / size
    deviation = math.sqrt(mean * (1 - 1 / size) * (1 - decay) / (1 + decay))
    below = (mean - threshold) / deviation if deviation else math.copysign(math.inf, mean - threshold)
    starved = relative and chance_below(mean, decay, threshold) <= CHURN
    return {
        "mean": mean,
        "deviation": deviation,
        "feasible": starved or mean >= threshold + 4 * deviation,
        "false_dead": 0.5 * math.erfc(below / math.sqrt(2)),
    }


def chance_below(mean: float, decay: float, threshold: float) -> float:
    """Chernoff's bound on the chance that the count of a code with Poisson hits is below a threshold under its mean.

    The count is a = 1−γ times the sum of γ^k · hits k steps ago, so log E e^{−sN} = mean · Σ_k (e^{−s·a·γ^k} − 1), and P(N ≤ τ) ≤
    e^{sτ} E e^{−sN} for every s > 0.

    Example:
        >>> f"{chance_below(0.25, 0.9, 0.0125):.4f}"  # 64 tokens, 256 codes, 5 % of the mean: in a simulation it is 0.0006
        '0.0022'
    """
    if not (mean > 0 and threshold < mean and 0 < decay < 1):
        return 0.0 if decay >= 1 and threshold < mean else 1.0
    steps = math.ceil(-30 / math.log(decay))  # then a hit is forgotten
    ago = np.linspace(0, steps - 1, min(steps, 2048))
    tilts = np.geomspace(1e-2, 1e5, 200) / mean
    logs = tilts * threshold + mean * steps / len(ago) * np.expm1(-np.outer(tilts, (1 - decay) * decay**ago)).sum(axis=1)
    return math.exp(min(0.0, float(logs.min())))


_CLAIMS = (
    "ema.total", "ema.threshold", "ema.active", "ema.utilization",
    "ema.entropy_bits", "ema.entropy_normalized", "ema.perplexity",
)  # fmt: skip


def _claims(counts: np.ndarray, threshold: float, active: int) -> dict[str, MetricValue]:
    bits = entropy_bits(counts)
    values = (
        float(counts.sum()), threshold, active, active / counts.size, bits, normalized(bits, counts.size), perplexity(bits),
    )  # fmt: skip
    return dict(zip(_CLAIMS, values, strict=True))


def _facts(counts: np.ndarray, threshold: float, ema: EmaFacts) -> dict[str, Any]:
    own = bool(ema.threshold and ema.threshold > 0)
    facts: dict[str, Any] = {
        "thresholds": _shares_active(counts, ema.counts == "probability"),
        "threshold_source": "family" if own else "default",
        "life": None,
        "fade": None,
        "feasibility": None,
    }
    if ema.decay and ema.counts in ("ema", "scales"):
        facts["fade"] = ema_life(float(counts.mean()), threshold, ema.decay)
        if ema.start_mass is not None:
            facts["life"] = ema_life(ema.start_mass, threshold, ema.decay)
        if own:  # in a steady state the counts add up to the tokens of one step
            facts["feasibility"] = threshold_feasibility(
                float(counts.sum()), counts.size, ema.decay, threshold, relative=ema.threshold_unit == "uniform"
            )
    return facts


def _shares_active(counts: np.ndarray, shares: bool) -> dict[str, float]:
    """Share of codes active under each known test; absolute ones mean nothing for counters that are shares."""
    mean = float(counts.mean())
    return {
        name: float((counts >= (value * mean if relative else value)).mean())
        for name, (value, relative) in KNOWN_THRESHOLDS.items()
        if relative or not shares
    }


def _inconsistency(
    counts: np.ndarray, active: np.ndarray, sums: np.ndarray, codes: np.ndarray, ema: EmaFacts, dtype: str
) -> tuple[int | None, dict[str, Any]]:
    """Finite rows whose code is not what their sum and count give, within 1e-4 of its norm or 4 ulp of the stored type."""
    if ema.relation not in ("laplace", "ratio", "cosine"):
        return None, {}
    divisor = counts if ema.relation == "ratio" else laplace(counts, ema.eps)
    norm, error, gap = np.hstack(
        [_row_errors(sums[rows], codes[rows], divisor[rows], ema.relation == "cosine") for rows in row_blocks(*codes.shape)]
    )
    finite = np.isfinite(norm)
    tolerance = max(1e-4, 4 * epsilon(dtype)) * norm
    wrong = finite & ~(error <= tolerance)  # NaN is wrong too: the next step would write it into the code
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = (error / norm)[wrong]
    relative = relative[np.isfinite(relative)]
    return int(wrong.sum()), {
        "inconsistent_rows": np.flatnonzero(wrong)[:ROWS_SHOWN].tolist(),
        "inconsistent_inactive": int((wrong & ~active).sum()),
        "inconsistency": float(relative.max()) if relative.size else None,
        "sum_is_code_rows": int((finite & (norm > 0) & (gap <= tolerance) & (counts >= 2)).sum()),
    }


def _row_errors(sums: np.ndarray, codes: np.ndarray, divisor: np.ndarray, unit: bool) -> np.ndarray:
    """(3, rows): norm of the code, its distance from what the sum gives, its distance from the sum itself; NaN where not finite."""
    codes, sums = codes.astype(np.float64), sums.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if unit:  # the smoothed count is one positive factor a row: normalising removes it
            expected = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        else:
            expected = sums / divisor[:, None]
        return np.stack([np.linalg.norm(rows, axis=1) for rows in (codes, codes - expected, codes - sums)])

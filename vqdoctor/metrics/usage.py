"""Real use of one codebook: how many codes a sample of rows chose, how evenly, and what that proves about the rest.

The counts are pooled over the whole sample; means over batches, which trackers log, stand beside them under names that say so.
Sources: Clopper & Pearson 1934 for the verdicts; the rest is named in `entropy` and `richness`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.metrics.entropy import (
    entropy_bits,
    gini,
    gini_floor,
    grassberger_bits,
    hill2,
    normalized,
    perplexity,
    perplexity_interval,
)
from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.richness import (
    Richness,
    coverage,
    expected_used,
    expected_used_deviation,
    reachable,
    richness_of,
    rows_to_call_dead,
    unseen_rate_upper,
)
from vqdoctor.metrics.special import binomial_tail
from vqdoctor.model.report import MetricValue

UNASSIGNED = -1
"""The index that marks a row without a code."""

VERDICTS = ("dead", "rare_or_dead", "rare", "undecided", "live")
"""What facts["verdicts"] says of a code, by its number there (int8)."""
DEAD, RARE_OR_DEAD, RARE, UNDECIDED, LIVE = range(5)

_CHUNK = 1 << 16  # codes checked and counted at a time, while they are in the cache


def assigned(codes: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """The rows that have a code, checked.

    Args:
        codes: indices, any shape; integers, or floats that are whole numbers. −1 marks a row without a code.
        size: K.

    Returns:
        (n,) int64 indices in [0, K), a view of `codes` where nothing has to change, and the number of rows dropped as unassigned.

    Raises:
        ValueError: an index that is NaN, infinite, not whole, at or above K, or below −1.
    """
    codes = np.asarray(codes).ravel()
    if codes.dtype.kind == "f" and not (np.isfinite(codes).all() and (codes == np.floor(codes)).all()):
        raise ValueError("code indices must be whole numbers")
    if codes.dtype.kind not in "iufb":
        raise ValueError(f"code indices must be integers, not {codes.dtype}")
    least, most = (codes.min(), codes.max()) if codes.size else (0, 0)
    if least < UNASSIGNED or most >= size:
        raise ValueError(f"code indices must be in 0…{size - 1} (or −1, unassigned); found {least}…{most}")
    kept = codes.astype(np.int64, copy=False)
    kept = kept[kept != UNASSIGNED] if least == UNASSIGNED else kept
    return kept, codes.size - kept.size


def counts_of(codes: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Hits of each of `size` codes, (K,) int64, and the number of unassigned rows; rules and errors as `assigned`."""
    codes = np.asarray(codes).ravel()
    counts, left_out = np.zeros(size, np.int64), 0
    step = max(_CHUNK, size)
    for start in range(0, max(1, codes.size), step):  # also an empty array is checked
        kept, dropped = assigned(codes[start : start + step], size)
        counts += np.bincount(kept, minlength=size)
        left_out += dropped
    return counts, left_out


def measure_usage(
    counts: np.ndarray,
    *,
    population: bool = False,
    batches: BatchMeans | None = None,
    dead_rate: float = 0.01,
    rare_rate: float = 0.10,
    alpha: float = 0.05,
) -> Measured:
    """Everything that the counts of one codebook say.

    Args:
        counts: (K,) integers, hits of each code over the sample.
        population: the rows are all there are, so an unseen code is dead, not merely unseen, and coverage and reach are facts.
        batches: running means over batches; None leaves usage.batch_* undefined.
        dead_rate, rare_rate: a code's share as a multiple of the uniform share 1/K. alpha: one-sided level of the verdicts.

    Returns:
        all usage.* but usage.soft_perplexity. With n = 0 all are None but usage.n.
        facts: "verdicts" (K,) int8, see VERDICTS; "unseen_rate_upper" (multiple of the uniform rate); "expected_used" and
        "expected_used_deviation" of a uniform source; "z" the deviations that `used` lies above that; "singletons", "doubletons";
        "batches" complete batches averaged.

    Raises:
        ValueError: counts that are empty, negative or not whole numbers.
    """
    counts = _checked(counts)
    sample, size = richness_of(counts), counts.size
    verdicts = code_verdicts(counts, population=population, dead_rate=dead_rate, rare_rate=rare_rate, alpha=alpha)
    metrics: dict[str, MetricValue] = {
        **_seen(sample, size),
        **_evenness(counts),
        **_reach(sample, size, population),
        **_verdict_counts(verdicts, sample),
        "usage.samples_needed": _rows_missing(sample, size, population, dead_rate, alpha),
        **(batches.metrics() if batches else BatchMeans(size).metrics()),
    }
    if not sample.n:
        metrics = {**dict.fromkeys(metrics), "usage.n": 0}
    facts = _facts(sample, size, alpha) | {"verdicts": verdicts, "batches": batches.count if batches else 0}
    return Measured(metrics, facts)


def measure_soft_usage(mean_assignment: np.ndarray) -> Measured:
    """usage.soft_perplexity from (K,) soft assignments averaged over the rows (softmax(−d²/T) each)."""
    return Measured({"usage.soft_perplexity": perplexity(entropy_bits(mean_assignment))}, {})


def code_verdicts(
    counts: np.ndarray, *, population: bool = False, dead_rate: float = 0.01, rare_rate: float = 0.10, alpha: float = 0.05
) -> np.ndarray:
    """One verdict a code, (K,) int8, numbers as in VERDICTS; arguments as in `measure_usage`.

    The upper bound of the code's rate decides: at most `dead_rate` dead; at most `rare_rate` rare, or rare_or_dead if unseen; above
    it live if seen, else undecided. In a population the rate itself decides, and just the unseen codes are dead.
    """
    n, size = int(counts.sum()), counts.size
    values, place = np.unique(counts, return_inverse=True)
    if n == 0:
        return np.full(size, UNDECIDED, dtype=np.int8)
    certainty = None if population else alpha
    rare = _below(values, n, rare_rate / size, certainty)
    verdict = np.where(values > 0, np.where(rare, RARE, LIVE), np.where(rare, RARE_OR_DEAD, UNDECIDED))
    verdict[(values == 0) if population else _below(values, n, dead_rate / size, alpha)] = DEAD
    return verdict.astype(np.int8)[place]


def _below(hits: np.ndarray, n: int, rate: float, alpha: float | None) -> np.ndarray:
    """Is the rate of a code with these hits at most `rate`? By its Clopper–Pearson upper bound, or by itself without `alpha`.

    The bound is the p at which P(X ≤ hits) = alpha: it is at most `rate` just where that probability at `rate` is at most alpha.
    """
    if alpha is None:
        return hits <= n * rate
    below = hits < n * rate  # else the bound, which is above hits/n, is above the rate
    below[below] = binomial_tail(hits[below], n, rate) <= alpha
    return below


def _checked(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim != 1 or not counts.size:
        raise ValueError("counts must be a vector with an entry for each code")
    if counts.dtype.kind not in "iu":
        whole = counts.astype(np.int64)
        if not np.array_equal(whole, counts):
            raise ValueError("counts must be whole numbers")
        counts = whole
    if counts.min() < 0:
        raise ValueError("counts must not be negative")
    return counts.astype(np.int64, copy=False)


def _seen(sample: Richness, size: int) -> dict[str, MetricValue]:
    utilization = sample.used / size
    ceiling = expected_used(size, sample.n) / size
    return {
        "usage.n": sample.n,
        "usage.used": sample.used,
        "usage.utilization": utilization,
        "usage.ceiling": ceiling,
        "usage.adjusted": utilization / ceiling if ceiling else None,
    }


def _evenness(counts: np.ndarray) -> dict[str, MetricValue]:
    n, size = int(counts.sum()), counts.size
    bits = entropy_bits(counts)
    low, high = perplexity_interval(counts) or (None, None)
    concentration = gini(counts)
    return {
        "usage.entropy_bits": bits,
        "usage.entropy_normalized": normalized(bits, size),
        "usage.perplexity": perplexity(bits),
        "usage.entropy_bits_corrected": grassberger_bits(counts),
        "usage.perplexity_low": low,
        "usage.perplexity_high": high,
        "usage.hill2": hill2(counts),
        "usage.gini": concentration,
        "usage.gini_excess": None if concentration is None else concentration - gini_floor(n / size),
        "usage.max_share": int(counts.max()) / n if n else None,
    }


def _reach(sample: Richness, size: int, population: bool) -> dict[str, MetricValue]:
    estimate, low, high = reachable(sample, size) or (None, None, None)
    covered = coverage(sample)
    if population:
        estimate = low = high = sample.used
        covered = 1.0
    return {
        "usage.coverage": covered,
        "usage.reachable": estimate,
        "usage.reachable_low": low,
        "usage.reachable_high": high,
    }


def _verdict_counts(verdicts: np.ndarray, sample: Richness) -> dict[str, MetricValue]:
    codes = np.bincount(verdicts, minlength=len(VERDICTS))
    return {
        "usage.unseen": verdicts.size - sample.used,
        **{f"usage.{name}": int(number) for name, number in zip(VERDICTS, codes, strict=True)},
    }


def _rows_missing(sample: Richness, size: int, population: bool, dead_rate: float, alpha: float) -> int:
    """More rows to call one unseen code dead; 0 where none is unseen or the rows are all there are."""
    if population or sample.used == size:
        return 0
    return max(0, rows_to_call_dead(size, dead_rate, alpha) - sample.n)


def _facts(sample: Richness, size: int, alpha: float) -> dict[str, Any]:
    expected, deviation = expected_used(size, sample.n), expected_used_deviation(size, sample.n)
    return {
        "singletons": sample.singletons,
        "doubletons": sample.doubletons,
        "expected_used": expected,
        "expected_used_deviation": deviation,
        "z": (sample.used - expected) / deviation if deviation > 1e-6 else None,
        "unseen_rate_upper": unseen_rate_upper(sample.n, size, alpha),
    }

"""How sure a number is: the band in which the truth lies, which may be wider than the number that was observed (contract §6).

A threshold passes where the whole band is on its good side, fails where the whole band is on the other, and is inconclusive where
it lies inside. For what only grows with more rows (codes seen, collisions) the lower end is what was observed; an upper end exists
from 3·K rows on, or in a population, where everything is a fact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from vqdoctor.gating.subject import Place
from vqdoctor.metrics.sufficiency import ROWS_PER_CODE, entropy_high_bits, rows_to_settle_mean, rows_to_settle_use


@dataclass(frozen=True, slots=True)
class Band:
    """value: as observed; low, high: where the truth lies, at 95 % where that is estimated; basis: in words, "" for a fact.

    settle: threshold → rows in all that would settle it, None where none would.
    """

    value: float
    low: float
    high: float
    n: int | None = None
    basis: str = ""
    settle: Callable[[float], int | None] = lambda threshold: None


def band_of(place: Place, metric: str) -> Band | None:
    """The band of a metric at a place; None where it has no value there."""
    value = place.value(metric)
    if value is None:
        return None
    family = metric.partition(".")[0]
    rests_on_rows = family in ("usage", "collision", "levels", "match", "distortion") or metric.startswith("ema.illusion")
    fact = Band(value, value, value, place.n if rests_on_rows and not place.stated else None)
    if place.stated or place.population or not rests_on_rows:
        return fact
    if metric in MAKERS:
        return MAKERS[metric](place, fact)
    if family == "collision":
        return replace(fact, high=math.inf, basis=_MORE_ITEMS)
    return fact if family == "distortion" or metric in AS_OBSERVED else _from_enough_rows(place, fact)


_MORE_ITEMS = "a sample: the whole catalogue collides at least as much"


def _from_enough_rows(place: Place, fact: Band) -> Band:
    """A number that says nothing before each code had its chance."""
    enough = ROWS_PER_CODE * place.codes
    if place.codes and place.n is not None and place.n >= enough:
        return fact
    basis = f"under {ROWS_PER_CODE} rows a code it says little" if place.codes else "the size of the codebook is not known"
    return replace(fact, low=-math.inf, high=math.inf, basis=basis, settle=lambda threshold: enough or None)


def _reached(scale: Callable[[Place], float]) -> Callable[[Place, Band], Band]:
    """Codes seen, or their share: at least what was observed; at most what can be reached. scale: one code in the metric's unit."""

    def make(place: Place, fact: Band) -> Band:
        most, basis = _most_codes(place)
        if not place.codes:
            return replace(fact, high=math.inf, basis=basis)
        one = scale(place)

        def settle(threshold: float) -> int | None:
            return None if place.seen is None else rows_to_settle_use(place.seen, place.codes, threshold / one)

        return replace(fact, high=max(fact.value, most * one), basis=basis, settle=settle)

    return make


def _most_codes(place: Place) -> tuple[float, str]:
    """Codes that may be in use, and on what grounds."""
    high = place.value("usage.reachable_high")
    if high is not None and place.n is not None and place.n >= ROWS_PER_CODE * place.codes:
        return high, f"at most {high:.4g} of {place.codes} codes reachable at 95 %"
    return place.codes, f"unseen codes may still be reached: under {ROWS_PER_CODE} rows a code"


def _left(place: Place, fact: Band) -> Band:
    """Codes not seen: what is left of K, so it only shrinks."""
    reached = _reached(lambda place: 1.0)(place, Band(place.codes - fact.value, place.codes - fact.value, 0.0, fact.n))
    if not place.codes:
        return _from_enough_rows(place, fact)
    return replace(
        fact, low=place.codes - reached.high, basis=reached.basis, settle=lambda threshold: reached.settle(place.codes - threshold)
    )


def _dead(place: Place, fact: Band) -> Band:
    """Codes proved dead: with more rows, those that are open may join them."""
    open_codes = sum(place.value(f"usage.{name}") or 0 for name in ("rare_or_dead", "undecided"))
    needed = place.value("usage.samples_needed")
    rows = None if not needed or place.n is None else place.n + int(needed)
    basis = f"{open_codes:.0f} more codes may turn out dead" if open_codes else ""
    return replace(fact, high=fact.value + open_codes, basis=basis, settle=lambda threshold: rows)


def _gap(place: Place, fact: Band) -> Band:
    """What EMA claims beyond real use: shrinks as more codes are seen."""
    claimed = place.value("ema.utilization")
    if claimed is None or not place.codes:
        return _from_enough_rows(place, fact)
    most, basis = _most_codes(place)
    return replace(
        fact, low=min(fact.value, claimed - most / place.codes), basis=basis,
        settle=lambda threshold: None if place.seen is None else rows_to_settle_use(
            place.seen, place.codes, (claimed - threshold) * place.codes),
    )  # fmt: skip


def _entropy(of_bits: Callable[[float, int], float], to_bits: Callable[[float, int], float]) -> Callable[[Place, Band], Band]:
    """An entropy in some unit, by the 95 % interval of the perplexity."""

    def make(place: Place, fact: Band) -> Band:
        low, high = place.value("usage.perplexity_low"), place.value("usage.perplexity_high")
        if low is None or high is None or low < 1 or high < 1 or not place.codes or place.n is None:
            return _from_enough_rows(place, fact)
        ends = [math.log2(low), math.log2(high)]
        middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2
        if (few := place.n < ROWS_PER_CODE * place.codes) and place.seen is not None:
            ends[1] = entropy_high_bits(ends[1], place.seen, place.codes)
        elif few:
            ends[1] = math.log2(place.codes)

        def settle(threshold: float) -> int | None:
            bits = to_bits(threshold, place.codes)
            rows = rows_to_settle_mean(place.n or 0, middle, half, bits) if math.isfinite(bits) else None
            return max(rows or 0, ROWS_PER_CODE * place.codes) if few else rows

        bottom, top = (of_bits(end, place.codes) for end in ends)
        return replace(fact, low=bottom, high=top, basis=f"95 % interval {bottom:.4g} to {top:.4g}", settle=settle)

    return make


def _log2(x: float) -> float:
    return math.log2(x) if x > 0 else -math.inf


_BITS = _entropy(lambda bits, codes: bits, lambda value, codes: value)
_NORMALISED = _entropy(
    lambda bits, codes: bits / math.log2(codes) if codes > 1 else 1.0, lambda value, codes: value * math.log2(codes)
)
_PERPLEXITY = _entropy(lambda bits, codes: 2.0**bits, lambda value, codes: _log2(value))

MAKERS: dict[str, Callable[[Place, Band], Band]] = {
    "usage.used": _reached(lambda place: 1.0),
    "usage.utilization": _reached(lambda place: 1.0 / place.codes),
    "usage.reachable": _reached(lambda place: 1.0),
    "usage.unseen": _left,
    "usage.dead": _dead,
    "usage.entropy_bits": _BITS,
    "usage.entropy_bits_corrected": _BITS,
    "usage.entropy_normalized": _NORMALISED,
    "usage.perplexity": _PERPLEXITY,
    "ema.illusion_gap": _gap,
    "collision.items": lambda place, fact: fact,
    "collision.capacity": lambda place, fact: fact,
    "collision.pair_probability": lambda place, fact: fact,
}
"""Metrics whose band is known in more detail than "as observed, from 3·K rows on"."""

AS_OBSERVED = frozenset(
    {
        "usage.n", "usage.ceiling", "usage.coverage", "usage.samples_needed", "usage.perplexity_low", "usage.perplexity_high",
        "usage.reachable_low", "usage.reachable_high", "usage.batch_used", "usage.batch_utilization", "usage.batch_entropy_bits",
        "usage.batch_entropy_normalized", "usage.batch_perplexity", "match.mean_shift", "match.scale_ratio", "match.agreement",
        "levels.gain_db",
    }
)  # fmt: skip
"""Facts of the sample, ends of intervals, and means over rows or batches, which a few rows settle."""


def mean_band(bands: list[Band]) -> Band:
    """The band of the mean over levels."""
    count = len(bands)
    rows = [band.n for band in bands if band.n is not None]

    def settle(threshold: float) -> int | None:
        needed = [band.settle(threshold) for band in bands]
        return max((each for each in needed if each is not None), default=None)

    return Band(
        sum(band.value for band in bands) / count, sum(band.low for band in bands) / count,
        sum(band.high for band in bands) / count, min(rows) if rows else None,
        next((f"over the levels: {band.basis}" for band in bands if band.basis), ""), settle,
    )  # fmt: skip

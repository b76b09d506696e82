"""Everything that belongs to a code: its running count and sum, the flag, every stored copy, what the optimiser remembers of it.

A repair that writes codes alone is undone by the next training step. Count m = ΣN/K and sum = m·code make the family's own
normalisation the identity (theory §7.2); m has to be above the family's dead-code threshold, or the code is replaced at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from vqdoctor.layouts import Write, copies, ema_counts, ema_sums, state_for, stored_rows
from vqdoctor.layouts.optimizer import moments_of
from vqdoctor.metrics.precision import epsilon
from vqdoctor.model import Codebook, EmaFacts, Quantizer, TensorSource, laplace
from vqdoctor.treatment.rounding import rounded

FIXED = 1e-5  # relative move of a row in a normalisation without hits that still counts as none
NEVER_HIT = 0.02  # share of the codes with the same smallest count, from which on it is taken for the rest of a start
YOUNGEST = 0.98  # rest of a start above which a run is too young to tell its tokens
COUNTED = frozenset({"ema", "smoothed", "probability", "cumulative"})


def eps_of(quantizer: Quantizer) -> float:
    """The floor of the family's counts, for `layouts.codes`."""
    return quantizer.ema.eps if quantizer.ema else 1e-5


def writes_for(
    source: TensorSource, quantizer: Quantizer, index: int, rows: np.ndarray, values: np.ndarray, masses: np.ndarray | None = None
) -> tuple[list[Write], list[str]]:
    """What makes `values` the codes `rows` of level `index`, in the quantiser and in all its copies.

    Args:
        rows: (r,) codes. values: (r, D) effective codes. masses: (r,) running counts; None: the mean count each.

    Returns:
        the writes, and a sentence for each count that could not be what it should.
    """
    writes, said = [], []
    for copy in copies(quantizer):
        level = copy.levels[index]
        if level.data_dependent:
            continue
        counts, notes = _masses(source, copy, level, len(rows), masses)
        new = rounded(values, level.dtype) if level.transform == "stored" else values
        writes += state_for(source, copy, level, rows, new.astype(np.float32), counts)
        said += notes
    return writes, list(dict.fromkeys(said))


def _masses(
    source: TensorSource, quantizer: Quantizer, level: Codebook, rows: int, masses: np.ndarray | None
) -> tuple[np.ndarray, list[str]]:
    """Running counts (rows,) float64 for rewritten codes, rounded to how they are stored."""
    ema, counts = quantizer.ema, running_counts(source, quantizer, level)
    if ema is None or counts is None or level.ema_count is None:
        return np.ones(rows), []
    known = counts[np.isfinite(counts) & (counts >= 0)]
    mean = float(known.mean()) if known.size and known.any() else 1.0
    wanted = np.full(rows, mean) if masses is None else masses
    notes = []
    if ema.threshold and ema.threshold > 0 and rows:
        least = ema.threshold * (mean if ema.threshold_unit == "uniform" else 1.0)
        if (wanted <= least).any():
            notes.append(
                f"the mean count {mean:.3g} gives rewritten codes no more than the family's dead-code threshold {least:.3g}: "
                f"their counts are written as {2 * least:.3g}. The threshold is too high for the tokens of a step (VQ302)."
            )
            wanted = np.where(wanted <= least, 2 * least, wanted)
    elif ema.unstated and rows:
        option, usual = ema.unstated
        needed = usual / (ema.decay or 1.0)  # outlives one step without a hit
        settled = (settled_total(counts, ema) or 0.0) / len(counts)
        if (wanted <= needed).any() and settled > max(needed, mean):
            notes.append(
                f"the run is young: its mean count {mean:.3g} is on its way to {settled:.3g}, which is what rewritten codes get. "
                f"With {needed:.3g} or less they could be replaced in the first step if training sets {option} to {usual:g}."
            )
            wanted = np.maximum(wanted, settled)
    dtype = source.specs[level.ema_count.name].dtype
    return rounded(wanted, dtype).astype(np.float64), notes


def running_counts(source: TensorSource, quantizer: Quantizer, level: Codebook) -> np.ndarray | None:
    """The level's running counts (K,) float64, None where it has none that go with single codes."""
    if quantizer.ema is None or quantizer.ema.counts not in COUNTED:
        return None
    counts = ema_counts(source, level)
    return counts if counts is not None and counts.shape == (level.codes,) else None


def settled_total(counts: np.ndarray, ema: EmaFacts) -> float | None:
    """What running counts (K,) will add up to, the tokens of a step: less what is left of a start at 1, scaled up by what is gone.

    Codes that no step has hit all hold just that rest, γ^t. None where counts are of another kind, or are as at their start.
    """
    if ema.counts not in ("ema", "smoothed") or not np.isfinite(counts).all() or not counts.size:
        return None
    alike = never_hit(counts, ema)
    if alike is None:
        at_start = ema.start_mass == 1 and bool(np.abs(counts - 1).max() < 1 - YOUNGEST)
        return None if at_start else float(counts.sum())
    rest = float(counts[alike].min())
    return (float(counts.sum()) - rest * counts.size) / (1 - rest)


def never_hit(counts: np.ndarray, ema: EmaFacts) -> np.ndarray | None:
    """(K,) bool: codes whose count is what is left of its start, so that no step has hit them; None where counts can't tell."""
    if ema.counts not in ("ema", "smoothed") or ema.start_mass != 1 or not np.isfinite(counts).all():
        return None
    rest = float(counts.min(initial=1))
    alike = np.isclose(counts, rest, rtol=1e-3)
    return alike if 0 < rest < YOUNGEST and max(2, NEVER_HIT * counts.size) <= alike.sum() < counts.size else None


def normalised(source: TensorSource, quantizer: Quantizer, level: Codebook) -> np.ndarray | None:
    """The stored rows (K, D) float64 that the family's update would write now, without a hit.

    None where codes don't follow sums.
    """
    ema, sums, counts = quantizer.ema, ema_sums(source, level), ema_counts(source, level)
    if ema is None or ema.relation not in ("laplace", "ratio", "cosine") or sums is None or counts is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        if ema.relation == "cosine":
            return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12))
        divisor = counts if ema.relation == "ratio" else laplace(counts, ema.eps)
        return np.asarray(sums / divisor[:, None])


def drift(source: TensorSource, quantizer: Quantizer, level: Codebook) -> np.ndarray | None:
    """How far each row moves in one normalisation without hits, relative to its norm, (K,) float64; None where none takes place."""
    target = normalised(source, quantizer, level)
    if target is None:
        return None
    rows = stored_rows(source, level).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.linalg.norm(target - rows, axis=1) / np.maximum(np.linalg.norm(rows, axis=1), 1e-30))


def allowed_drift(source: TensorSource, level: Codebook, least: float = FIXED) -> float:
    """`least`, or 4 units in the last place of the coarsest type that codes, counts and sums are stored in."""
    places = (level.stored, level.ema_count, level.ema_sum)
    return max(least, *(4 * epsilon(source.specs[place.name].dtype) for place in places if place is not None))


def moment_writes(source: TensorSource, quantizer: Quantizer, index: int, rows: np.ndarray, live: np.ndarray) -> list[Write]:
    """What the optimiser shall remember of rewritten rows (r,), in all copies; live: codes in use. See `remembered`."""
    writes = []
    for copy in copies(quantizer):
        level = copy.levels[index]
        for key, spec in moments_of(source, level).items():
            where = replace(level.stored, name=spec.name)
            writes.append(Write(where, rows, remembered(where.view(source.read(spec.name)), key, rows, live)))
    return writes


def remembered(table: np.ndarray, key: str, rows: np.ndarray, live: np.ndarray) -> np.ndarray:
    """No direction, and the typical size of a live row's gradient: what a rewritten row's moments become, (r, D).

    A second moment of zero under a late step count would make the first update (1−β₁)/√(1−β₂) = 3.16 learning rates long instead of
    at most one (theory §7.2), so it becomes the median of the live rows.

    Args:
        table: (K, D) moments of the book. key: which moment. rows: (r,) codes rewritten. live: codes in use.
    """
    typical = np.median(table[live], axis=0) if key.endswith("exp_avg_sq") and len(live) else np.zeros(table.shape[1:])
    return np.broadcast_to(typical, (len(rows), *table.shape[1:]))


def changing(writes: Iterable[Write], *places: object) -> list[Write]:
    """Those of `writes` that go to one of `places`."""
    return [write for write in writes if any(write.where == place for place in places if place is not None)]

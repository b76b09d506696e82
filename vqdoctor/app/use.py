"""Real use: from the tally of one pass over a sample to numbers, level by level and for the quantiser as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vqdoctor.app.static import StaticLevel
from vqdoctor.engines import Tally, level_inputs, unseen_distances
from vqdoctor.metrics import (
    VERDICTS,
    Measured,
    measure_collisions,
    measure_distortion,
    measure_illusion,
    measure_levels,
    measure_match,
    measure_soft_usage,
    measure_usage,
    pca_map,
    translate_level,
    translate_quantizer,
)
from vqdoctor.metrics.geometry import participation_by_use, participation_ratio, spectrum
from vqdoctor.model import Group, Lookup

GROUP_MEMBERS = 10


@dataclass(frozen=True, slots=True)
class LevelUse:
    """What a sample says of one level: metrics and facts to go into its report, its hits, columns for --details."""

    metrics: dict[str, Any]
    facts: dict[str, Any]
    counts: np.ndarray
    per_code: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QuantizerUse:
    """What a sample says of a quantiser as a whole."""

    levels: tuple[LevelUse, ...]
    metrics: dict[str, Any] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    prefixes: dict[str, Any] | None = None
    map: dict[str, Any] | None = None
    translations: tuple[dict[str, Any], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def measure_levels_use(tally: Tally, static: Sequence[StaticLevel] | None, *, population: bool) -> list[LevelUse]:
    """usage.* and the EMA illusion of every level. static: None for semantic IDs, which have no books."""
    found = []
    for index, level in enumerate(tally.levels):
        usage = measure_usage(level.counts, population=population, batches=level.batches)
        metrics = dict(usage.metrics)
        if level.soft is not None:
            metrics |= measure_soft_usage(level.soft).metrics
        if static is not None:
            claimed = static[index].measured.metrics.get("ema.utilization")
            metrics |= measure_illusion(
                claimed if isinstance(claimed, int | float) else None, usage.metrics, len(level.counts)
            ).metrics
        verdicts = [VERDICTS[code] for code in usage.facts["verdicts"]]
        facts = {"unassigned": tally.dropped, "usage.z": usage.facts["z"]}
        found.append(LevelUse(metrics, facts, level.counts, {"count": level.counts, "verdict": verdicts}))
    return found


def add_distortion(tally: Tally, lookup: Lookup, static: Sequence[StaticLevel], uses: Sequence[LevelUse]) -> None:
    """distortion.* and match.*, from the same pass and its kept rows; nothing where only codes were seen."""
    if tally.kept is None or tally.energy is None:
        return
    energies = group_energies(tally, lookup) if lookup.structure == "product" else [tally.energy] * len(uses)
    for index, inputs in enumerate(level_inputs(tally, lookup)):
        level, use = tally.levels[index], uses[index]
        if level.residual is not None:
            use.metrics.update(measure_distortion(tally.n, level.residual * tally.n, energies[index] * tally.n).metrics)
        match = _match(tally, lookup, static[index], inputs, index)
        use.metrics.update(match.metrics)
        use.facts.update({f"match.{name}": value for name, value in match.facts.items()})
        use.facts["features.dim"] = inputs.shape[1]
        use.facts["features.participation_ratio"] = _participation(inputs)
        book = static[index].book
        use.facts["codes.participation_ratio"] = participation_by_use(
            _directions(book) if lookup.metric == "cosine" else book, level.counts
        )


def whole(tally: Tally, uses: Sequence[LevelUse], names: Any = None, *, structure: str = "residual") -> QuantizerUse:
    """collision.* and levels.* of two levels or more.

    Args:
        names: row number → what the sample calls the item.
        structure: only in a residual quantiser is a level's gain what it adds to the ones before.
    """
    if tally.ids is None:
        return QuantizerUse(tuple(uses))
    sizes = [len(level.counts) for level in tally.levels]
    collisions = measure_collisions(
        tally.ids.items, sizes=sizes, unique_with_suffix=tally.unique_with_suffix, distinct_inputs=tally.distinct_rows
    )
    levels = measure_levels(tally.ids.table, tally.ids.items, sizes=sizes, residual_energy=_energies(tally, structure))
    groups = tuple(
        Group(group.id, group.items, tuple(str(names(row)) if names else str(row) for row in group.rows[:GROUP_MEMBERS]))
        for group in tally.groups
    )
    return QuantizerUse(
        tuple(uses), {**collisions.metrics, **levels.metrics}, groups, levels.facts["prefixes"],
        translations=_translations(tally, uses, collisions, levels),
    )  # fmt: skip


def translations_of(tally: Tally, uses: Sequence[LevelUse]) -> tuple[dict[str, Any], ...]:
    """What other tools would report of a quantiser with one level."""
    return _translations(tally, uses, Measured({}, {}), Measured({}, {"prefixes": None}))


def code_map(static: StaticLevel, tally: Tally, lookup: Lookup) -> dict[str, Any] | None:
    """Codes and features of the first level on two axes, for a picture."""
    inputs = next(level_inputs(tally, lookup), None)
    if inputs is None:
        return None
    return pca_map(static.book, inputs)


def _match(tally: Tally, lookup: Lookup, static: StaticLevel, inputs: np.ndarray, index: int) -> Measured:
    counts = tally.levels[index].counts
    book = lookup.stages[index].codes
    rows = inputs
    if lookup.metric == "cosine":  # only directions meet
        book, rows = _directions(book), _directions(inputs)
    unseen = counts == 0
    distances = np.full(len(counts), np.nan)
    if unseen.any():
        distances[unseen] = unseen_distances(book[unseen], rows, lookup.metric)
    errors = tally.kept.distances[:, index] if tally.kept is not None else np.zeros(0)
    median = float(np.sqrt(np.median(errors))) if errors.size else None
    return measure_match(
        book, feature_mean=rows.mean(axis=0, dtype=np.float64), feature_variance=rows.var(axis=0, dtype=np.float64),
        unseen=unseen, nearest_feature=distances, nearest_code=static.per_code.get("nearest"), median_error=median,
    )  # fmt: skip


def _directions(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norms, np.float32(1e-12))


def _participation(inputs: np.ndarray) -> float | None:
    centred = inputs - inputs.mean(axis=0, dtype=np.float64)
    narrow = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    return participation_ratio(spectrum(narrow))


def group_energies(tally: Tally, lookup: Lookup) -> list[float]:
    """Mean ‖x − mean‖² of each group's own columns."""
    ends = np.cumsum([stage.codes.shape[1] for stage in lookup.stages])
    return [float(part.sum()) for part in np.split(tally.variance, ends[:-1])] if tally.variance is not None else []


def _energies(tally: Tally, structure: str) -> list[float] | None:
    after = [level.residual for level in tally.levels]
    if structure != "residual" or tally.energy is None or any(residual is None for residual in after):
        return None
    return [tally.energy, *(residual for residual in after if residual is not None)]


def _translations(tally: Tally, uses: Sequence[LevelUse], collisions: Measured, levels: Measured) -> tuple[dict[str, Any], ...]:
    rows = [
        row
        for index, use in enumerate(uses)
        for row in translate_level(use.counts, level=index, batch_used=use.metrics.get("usage.batch_used"))
    ]
    prefixes = levels.facts.get("prefixes")
    shared = prefixes["shared"] if prefixes else ()
    return (*rows, *translate_quantizer([use.counts for use in uses], collisions.metrics, collisions.facts, shared))

"""What a checkpoint says by itself, level by level: geometry, running counts, flags, and what the optimiser remembers.

Here layouts (what the tensors mean) and metrics (pure functions) meet. Facts are put under the names that rules look for; the
table is in `vqdoctor.diagnosis.case`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vqdoctor.layouts import codes, ema_counts, ema_sums, flag, stored_rows
from vqdoctor.layouts.optimizer import never_selected
from vqdoctor.metrics import METRICS, Measured, counts_from, measure_ema, measure_geometry
from vqdoctor.model import Codebook, Initialisation, LevelReport, Quantizer, TensorSource
from vqdoctor.nearest.tiles import over_tiles, single_threaded_blas, usable_threads

LEVEL_METRICS = tuple(page.name for page in METRICS if not page.name.startswith(("collision.", "levels.")))
QUANTIZER_METRICS = tuple(page.name for page in METRICS if page.name.startswith(("collision.", "levels.")))

MOST_THREADS = 4
"""In the search for neighbours: each holds 4 MiB of scores."""


@dataclass(frozen=True, slots=True)
class StaticLevel:
    """One level as the file alone shows it.

    book: effective codes (K, D) float32. counts: (K,) float64 running counts, None where the file has none that fit.
    measured: ema.* and geometry.*. facts: for rules. per_code: columns for --details.
    """

    level: Codebook
    book: np.ndarray
    counts: np.ndarray | None
    measured: Measured
    facts: dict[str, Any]
    per_code: dict[str, np.ndarray]


def measure_static(source: TensorSource, quantizer: Quantizer) -> list[StaticLevel]:
    """All levels of a quantiser; one that repeats another's tensor is measured once.

    BLAS gets one thread, the one long loop gets its own: many small products and eigenvalues are slower on BLAS's threads, much
    slower where other processes want the cores too (its threads wait for one another in busy loops).
    """
    done: dict[int, StaticLevel] = {}
    with single_threaded_blas():
        for level in quantizer.levels:
            again = level.shared_with is not None and level.shared_with in done
            done[level.index] = replace(done[level.shared_with or 0], level=level) if again else _measure(source, quantizer, level)
    return list(done.values())


def level_report(static: StaticLevel, metrics: dict[str, Any], facts: dict[str, Any], counts: np.ndarray | None) -> LevelReport:
    """A level's report: every metric of the contract by name, None where it was not measured.

    Args:
        metrics, facts: beyond what `static` holds. counts: (K,) hits of the sample, None where there was none.
    """
    level = static.level
    known = static.measured.metrics | metrics
    return LevelReport(
        index=level.index, key=level.key, codes=level.codes, dim=level.dim, dtype=level.dtype,
        metrics={name: known.get(name) for name in LEVEL_METRICS},
        ema_count_key=level.keys.get("ema_count"), ema_sum_key=level.keys.get("ema_sum"),
        counts=None if counts is None else {int(code): int(counts[code]) for code in np.flatnonzero(counts)},
        facts=static.facts | facts,
    )  # fmt: skip


def _measure(source: TensorSource, quantizer: Quantizer, level: Codebook) -> StaticLevel:
    book = codes(source, level, eps=quantizer.ema.eps if quantizer.ema else 1e-5)
    geometry = measure_geometry(
        book, metric=quantizer.metric, initialisation=_start_of(level), dtype=level.dtype, share=_in_threads
    )
    counts, ema = _measure_ema(source, quantizer, level)
    facts = _geometry_facts(book, geometry, level) | _ema_facts(source, level, ema)
    facts["rows"]["inconsistent"] = ema.facts.get("inconsistent_rows", [])
    if level.flag is not None:
        facts["flag"] = flag(source, level)
    elif quantizer.kmeans_start and "flag" in quantizer.facts:  # a family that saves one
        facts["flag"] = None
    never = never_selected(source, level)
    if never is not None:
        facts["optimizer.untouched"] = int(never.sum())
    per_code = {"norm": geometry.facts["norm"]}
    if "nearest" in geometry.facts:
        per_code |= {"nearest": geometry.facts["nearest"], "nearest_distance": geometry.facts["nearest_distance"]}
    if counts is not None:
        per_code["ema_count"] = counts
    return StaticLevel(level, book, counts, Measured(geometry.metrics | ema.metrics, {}), facts, per_code)


def _in_threads(count: int, step: int, work: Callable[[slice], None]) -> None:
    over_tiles(count, step, min(usable_threads(), MOST_THREADS), lambda part, _: work(part), [])


def _start_of(level: Codebook) -> Initialisation:
    """How a fresh book looks, as long as the codes are what was drawn: behind a transform the draw cannot be seen."""
    return level.initialisation if level.transform == "stored" else Initialisation("unknown")


def _measure_ema(source: TensorSource, quantizer: Quantizer, level: Codebook) -> tuple[np.ndarray | None, Measured]:
    stored = ema_counts(source, level)
    if stored is None or quantizer.ema is None:
        return None, Measured({}, {})
    try:
        counts = counts_from(stored, quantizer.ema, level.codes)
    except ValueError as error:
        return None, Measured({}, {"uninformative": f"the counter cannot be read as counts: {error}"})
    sums = ema_sums(source, level)
    dtypes = [source.specs[place.name].dtype for place in (level.ema_count, level.ema_sum) if place is not None]
    return counts, measure_ema(
        counts, sums=sums, codes=stored_rows(source, level), ema=quantizer.ema, dtype=_coarsest([level.dtype, *dtypes])
    )


def _coarsest(dtypes: list[str]) -> str:
    order = ("float8", "bfloat16", "float16", "float32", "float64")
    return min(dtypes, key=lambda dtype: next((i for i, kind in enumerate(order) if dtype.startswith(kind)), len(order)))


def _geometry_facts(book: np.ndarray, geometry: Measured, level: Codebook) -> dict[str, Any]:
    found = geometry.facts
    return {
        "rows": {
            "nonfinite": found["nonfinite_rows"],
            "zero": found["zero_rows"],
            "untouched": found["untouched_rows"],
            "duplicate": [list(pair) for pair in zip(found["duplicate_rows"], found["duplicate_of"], strict=True)],
        },
        "all_zero": not book.any(),
        "geometry.dim": level.dim,
        "geometry.neighbours_skipped": found.get("neighbours_skipped"),
        "geometry.untouched_why": found["untouched_why"],
        **({"init": level.initialisation.formula} if level.initialisation.formula else {}),
    }


def _ema_facts(source: TensorSource, level: Codebook, ema: Measured) -> dict[str, Any]:
    if level.ema_count is None:
        return {}
    found = ema.facts
    facts = {
        "ema.dtype": source.specs[level.ema_count.name].dtype,
        "ema.thresholds": found.get("thresholds"),
        "ema.uninformative": found.get("uninformative"),
        "ema.inconsistent_dead": found.get("inconsistent_inactive"),
        "ema.shrunken": found.get("sum_is_code_rows"),
    }
    return {name: value for name, value in facts.items() if value is not None}

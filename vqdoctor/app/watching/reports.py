"""Runs as reports: what is found in each and the numbers where it stands, for every view of reports."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vqdoctor.app.gating.logs import UNNAMED, places_of
from vqdoctor.app.gating.request import At
from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.diagnosis import verdict
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.gating import Place
from vqdoctor.model import LevelReport, QuantizerReport, Report, Source

COLUMNS = ("usage.utilization", "usage.used", "usage.perplexity", "usage.entropy_normalized", "ema.utilization")
"""Metrics of a level that every view of a report shows in a table."""
VITAL = (
    *COLUMNS, "usage.unseen", "usage.entropy_bits", "usage.batch_utilization", "usage.batch_used", "usage.batch_perplexity",
    "usage.batch_entropy_normalized", "usage.batch_entropy_bits", "ema.active", "ema.entropy_normalized",
)  # fmt: skip
"""Metrics that say how a codebook is doing. A log often has only those of a batch."""
SHARES = {"usage.used": "usage.utilization", "ema.active": "ema.utilization"}


def reports_of(view: WatchView, version: str) -> list[Report]:
    """Each run as a report of kind "log": its last numbers by quantiser and level, its findings, never called healthy.

    Args:
        version: of this program.
    """
    return [_report(run, version) for run in view.runs]


def _report(run: RunView, version: str) -> Report:
    size = os.path.getsize(run.path) if os.path.isfile(run.path) else 0
    told = {"state": run.state, "reader": run.reader or None, "step": run.last_step}
    source = Source(
        run.path, "log", size, info={name: value for name, value in told.items() if value is not None}, warnings=run.notes
    )
    return Report(source, _quantizers(run), run.findings, verdict(run.findings, ()), version=version)


def _quantizers(run: RunView) -> tuple[QuantizerReport, ...]:
    places: dict[str, list[Place]] = {}
    for place in places_of(run.series, At()):
        places.setdefault(place.quantizer, []).append(place)
    live = LiveRun(run.name, run.path, run.state, run.series, run.events, run.usage, config=run.config)
    sizes = {(level.quantizer or UNNAMED, level.index): level.codes for level in live.levels}
    return tuple(_quantizer(name, found, sizes, run.reader) for name, found in places.items())


def _quantizer(name: str, places: Sequence[Place], sizes: Mapping[Any, int | None], reader: str) -> QuantizerReport:
    levels = [place for place in places if place.level is not None]
    whole: dict[str, Any] = {}
    for place in places:
        whole |= place.metrics if place.level is None else {}
    made = tuple(_level(place, sizes.get((name, place.level)) or 0) for place in sorted(levels, key=lambda place: place.level or 0))
    structure = "residual" if len(made) > 1 else "single"
    told = [_told("", whole, ()), *(_told(f"level {level.index}: ", level.metrics, COLUMNS) for level in made)]
    evidence, notes = f"stated by the log ({reader})", tuple(filter(None, told))
    return QuantizerReport(name, "log", evidence, structure, "unknown", "assumed", made, whole, notes=notes)


def _level(place: Place, codes: int) -> LevelReport:
    """With the shares that follow from numbers of codes, where K is known."""
    shares = {share: place.metrics.get(count) for count, share in SHARES.items() if codes and share not in place.metrics}
    known = {share: count / codes for share, count in shares.items() if isinstance(count, int | float)}
    return LevelReport(place.level or 0, "", codes, 0, "", {**place.metrics, **known})


def _told(where: str, metrics: Mapping[str, Any], shown: Collection[str]) -> str:
    """A sentence of the vital numbers that no column of a report has a place for; "" where there is none."""
    left = {metric: metrics[metric] for metric in VITAL if metric not in shown and isinstance(metrics.get(metric), int | float)}
    return where + ", ".join(f"{metric} {value:.4g}" for metric, value in left.items()) if left else ""

"""Runs as reports: what is found in each and the numbers where it stands, for every view of reports."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from vqdoctor.app.gating.logs import UNNAMED, places_of
from vqdoctor.app.gating.request import At
from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.diagnosis import verdict
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.gating import Place
from vqdoctor.model import LevelReport, QuantizerReport, Report, Source


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
    made = tuple(
        LevelReport(place.level or 0, "", sizes.get((name, place.level)) or 0, 0, "", place.metrics)
        for place in sorted(levels, key=lambda place: place.level or 0)
    )
    structure = "residual" if len(made) > 1 else "single"
    return QuantizerReport(name, "log", f"stated by the log ({reader})", structure, "unknown", "assumed", made, whole)

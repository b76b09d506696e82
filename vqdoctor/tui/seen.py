"""What the watch screen shows as plain values, for the JSON of `S`: undefined is null, names are as the log spells them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vqdoctor.app.watching.view import RunView
from vqdoctor.tui.chart import Chart
from vqdoctor.tui.vitals import Level, onset
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_state import Found, WatchState, baseline_of, run_in_view


def seen(model: Model, state: WatchState, found: Sequence[Found], charts: Sequence[Chart | None]) -> dict[str, Any]:
    """Runs, vital signs at the cursor, charts with their points, findings."""
    run, base, level = run_in_view(model.view, state), baseline_of(model.view, state), model.level(state)
    first, last = model.window(state)
    return {
        "run": run.path if run else None, "baseline": base.path if base else None, "level": level.name if level else None,
        "cursor": state.cursor, "window": [_number(first), _number(last)], "half_life": state.half_life, "filter": state.filter,
        "runs": [{"path": one.path, "name": one.name, "state": one.state, "last_step": one.last_step} for one in model.view.runs],
        "vitals": [_vitals(model, run, each, state) for each in model.levels(run)] if run else [],
        "charts": [_chart(chart) for chart in charts if chart is not None],
        "findings": [_finding(one, state) for one in found],
    }  # fmt: skip


def _vitals(model: Model, run: RunView, level: Level, state: WatchState) -> dict[str, Any]:
    roles = ("real", "ema", "perplexity", "entropy", "dead")
    return {"level": level.name, "codes": level.codes} | {
        role: _number(model.value(run.path, level.readings.get(role), state)) for role in roles
    }


def _chart(chart: Chart) -> dict[str, Any]:
    curves = [
        {"name": curve.name, "line": curve.line, "at": _number(curve.at),
         "pieces": [{"steps": steps.tolist(), "values": values.tolist()} for steps, values in curve.pieces]}
        for curve in chart.curves
    ]  # fmt: skip
    return {"name": chart.name, "curves": curves, "references": [list(each) for each in chart.references], "onset": chart.onset}


def _finding(one: Found, state: WatchState) -> dict[str, Any]:
    finding = one.finding
    return {
        "run": one.run.path, "rule": finding.rule, "name": finding.name, "severity": finding.severity, "where": finding.where,
        "message": finding.message, "onset_step": onset(finding), "command": finding.remedy.command,
        "acknowledged": one.known in state.acknowledged,
    }  # fmt: skip


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

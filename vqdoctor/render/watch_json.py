"""`vqdoctor.watch/1` as JSON, exactly as the contract lists it; `watch.schema.json` beside this file says it to programs.

ASCII only; an undefined number is null. A series is called as the log spells it; where a log has the name several times (for each
level, before and after training), quantiser and level stand before it and the scope behind it: ``quantizer[1]:usage.used (best)``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from vqdoctor.model import Event, Series
from vqdoctor.render.screen import Screen
from vqdoctor.render.to_json import finding_object, plain, pretty

if TYPE_CHECKING:
    from vqdoctor.app.watching.changes import Change
    from vqdoctor.app.watching.view import RunView, WatchView

SCHEMA = "vqdoctor.watch/1"


def render(view: WatchView, screen: Screen) -> str:
    """The runs as they stand, indented."""
    return pretty(watch_object(view)) + "\n"


def watch_object(view: WatchView) -> dict[str, Any]:
    """A view as JSON's own types, keys in the contract's order."""
    return {"schema": SCHEMA, "runs": [run_object(run) for run in view.runs]}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `render` writes."""
    from importlib.resources import files  # loads half a dozen modules, for those who ask for the schema

    loaded: dict[str, Any] = json.loads(files("vqdoctor.render").joinpath("watch.schema.json").read_text("utf-8"))
    return loaded


def run_object(run: RunView) -> dict[str, Any]:
    """One run."""
    times = Counter(series.key.name for series in run.series)
    return {
        "path": run.path,
        "reader": run.reader or None,
        "state": run.state,
        "steps": [number(run.first_step), number(run.last_step)],
        "series": {series.key.label if times[series.key.name] > 1 else series.key.name: _series(series) for series in run.series},
        "events": [event_object(event) for event in run.events],
        "findings": [finding_object(finding) for finding in run.findings],
    }


def change_line(change: Change) -> str:
    """A change as one line: what `--format jsonl` prints as it comes."""
    head = {"kind": change.kind, "run": change.run, "path": change.path, "step": number(change.step)}
    match change.of:
        case Event() as event:
            body: dict[str, Any] = event_object(event)
        case None:
            body = {}
        case {} as values:
            body = {name: number(value) if isinstance(value, float) else plain(value) for name, value in values.items()}
        case finding:
            body = finding_object(finding)
    return json.dumps(head | {key: value for key, value in body.items() if key not in head}, ensure_ascii=True) + "\n"


def event_object(event: Event) -> dict[str, Any]:
    """An event as JSON's own types."""
    return {"event": event.kind, "step": number(event.step), "time": number(event.time), "detail": plain(event.detail)}


def number(value: float | None) -> float | int | None:
    """Whole numbers without a point, so that a step reads as the log has it."""
    if value is None or value != value:
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else plain(value)


def _series(series: Series) -> dict[str, Any]:
    return {
        "metric": series.meaning.metric,
        "n": series.n,
        "first": number(series.first),
        "last": number(series.last),
        "min": number(series.low),
        "max": number(series.high),
        "last_step": number(series.last_step),
    }

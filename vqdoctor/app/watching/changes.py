"""From one view to the next: what a person or a program is told. Each thing once, also where a log was begun anew and read again.

`Changes` finds them; `Calm` keeps a flood of alike events from drowning the rest. What has been told can be kept in a file, so that
a watch that is started again reads the logs again (it needs their history to judge) and tells only what is new.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.model import Event, Finding

STATE_SCHEMA = "vqdoctor.watch-state/1"
CALM = 30.0  # seconds between two tellings of alike events of a run
FEW = 3  # alike events that are told one by one
KEPT = 20_000  # events of a run that are known again: twice as many as a log holds


@dataclass(frozen=True, slots=True)
class Change:
    """Something to tell.

    Attributes:
        kind: "run" (it appeared), "state", "event", "events" (alike ones, counted), "finding", "cleared" (a finding that no longer
            holds) or "points" (the newest values).
        run, path: which. step: where, None unknown.
        of: the event, the finding, or plain values by name.
        old: it was there when the run was first seen.
        view: the run, as it was then.
    """

    kind: str
    run: str
    path: str
    step: float | None
    of: Event | Finding | Mapping[str, Any]
    old: bool
    view: RunView


class Told:
    """What was told of one run."""

    def __init__(self, events: Mapping[str, int] | None = None, findings: Mapping[str, list[str]] | None = None) -> None:
        self.events: Counter[str] = Counter(events or {})
        self.findings: dict[str, list[str]] = dict(findings or {})  # rule and place → the severities of each finding there
        self.state = ""
        self.seen: dict[int, Event] = {}  # by identity
        self.points: dict[str, int] = {}
        self.version = -1


class Changes:
    """Compares each view with the one before.

    Args:
        state: what `state` of an earlier watch gave.

    Raises:
        ValueError, TypeError, AttributeError: `state` is none.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._told: dict[str, Told] = {}
        self._before: dict[str, Told] = {}
        if state is not None:
            if state.get("schema") != STATE_SCHEMA:
                raise ValueError(f"not {STATE_SCHEMA}")
            self._before = {str(path): Told(told["events"], told["findings"]) for path, told in state["runs"].items()}

    def state(self) -> dict[str, Any]:
        """What has been told, as plain values."""
        told = self._before | self._told
        runs = {path: {"events": dict(one.events), "findings": one.findings} for path, one in told.items()}
        return {"schema": STATE_SCHEMA, "runs": runs}

    def since(self, view: WatchView) -> list[Change]:
        """What is new in `view`. A long log that is still being read has nothing to tell yet."""
        return [change for run in view.runs for change in self._of(run)]

    def _of(self, run: RunView) -> Iterator[Change]:
        told = self._told.get(run.path)
        fresh = told is None
        if told is None and run.behind:
            return
        if told is None:
            told = self._told[run.path] = self._before.pop(run.path, Told())
            told.state = run.state
            yield _change("run", run, run.last_step, {"name": run.name, "reader": run.reader, "state": run.state})
        if told.version == run.version:
            return
        told.version = run.version
        yield from _events(run, told, fresh)
        yield from _findings(run, told, fresh)
        yield from _points(run, told)
        if run.state != told.state:
            yield _change("state", run, run.last_step, {"state": run.state, "before": told.state})
            told.state = run.state


class Calm:
    """Lets through what is rare, and counts what is not. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], list[Change]] = {}

    def of(self, changes: Sequence[Change]) -> list[Change]:
        """`changes` without floods of events, and with those held back whose time has come."""
        passed = []
        for change in changes:
            if isinstance(change.of, Event) and change.of.kind not in ("end", "failed"):
                alike = f"{change.of.kind} {bool(change.of.detail.get('measured'))}"
                self._held.setdefault((change.path, alike), []).append(change)
            else:
                passed.append(change)
        return [*self._due(), *passed]

    def rest(self) -> list[Change]:
        """What is still held back: at the end."""
        held, self._held = self._held, {}
        return [change for changes in held.values() for change in _counted(changes)]

    def _due(self) -> list[Change]:
        now = self._clock()
        due = [key for key in self._held if now - self._told.get(key, float("-inf")) >= CALM]
        self._told.update(dict.fromkeys(due, now))
        return [change for key in due for change in _counted(self._held.pop(key))]


def _counted(changes: list[Change]) -> list[Change]:
    """Alike events one by one where they are few, else as one."""
    if len(changes) <= FEW:
        return changes
    kinds = {change.of.kind for change in changes if isinstance(change.of, Event)}
    steps = [change.step for change in changes if change.step is not None]
    values = {
        "event": kinds.pop(),
        "n": len(changes),
        "first_step": min(steps, default=None),
        "last_step": max(steps, default=None),
    }
    last = changes[-1]
    return [Change("events", last.run, last.path, last.step, values, last.old, last.view)]


def _change(kind: str, run: RunView, step: float | None, of: Any, old: bool = False) -> Change:
    return Change(kind, run.name, run.path, step, of, old, run)


def _events(run: RunView, told: Told, fresh: bool) -> Iterator[Change]:
    """Events that were not told. The store keeps its objects, so those known by identity are old; where none is, the log was read
    again, and as many alike ones as were told are left out."""
    new = [event for event in run.events if id(event) not in told.seen]
    again = Counter(told.events) if len(new) == len(run.events) else Counter[str]()
    told.seen = {id(event): event for event in run.events}
    for event in new:
        key = _key(event)
        if again[key] > 0:
            again[key] -= 1
            continue
        told.events[key] += 1
        yield _change("event", run, event.step, event, fresh)
    if len(told.events) > 2 * KEPT:
        told.events = Counter(dict(list(told.events.items())[-KEPT:]))


def _findings(run: RunView, told: Told, fresh: bool) -> Iterator[Change]:
    """Findings that are new at their place, or graver than before; then those that are gone."""
    held: dict[str, list[Finding]] = {}
    for finding in run.findings:
        held.setdefault(f"{finding.rule} {finding.where}", []).append(finding)
    for place, findings in held.items():
        known = list(told.findings.get(place, ()))
        for finding in findings:
            if finding.severity in known:
                known.remove(finding.severity)
            else:
                yield _change("finding", run, finding.evidence.get("onset_step"), finding, fresh)
    for place in [place for place in told.findings if place not in held]:
        rule, _, where = place.partition(" ")
        yield _change("cleared", run, run.last_step, {"rule": rule, "where": where}, fresh)
    told.findings = {place: [finding.severity for finding in findings] for place, findings in held.items()}


def _points(run: RunView, told: Told) -> Iterator[Change]:
    """The newest value of each series that has grown."""
    grown = {series.key.label: series for series in run.series if series.n != told.points.get(series.key.label, 0)}
    told.points |= {label: series.n for label, series in grown.items()}
    if grown:
        yield _change("points", run, run.last_step, {"values": {label: series.last for label, series in grown.items()}})


def _key(event: Event) -> str:
    said = orjson.dumps(
        [event.kind, event.step, dict(event.detail)], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str
    )
    return hashlib.blake2b(said, digest_size=8).hexdigest()

"""One run under watch: when to draw it anew, when to judge it again, and what its view is meanwhile.

Everything a view holds is made from the run's store, so that making one late loses nothing. That is used twice: a run whose log is
long and not yet read shows its beginning and its end, and a run that is expensive to judge is judged less often than it is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vqdoctor.app.watching.arrivals import checkpoints_beside
from vqdoctor.app.watching.book_sizes import BookSizes
from vqdoctor.app.watching.view import RunView
from vqdoctor.diagnosis import Overrides, diagnose
from vqdoctor.diagnosis.live import LiveRun, stated_config
from vqdoctor.logs import Run, preview
from vqdoctor.model import Event, Finding, Series

PREVIEWED = 4 << 20  # bytes still to read from which a first picture is worth making
REST = 10.0  # what took t seconds is not done again for this many times t
TOTALS = ("total_steps", "max_steps", "num_steps", "total_iters", "max_iters", "steps")
"""What logs and configurations call the number of steps that a run means to reach."""


class Pace:
    """Bounds the share of time that something takes. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = self._next = float("-inf")

    @property
    def due(self) -> bool:
        """Whether it may be done again."""
        return self._clock() >= self._next

    def __enter__(self) -> None:
        self._begun = self._clock()

    def __exit__(self, *_: object) -> None:
        now = self._clock()
        self._next = now + REST * (now - self._begun)


@dataclass(frozen=True, slots=True)
class Condition:
    """How the logs of a run are doing; the values are those of `RunView` and `LiveRun`."""

    state: str = "waiting"
    behind: int = 0
    silence: float | None = None
    usual_gap: float = 0.0
    notes: tuple[str, ...] = ()


class WatchedRun:
    """A run and its latest view.

    Args:
        run: its numbers; they grow elsewhere. name: short and unique. bindings, overrides: as in `WatchRequest`.
        clock: seconds since the epoch.
    """

    def __init__(
        self, run: Run, name: str, *, bindings: Mapping[str, str], overrides: Overrides, clock: Callable[[], float]
    ) -> None:
        self.run = run
        self.name = name
        self.real = os.path.realpath(run.path)
        self.view: RunView | None = None
        self._book_sizes = BookSizes(run.path)
        self._bindings = bindings
        self._overrides = overrides
        self._drawing, self._judging = Pace(clock), Pace(clock)
        self._waiting = self._unjudged = True  # something has come that the view, or what was found, does not hold
        self._findings: tuple[Finding, ...] = ()
        self._condition = Condition()
        self._caught_up = False
        self._long = False

    def look(self, condition: Condition, *, changed: bool, now: bool) -> bool:
        """Bring the view up to date; whether anything but its silence has changed.

        Args:
            changed: whether the run has grown. now: do not wait, however soon after the last time.
        """
        before = self.view
        last = self._condition
        news = changed or before is None or (condition.state, condition.notes) != (last.state, last.notes)
        self._waiting |= news
        self._unjudged |= news
        self._condition = condition
        self._caught_up |= condition.behind == 0
        self._long |= condition.behind > PREVIEWED
        judge = self._caught_up and self._unjudged and (now or self._judging.due)
        if before is None or judge or (self._waiting and (now or self._drawing.due)):
            self._waiting = False
            with self._drawing:
                live, view = self._made(condition, before.version + 1 if before else 1)
            if judge:
                self._unjudged = False
                with self._judging:
                    self._findings = diagnose(live, overrides=self._overrides)
            self.view = replace(view, findings=self._findings)
            return True
        moved = before.behind != condition.behind
        if moved or before.silence != condition.silence:
            self.view = replace(before, silence=condition.silence, behind=condition.behind, version=before.version + moved)
        return moved

    def _made(self, condition: Condition, version: int) -> tuple[LiveRun, RunView]:
        """What the rules are given, and the view before they have judged."""
        shown = self.run if self._caught_up else self._glimpse() or self.run
        series, usage = tuple(shown.series()), tuple(shown.usage)
        sizes, why = self._book_sizes.stated(series, shown.events)
        events = (*sizes, *_in_step_order(shown.events))
        config = stated_config(events)
        last, total = _extreme(series, "last_step", max), _total(series, config, events)
        reached = last is not None and total is not None and last >= total
        state = "ended" if condition.state == "stalled" and reached else condition.state
        quiet = None if state in ("ended", "failed") else condition.silence
        live = LiveRun(
            self.name,
            self.run.path,
            state,
            series,
            events,
            usage,
            quiet,
            condition.usual_gap,
            config,
            checkpoints_beside(self.run.path),
        )
        return live, RunView(
            self.name, self.run.path, shown.reader, state, series, events, usage, (), shown.bins,
            notes=(*condition.notes, *shown.notes, *why, *self._reading(condition.behind)),
            first_step=_extreme(series, "first_step", min), last_step=last, total_steps=total,
            behind=condition.behind, silence=condition.silence, config=config, version=version,
        )  # fmt: skip

    def _glimpse(self) -> Run | None:
        """The beginning and the end of a long log that is being read; None where that shows nothing that is not known already."""
        if not self._long or len(self.run.logs) != 1:
            return None
        path = next(iter(self.run.logs))
        try:
            log = preview(path)
        except OSError:
            return None
        if not log.reader.by_lines:
            return None
        glimpse = Run(self.run.path, bindings=self._bindings)
        glimpse.logs[path] = log
        return glimpse

    def _reading(self, behind: int) -> tuple[str, ...]:
        if self._caught_up:
            return ()
        return (f"the history is being read ({behind / 1e6:,.0f} MB left): steps in between are missing and nothing is judged yet",)


def _in_step_order(events: Sequence[Event]) -> tuple[Event, ...]:
    """The log's events in its order, those measured in checkpoints at their steps; of both for one file, the measured one."""
    own = [event for event in events if not event.detail.get("measured")]
    measured = [event for event in events if event.detail.get("measured")]
    if not measured:
        return tuple(own)
    known = {(event.detail.get("file"), event.step) for event in measured}
    own = [event for event in own if event.kind != "checkpoint" or (event.detail.get("file"), event.step) not in known]
    merged: list[Event] = []
    waiting = sorted(measured, key=lambda event: event.step or 0.0)
    for event in own:
        while waiting and event.step is not None and (waiting[0].step or 0.0) < event.step:
            merged.append(waiting.pop(0))
        merged.append(event)
    return (*merged, *waiting)


def _extreme(series: Sequence[Series], name: str, which: Callable[[list[float]], float]) -> float | None:
    steps = [step for one in series if (step := getattr(one, name)) is not None]
    return which(steps) if steps else None


def _total(series: Sequence[Series], config: Mapping[str, Any], events: Sequence[Event]) -> float | None:
    """The step that the run means to reach: logged, or in what it said of itself."""
    logged = next((one.last for one in series if one.key.name in TOTALS and one.last), None)
    if logged is not None:
        return logged
    tables = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    said = next((table[name] for name in TOTALS for table in tables if _is_number(table.get(name))), None)
    return float(said) if said is not None else _by_epochs(tables, events)


def _by_epochs(tables: Sequence[Mapping[str, Any]], events: Sequence[Event]) -> float | None:
    """Epochs meant · steps of an epoch, where an event says both step and epoch."""
    epochs = next((table["epochs"] for table in tables if _is_number(table.get("epochs"))), None)
    at = next((e for e in reversed(events) if e.step and _is_number(e.detail.get("epoch")) and e.detail["epoch"] > 0), None)
    return None if epochs is None or at is None or at.step is None else at.step / at.detail["epoch"] * epochs


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0

"""One run under watch: when to draw it anew, when to judge it again, and what its view is meanwhile.

Everything a view holds is made from the run's store, so that making one late loses nothing. That is used twice: a run whose log is
long and not yet read shows its beginning and its end, and a run that is expensive to judge is judged less often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vqdoctor.app.watching.view import RunView
from vqdoctor.diagnosis import Overrides, diagnose
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.logs import Run, preview
from vqdoctor.model import Event, Finding, Series

PREVIEWED = 4 << 20  # bytes still to read from which a first picture is worth making
REST = 10.0  # a view that took t seconds to make is not made again for this many times t
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
        self.view: RunView | None = None
        self._bindings = bindings
        self._overrides = overrides
        self._pace = Pace(clock)
        self._waiting = True  # something has come that the view does not show
        self._caught_up = False
        self._long = False

    def look(
        self, *, changed: bool, state: str, behind: int, silence: float | None, usual_gap: float, notes: Sequence[str], whole: bool
    ) -> bool:
        """Bring the view up to date; whether anything but its silence has changed.

        Args:
            changed: whether the run has grown. whole: nothing more will come, so the view is made now, however soon after the last.
            The rest: how its logs are doing.
        """
        before = self.view
        self._waiting |= changed or before is None or before.state != state
        self._caught_up |= behind == 0
        self._long |= behind > PREVIEWED
        if not self._waiting or not (whole or before is None or self._pace.due):
            if before is not None and (before.silence, before.behind) != (silence, behind):
                self.view = replace(before, silence=silence, behind=behind, version=before.version + (before.behind != behind))
            return before is not None and before.behind != behind
        self._waiting = False
        with self._pace:
            shown = self.run if self._caught_up else self._glimpse() or self.run
            series, events, usage = tuple(shown.series()), tuple(shown.events), tuple(shown.usage)
            config = _config(events)
            live = LiveRun(self.name, self.run.path, state, series, events, usage, silence, usual_gap, config)
            findings = self._judge(live) if self._caught_up else ()
        self.view = RunView(
            self.name, self.run.path, shown.reader, state, series, events, usage, findings, shown.bins,
            notes=(*notes, *shown.notes, *self._reading(behind)),
            first_step=_extreme(series, "first_step", min), last_step=_extreme(series, "last_step", max),
            total_steps=_total(series, config, events), behind=behind, silence=silence, config=config,
            version=before.version + 1 if before else 1,
        )  # fmt: skip
        return True

    def _judge(self, live: LiveRun) -> tuple[Finding, ...]:
        return diagnose(live, overrides=self._overrides)

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


def _config(events: Sequence[Event]) -> Mapping[str, Any]:
    """What the run said of itself, the last time that it began."""
    said = next((event.detail.get("config") for event in reversed(events) if event.kind == "run"), None)
    return said if isinstance(said, Mapping) else {}


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

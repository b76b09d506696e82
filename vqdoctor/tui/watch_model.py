"""From a `WatchView` and what the user has set to what there is to draw: charts, strips, the window of steps. No widget.

Kept between pictures: levels and plans of a version of a run, and the thinned curves. Everything else is worked out anew, for what
is in sight only, so that a picture of a million points costs what a picture of a thousand does.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.errors import printable
from vqdoctor.model import Series
from vqdoctor.render.vital_signs import Level, Reading, gravest, levels, onset, place_of
from vqdoctor.tui.bands import Bands
from vqdoctor.tui.chart import Chart, Curve
from vqdoctor.tui.heat import Strip
from vqdoctor.tui.plans import Line, Plan, marks, plans
from vqdoctor.tui.themes import Look
from vqdoctor.tui.thinning import Thinned
from vqdoctor.tui.watch_state import WatchState, baseline_of, chosen, matches, run_in_view


class Model:
    """What the screen asks. `take` gives it the view to answer from."""

    def __init__(self) -> None:
        self.view = WatchView(())
        self._levels: dict[str, tuple[int, tuple[Level, ...]]] = {}
        self._thinned: dict[tuple[str, object, int], Thinned] = {}
        self._plans: tuple[object, list[Plan]] = (None, [])
        self._bands = Bands()

    def take(self, view: WatchView) -> None:
        """Answer from this view from now on; what belonged to runs that are gone is dropped."""
        self.view = view
        paths = {run.path for run in view.runs}
        self._levels = {path: kept for path, kept in self._levels.items() if path in paths}
        self._thinned = {key: kept for key, kept in self._thinned.items() if key[0] in paths}

    def levels(self, run: RunView) -> tuple[Level, ...]:
        """The codebooks of a run."""
        version, kept = self._levels.get(run.path, (-1, ()))
        if version != run.version:
            kept = levels(run)
            self._levels[run.path] = (run.version, kept)
        return kept

    def level(self, state: WatchState) -> Level | None:
        """The level in view."""
        run = run_in_view(self.view, state)
        found = self.levels(run) if run else ()
        return found[self.level_index(state)] if found else None

    def level_index(self, state: WatchState) -> int:
        """Which of the levels is in view: the user's choice, else the one with the gravest finding."""
        run = run_in_view(self.view, state)
        found = self.levels(run) if run else ()
        if state.level is not None and found:
            return state.level % len(found)
        worst = gravest(finding for level in found for finding in level.findings)
        return next((i for i, level in enumerate(found) if worst in level.findings), 0)

    def base(self, state: WatchState) -> tuple[RunView, Level | None] | None:
        """The pinned run, and its level that corresponds to the one in view."""
        run, level = baseline_of(self.view, state), self.level(state)
        return (run, self.twin(run, level)) if run else None

    def twin(self, run: RunView, level: Level | None) -> Level | None:
        """The level of another run at the same place, or its only one."""
        found = self.levels(run)
        if level is None or not found:
            return None
        same = next((one for one in found if one.place == level.place), None)
        return same or next((one for one in found if one.place[1] == level.place[1]), found[0] if len(found) == 1 else None)

    def plans(self, state: WatchState, look: Look) -> list[Plan]:
        """The charts of the run in view at the level in view that pass the filter."""
        run = run_in_view(self.view, state)
        if run is None:
            return []
        base = self.base(state)
        key = (run.path, run.version, self.level_index(state), state.filter, look, base and (base[0].path, base[0].version))
        if key != self._plans[0]:
            every = plans(run, self.level(state), base, look)
            kept = [plan for plan in every if matches(state.filter, plan.name, plan.title, *plan.words)]
            self._plans = (key, kept)
        return self._plans[1]

    def window(self, state: WatchState) -> tuple[float, float]:
        """First and last step in sight."""
        run, base = run_in_view(self.view, state), baseline_of(self.view, state)
        runs = [one for one in (run, base) if one is not None and one.first_step is not None and one.last_step is not None]
        if not runs:
            return 0.0, 1.0
        first, last = min(one.first_step or 0.0 for one in runs), max(one.last_step or 0.0 for one in runs)
        if state.span is None or state.span >= last - first:
            return first, last
        end = last if state.cursor is None else min(last, max(first + state.span, state.cursor + state.span / 2))
        return end - state.span, end

    def chart(self, plan: Plan, state: WatchState, width: int) -> Chart:
        """The points of a plan, for a plot that is `width` cells wide."""
        run = run_in_view(self.view, state)
        first, last = self.window(state)
        curves = [curve for i, line in enumerate(plan.lines) for curve in self._curves(line, state, first, last, width, raw=i == 0)]
        smoothing = f"smoothed, half-life {state.half_life} steps" if state.half_life else ""
        note = ", ".join(each for each in (plan.note, smoothing) if each)
        return Chart(
            plan.name, plan.title, tuple(reversed(curves)), first, last, plan.low, plan.high, plan.form, plan.references,
            marks(run.events) if run else (), self._onset(run, state), state.cursor, plan.log, note=note,
        )  # fmt: skip

    def _onset(self, run: RunView | None, state: WatchState) -> float | None:
        """Where the chosen finding began if it is of what is in view, else the gravest of the level in view."""
        level, pick = self.level(state), chosen(self.view, state)
        if pick is not None and run is not None and pick.run.path == run.path:
            where = place_of(pick.finding)
            if where is None or level is None or where[1] == level.place[1]:
                return onset(pick.finding)
        worst = gravest(level.findings) if level else None
        return onset(worst) if worst else None

    def _curves(self, line: Line, state: WatchState, first: float, last: float, width: int, raw: bool) -> list[Curve]:
        """A line, and behind it, where it is smoothed and `raw`, the values as they are."""
        series, shown = line.reading.series, line.reading.shown
        found = []
        for half_life in dict.fromkeys((state.half_life, 0) if raw else (state.half_life,)):
            pieces = self._curve(line.path, series, half_life).pieces(series, first, last, width)
            drawn = tuple((steps, shown(values)) for steps, values in pieces)
            kind = line.line if half_life == state.half_life else "faint"
            at = self._curve(line.path, series, half_life).at(series, state.cursor)
            found.append(Curve(line.name, drawn, kind, line.role, None if at is None else float(shown(at))))
        return found

    def value(self, path: str, reading: Reading | None, state: WatchState) -> float | None:
        """What a reading says at the cursor, or at its end; never smoothed."""
        value = self.at(path, reading.series, state) if reading else None
        return None if value is None or reading is None else float(reading.shown(value))

    def at(self, path: str, series: Series, state: WatchState) -> float | None:
        """What a series says at the cursor, or at its end; never smoothed."""
        return self._curve(path, series, 0).at(series, state.cursor)

    def history(self, path: str, reading: Reading, width: int, state: WatchState) -> np.ndarray:
        """At most `width` values over the window, the middle of low and high of each stretch."""
        first, last = self.window(state)
        pieces = self._curve(path, reading.series, state.half_life).pieces(reading.series, first, last, width)
        values = reading.shown(np.concatenate([values for _, values in pieces])) if pieces else np.empty(0)
        if len(values) <= width:
            return values
        edges = np.linspace(0, len(values), width + 1).astype(int)
        return np.add.reduceat(values, edges[:-1]) / np.diff(edges)

    def strips(self, state: WatchState, width: int) -> list[Strip]:
        """Real use of every level of the run in view over the window."""
        run = run_in_view(self.view, state)
        first, last = self.window(state)
        found = []
        for level in self.levels(run) if run else ():
            reading = level.readings.get("real") or level.readings.get("ema")
            if reading is not None and run is not None:
                pieces = self._curve(run.path, reading.series, 0).pieces(reading.series, first, last, width)
                steps, shares = (np.concatenate(column) for column in zip(*pieces, strict=True)) if pieces else (np.empty(0),) * 2
                of = " EMA" if "real" not in level.readings else ""
                found.append(Strip(printable(level.title, 30) + of, steps, np.clip(reading.shown(shares), 0, 1)))
        return found

    def bands(self, state: WatchState, rows: int, width: int) -> list[Strip]:
        """Use of the codes of the level in view, by neighbouring codes, over the window."""
        run, level = run_in_view(self.view, state), self.level(state)
        return self._bands.strips(run.usage, level, *self.window(state), rows, width) if run and level else []

    def _curve(self, path: str, series: Series, half_life: int) -> Thinned:
        key = (path, series.key, half_life)
        if key not in self._thinned:
            self._thinned[key] = Thinned(half_life)
        return self._thinned[key]

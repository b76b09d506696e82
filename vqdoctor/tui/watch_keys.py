"""What each key of the watch screen does: what the user has set, and a method for every action of the table that changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textual.widgets import Input

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.tui import lists
from vqdoctor.tui.base import TableScreen
from vqdoctor.tui.details import FindingScreen
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.plans import Plan
from vqdoctor.tui.repairing import repair_screen
from vqdoctor.tui.vitals import Level, onset, place_of
from vqdoctor.tui.watch_layout import Layout
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_state import HALF_LIVES, NARROW_TABS, TABS, Found, WatchState, run_in_view

PAGE = 10  # rows, and columns of the cursor's far step


class WatchKeys(TableScreen):
    """The watch screen without its panes: see `WatchScreen`.

    Attributes:
        model: answers from the view that is shown. state: what the user has set. paused: whether the view is held.
        found, levels, plans: findings, levels and charts as they are listed. layout_now: who has how much room.
    """

    def __init__(self, baseline: str | None = None) -> None:
        super().__init__()
        self.model = Model()
        self.state = WatchState(baseline=baseline)
        self.paused = False
        self.found: list[Found] = []
        self.levels: tuple[Level, ...] = ()
        self.plans: list[Plan] = []
        self.layout_now: Layout | None = None
        self.newest = WatchView(())

    @property
    def run(self) -> RunView | None:
        """The run in view."""
        return run_in_view(self.model.view, self.state)

    @property
    def slots(self) -> int:
        """Charts that are seen at once."""
        return self.layout_now.slots if self.layout_now else 1

    def pane(self, name: str) -> Pane:
        """A pane by its id."""
        return self.query_one(f"#{name}", Pane)

    def set(self, **changes: Any) -> None:
        """Change what the user has set, and draw what that changes."""
        self.state = replace(self.state, **changes)
        self.redraw()

    # time

    def action_pause(self) -> None:
        """Hold the picture, or go on with the newest."""
        self.paused = not self.paused
        if not self.paused:
            self.model.take(self.newest)
        self.redraw()

    def action_live(self) -> None:
        """Back to the newest step."""
        self.paused = False
        self.model.take(self.newest)
        self.set(cursor=None)

    def action_cursor_left(self) -> None:
        """A column back."""
        self.move_cursor(-1)

    def action_cursor_right(self) -> None:
        """A column on."""
        self.move_cursor(1)

    def action_cursor_left_far(self) -> None:
        """Ten columns back."""
        self.move_cursor(-PAGE)

    def action_cursor_right_far(self) -> None:
        """Ten columns on."""
        self.move_cursor(PAGE)

    def move_cursor(self, columns: int) -> None:
        """From where it is, or from the end, within all steps that there are."""
        first, last = self.model.window(self.state)
        least, most = self.model.window(replace(self.state, span=None))
        step = (last - first) / max(1, self.pane("chart-0").content_size.width - 8)
        at = last if self.state.cursor is None else self.state.cursor
        self.set(cursor=max(least, min(most, at + columns * step)))

    def action_zoom_in(self) -> None:
        """Half as many steps."""
        first, last = self.model.window(self.state)
        least, most = self.model.window(replace(self.state, span=None))
        self.set(span=max((last - first) / 2, (most - least) / 1e6))

    def action_zoom_out(self) -> None:
        """Twice as many steps."""
        first, last = self.model.window(self.state)
        least, most = self.model.window(replace(self.state, span=None))
        self.set(span=None if 2 * (last - first) >= most - least else 2 * (last - first))

    def action_whole(self) -> None:
        """All steps."""
        self.set(span=None)

    # findings

    def action_next_finding(self) -> None:
        """Jump to the onset of the next finding."""
        self._step_finding(1)

    def action_previous_finding(self) -> None:
        """Jump to the onset of the finding before."""
        self._step_finding(-1)

    def _step_finding(self, by: int) -> None:
        at = next((i for i, one in enumerate(self.found) if one.known == self.state.finding), -1 if by > 0 else 0)
        self.go_to(self.found[(at + by) % len(self.found)])

    def go_to(self, one: Found) -> None:
        """Show a finding: its run, its level, the step at which it began."""
        place = place_of(one.finding)
        found = self.model.levels(one.run)
        level = next((i for i, each in enumerate(found) if place and each.place[1] == place[1]), None)
        same = self.run is not None and one.run.path == self.run.path
        self.set(
            finding=one.known, run=self.state.run if same else one.run.path, cursor=onset(one.finding),
            level=level if level is not None else self.state.level if same else None,
            tab=self.state.tab if self.layout_now and self.layout_now.both else "findings",
        )  # fmt: skip

    def picked(self) -> Found | None:
        """The chosen finding, else the first."""
        chosen = next((one for one in self.found if one.known == self.state.finding), None)
        return chosen or (self.found[0] if self.found else None)

    def action_acknowledge(self) -> None:
        """Seen to, or not after all."""
        one = self.picked()
        if one is not None:
            self.set(acknowledged=self.state.acknowledged ^ {one.known}, finding=one.known)

    def action_repair(self) -> None:
        """The repair screen where the finding's command can be run from here, else what to do in words."""
        one = self.picked()
        if one is not None:
            self.app.push_screen(repair_screen(one) or FindingScreen(one, cure=True))

    def action_faults(self) -> None:
        """Only what is wrong, or all."""
        self.set(faults=not self.state.faults)

    # charts

    def action_smooth(self) -> None:
        """The next half-life."""
        self.set(half_life=HALF_LIVES[(HALF_LIVES.index(self.state.half_life) + 1) % len(HALF_LIVES)])

    def action_next_level(self) -> None:
        """The next level."""
        self.set(level=(self.model.level_index(self.state) + 1) % len(self.levels))

    def action_previous_level(self) -> None:
        """The level before."""
        self.set(level=(self.model.level_index(self.state) - 1) % len(self.levels))

    def action_next_charts(self) -> None:
        """The next page of charts."""
        self._turn(1)

    def action_previous_charts(self) -> None:
        """The page before."""
        self._turn(-1)

    def _turn(self, by: int) -> None:
        pages = -(-len(self.plans) // self.slots)
        self.set(page=(self.state.page + by) % max(1, pages))

    def action_zoom_pane(self) -> None:
        """The pane with the focus alone, or all again."""
        focused = self.focused.id if isinstance(self.focused, Pane) else None
        if self.state.zoomed is None and focused is not None and focused.startswith("chart"):
            self.set(zoomed=focused, page=self.first_chart() + int(focused.removeprefix("chart-")))
        elif self.state.zoomed is None:
            self.set(zoomed=focused)
        else:
            self.set(zoomed=None, page=self.state.page if not self.state.zoomed.startswith("chart") else 0)

    def first_chart(self) -> int:
        """Index of the plan in the first chart."""
        return self.state.page * self.slots % max(1, len(self.plans))

    # lists

    def action_next_tab(self) -> None:
        """What the lower pane shows next."""
        self._step_tab(1)

    def action_previous_tab(self) -> None:
        """What it showed before."""
        self._step_tab(-1)

    def _step_tab(self, by: int) -> None:
        tabs: Sequence[str] = TABS if self.layout_now and self.layout_now.both else NARROW_TABS
        now = self.layout_now.tab if self.layout_now else tabs[0]
        self.set(tab=tabs[(tabs.index(now) + by) % len(tabs)])

    def action_up(self) -> None:
        """A row up."""
        self._scroll(-1)

    def action_down(self) -> None:
        """A row down."""
        self._scroll(1)

    def action_page_up(self) -> None:
        """Ten rows up."""
        self._scroll(-PAGE)

    def action_page_down(self) -> None:
        """Ten rows down."""
        self._scroll(PAGE)

    def _scroll(self, rows: int) -> None:
        pane = self.focused if isinstance(self.focused, Pane) else self.pane("findings")
        pane.scroll_rows(rows)
        if pane.id == "findings" and self.found:
            self.go_to(self.found[pane.chosen])
        elif pane.id == "vitals" and self.levels:
            self.set(level=min(pane.chosen, len(self.levels) - 1))

    def action_open(self) -> None:
        """Open the chosen row of the pane with the focus."""
        name = self.focused.id if self.focused is not None else None
        tab = self.layout_now.tab if self.layout_now else ""
        if name == "findings" or (name in (None, "vitals") and self.found):
            if (one := self.picked()) is not None:
                self.app.push_screen(FindingScreen(one))
        elif name == "side" and tab == "runs":
            runs = lists.runs_shown(self.model, self.state)
            if self.pane("side").chosen < len(runs):
                self.choose_run(runs[self.pane("side").chosen])
        elif name == "side" and tab == "numbers":
            self._open_series()
        else:
            self.action_zoom_pane()

    def _open_series(self) -> None:
        """The page of charts that has the chosen series in it."""
        shown = lists.series_shown(self.run, self.state)
        at = self.pane("side").chosen
        if at < len(shown):
            drawn = (i for i, plan in enumerate(self.plans) if any(line.reading.series is shown[at] for line in plan.lines))
            self.set(page=next(drawn, 0) // self.slots)

    def action_search(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", Input)
        self._filter_before = self.state.filter
        field.value = self.state.filter
        field.add_class("-open")
        field.focus()

    def close_filter(self, keep: bool = True) -> None:
        """Close it; unless kept, what was typed is taken back."""
        field = self.query_one("#filter", Input)
        field.remove_class("-open")
        self.pane("chart-0").focus()
        if not keep:
            self.set(filter=self._filter_before, page=0)

    # runs

    def action_next_run(self) -> None:
        """The next run."""
        self._step_run(1)

    def action_previous_run(self) -> None:
        """The run before."""
        self._step_run(-1)

    def _step_run(self, by: int) -> None:
        runs = lists.runs_shown(self.model, self.state)
        at = next((i for i, run in enumerate(runs) if run is self.run), -1 if by > 0 else 0)
        self.choose_run(runs[(at + by) % len(runs)])

    def choose_run(self, run: RunView) -> None:
        """Show a run, at the level that is in view."""
        self.set(run=run.path, finding=None, level=self.model.level_index(self.state))

    def action_baseline(self) -> None:
        """Pin the run in view, or unpin it."""
        if self.run is not None:
            self.set(baseline=None if self.state.baseline == self.run.path else self.run.path)

    def action_compare(self) -> None:
        """Differences, or not."""
        self.set(compare=not self.state.compare)

    def action_back(self) -> None:
        """Out of the filter, then of one large pane, then the cursor, then the filter that was kept."""
        if self.query_one("#filter").has_class("-open"):
            self.close_filter(keep=False)
        elif self.state.zoomed:
            self.action_zoom_pane()
        elif self.state.cursor is not None:
            self.set(cursor=None)
        elif self.state.filter:
            self.set(filter="")

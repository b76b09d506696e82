"""The watch screen: vital signs, charts, strips, findings of the runs that are watched.

It is given a `WatchView` whenever there is a new one (`take`), holds what the user has set (`state`), and puts lines into panes.
What is in the lines comes from `board`, `lists`, `plans` and `watch_model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Grid, Horizontal
from textual.widgets import Input

from vqdoctor.app.watching.view import WatchView
from vqdoctor.render.figures import count
from vqdoctor.tui import board, lists
from vqdoctor.tui.base import KeysBar
from vqdoctor.tui.chart_pane import ChartPane
from vqdoctor.tui.heat import key as heat_key
from vqdoctor.tui.heat import strips as heat_lines
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.seen import seen
from vqdoctor.tui.watch_actions import WATCH_ACTIONS
from vqdoctor.tui.watch_keys import WatchKeys
from vqdoctor.tui.watch_layout import CHARTS, arrange
from vqdoctor.tui.watch_state import baseline_of, found, run_in_view


class WatchScreen(WatchKeys):
    """The screen. baseline: path of a run to pin from the start."""

    ACTIONS = WATCH_ACTIONS
    TITLE_WORDS = "vqdoctor watch"
    PANES: ClassVar[Sequence[str]] = ("vitals", *(f"chart-{i}" for i in range(CHARTS)), "side", "findings")
    DEFAULT_CSS = """
    WatchScreen { overflow: hidden; }
    WatchScreen #header { border: none; padding: 0; height: 1; background: $surface; }
    WatchScreen #header:focus { border: none; }
    WatchScreen #charts { height: 1fr; grid-gutter: 0; }
    WatchScreen #lower { height: auto; }
    WatchScreen #filter { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
    WatchScreen #filter.-open { display: block; }
    App.-plain #filter { background: ansi_default; color: ansi_default; }
    """

    _tab_drawn = ""

    def compose(self) -> ComposeResult:
        """All panes; which are in sight is a matter of room."""
        header = Pane(id="header")
        header.can_focus = False
        yield header
        yield Pane(id="vitals", fixed=1, selectable=True)
        with Grid(id="charts"):
            for i in range(CHARTS):
                yield ChartPane(id=f"chart-{i}")
        with Horizontal(id="lower"):
            yield Pane(id="side", selectable=True)
            yield Pane(id="findings", selectable=True)
        yield Input(id="filter", placeholder="words  -not  a|b")
        yield KeysBar()

    def on_mount(self) -> None:
        """A first picture, of whatever is there."""
        self.call_after_refresh(self.redraw)

    def take(self, view: WatchView) -> None:
        """A new view: shown at once, or counted while the picture is held."""
        self.newest = view
        if self.paused:
            self._draw_header()
            return
        self.model.take(view)
        self.redraw()

    def redraw(self) -> None:
        """Every pane from the model; those whose lines stay the same are not drawn again."""
        if not self.is_mounted or not self.size.width:
            return
        self.found = found(self.model.view, self.state)
        self.levels = self.model.levels(self.run) if self.run else ()
        self.plans = self.model.plans(self.state, self.look)
        rows = len(board.vitals(self.model, self.state, self.look, self.size.width - 4))
        layout = arrange(self.size.width, self.size.height, rows, self.state, len(self.plans))
        if layout != self.layout_now:
            self.layout_now = layout
            layout.apply(self)
            self.call_after_refresh(self.redraw)  # panes know their new sizes only then
        self._draw_header()
        self._draw_vitals()
        self._draw_charts()
        self._draw_side()
        self._draw_findings()
        super().redraw()

    def _draw_header(self) -> None:
        self.pane("header").show([board.header(self.model, self.state, self.look, self.size.width, self._badge())])

    def _badge(self) -> str:
        """``paused +1 240 steps`` while the picture is held."""
        if not self.paused:
            return ""
        now, held = run_in_view(self.newest, self.state), self.run
        steps = (now.last_step or 0.0) - (held.last_step or 0.0) if now and held else 0.0
        return f"paused +{count(round(max(0.0, steps)))} steps"

    def _draw_vitals(self) -> None:
        pane = self.pane("vitals")
        if pane.display:
            pane.per = 2 if self.state.compare and len(self.levels) and self.state.baseline else 1
            pane.show(board.vitals(self.model, self.state, self.look, pane.content_size.width))
            pane.head(self._title("vitals"), self._cursor_note())
            pane.choose(self.model.level_index(self.state))

    def _cursor_note(self) -> Text:
        cursor = self.state.cursor
        return Text(self.look.fold(f" at step {count(round(cursor))} "), "bold") if cursor is not None else Text()

    def _title(self, words: str, note: str = "") -> Text:
        return Text.assemble((f" {words} ", self.look.title), (self.look.fold(note), self.look.dim))

    def _draw_charts(self) -> None:
        plans, state = self.plans, self.state
        first = self.first_chart()
        versions = tuple((run.path, run.version) for run in (self.run, baseline_of(self.model.view, state)) if run)
        what = (
            versions,
            state.run,
            state.level,
            state.half_life,
            state.cursor,
            state.span,
            state.finding,
            state.baseline,
            self.look.name,
        )
        for slot in range(CHARTS):
            pane = self.query_one(f"#chart-{slot}", ChartPane)
            if not pane.display:
                continue
            plan = plans[(first + slot) % len(plans)] if slot < len(plans) else None
            if plan is None:
                pane.drop()
                pane.head(self._title("charts", "nothing matches the filter " if state.filter else ""))
            else:
                pane.draw((what, plan.name), lambda width, plan=plan: self.model.chart(plan, state, width), self.look)  # type: ignore[misc]

    def _draw_side(self) -> None:
        pane = self.pane("side")
        if not pane.display:
            return
        width, tab = pane.content_size.width, self.layout_now.tab if self.layout_now else self.state.tab
        pane.selectable = tab in ("runs", "numbers")
        pane.fixed = int(pane.selectable)
        lines = {
            "use": self._use_lines, "runs": lambda width: lists.run_lines(self.model, self.state, self.look, width),
            "log": lambda width: lists.log_lines(self.run, self.state, self.look, width),
            "numbers": lambda width: lists.number_lines(self.model, self.state, self.look, width),
        }[tab](width)  # fmt: skip
        titles = {"use": "use over time", "runs": "runs", "log": "tail of the log, as read", "numbers": "all series"}
        pane.show(lines)
        pane.head(self._title(titles[tab]), self._note(tab))
        if tab != self._tab_drawn:
            pane.top = pane.chosen = 0
            self._tab_drawn = tab
        if tab == "log" and not pane.has_focus:
            pane.scroll_rows(len(lines))

    def _note(self, tab: str) -> Text:
        note = {"use": f" {heat_key(self.look)}", "runs": " enter choose · b baseline", "numbers": " enter its chart"}.get(tab, "")
        return Text(self.look.fold(f"{note}  v next view "), self.look.dim)

    def _use_lines(self, width: int) -> list[Text]:
        look, state = self.look, self.state
        strips = self.model.strips(state, width)
        if not strips:
            return [Text("no use of codes in this log", look.dim)]
        free = self.pane("side").content_size.height - len(strips) - 1
        bands = self.model.bands(state, free, width) if free >= 2 else []
        label = max(len(strip.name) for strip in [*strips, *bands])
        window = (*self.model.window(state), width, look, state.cursor, label)
        level = self.model.level(state)
        name = f"level {level.name}" if level and level.name.isdecimal() else look.cut(level.name, 20) if level else ""
        about = [Text(f"codes of {name} that are hit", look.dim)] if bands else []
        return [*heat_lines(strips, *window), *about, *heat_lines(bands, *window)]

    def _draw_findings(self) -> None:
        pane = self.pane("findings")
        if not pane.display:
            return
        width, height = pane.content_size
        pane.per = 3 if height >= min(9, 3 * len(self.found)) else 2
        lines = lists.finding_lines(self.found, self.state, self.look, width, pane.per, self.run)
        pane.show(lines or self._no_findings())
        note = Text(" e next  enter evidence  r repair  a seen ", self.look.dim)
        pane.head(self._title("findings", f"{len(self.found)} " if self.found else ""), note)
        at = next((i for i, one in enumerate(self.found) if one.known == self.state.finding), None)
        if pane.marked != (at is not None):
            pane.marked = at is not None
            pane.refresh()
        if at is not None:
            pane.choose(at)

    def _no_findings(self) -> list[Text]:
        if self.state.filter and any(run.findings for run in self.model.view.runs):
            return [Text("nothing matches the filter", self.look.dim)]
        judged = any(run.last_step is not None for run in self.model.view.runs)
        return [self.look.state("healthy", "nothing found so far") if judged else Text("nothing to judge yet", self.look.dim)]

    def seen(self) -> dict[str, Any]:
        """What is on the screen as plain values."""
        charts = [self.query_one(f"#chart-{i}", ChartPane).chart for i in range(self.slots)]
        return super().seen() | seen(self.model, self.state, self.found, charts)

    def on_chart_pane_stepped(self, event: ChartPane.Stepped) -> None:
        """A click on a chart puts the cursor there."""
        self.set(cursor=event.step)

    def on_pane_picked(self, event: Pane.Picked) -> None:
        """A click on a row chooses it; a second one opens it."""
        name = event.pane.id
        if name == "vitals" and event.index < len(self.levels):
            self.set(level=event.index)
        elif name == "findings" and event.index < len(self.found):
            one = self.found[event.index]
            if one.known == self.state.finding:
                self.action_open()
            else:
                self.go_to(one)
        elif name == "side" and event.again:
            self.action_open()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The filter takes effect while it is typed."""
        self.set(filter=event.value, page=0)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        self.close_filter()

    def on_resize(self, event: events.Resize) -> None:
        """Another size is another arrangement."""
        self.call_after_refresh(self.redraw)

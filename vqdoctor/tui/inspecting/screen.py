"""The screen of `vqdoctor inspect --tui`: the verdict, what is wrong and what to type, then the view that is chosen.

The user's place is a `Browsing`; here its views are put into panes and keys are turned into its moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Size
from textual.widgets import Static

from vqdoctor.model import Report
from vqdoctor.tui.actions import Action
from vqdoctor.tui.base import KeysBar
from vqdoctor.tui.inspecting import findings, overview
from vqdoctor.tui.inspecting.browsing import VIEWS, Browsing
from vqdoctor.tui.inspecting.explained import ExplainScreen
from vqdoctor.tui.inspecting.filling import FILLERS, Room
from vqdoctor.tui.inspecting.keys import ACTIONS
from vqdoctor.tui.inspecting.layout import Arrangement, arrangement
from vqdoctor.tui.inspecting.moves import BrowsingScreen
from vqdoctor.tui.inspecting.prompt import Prompt
from vqdoctor.tui.inspecting.query import HELP, matching
from vqdoctor.tui.pane import Pane

CHOOSERS = ("list", "codes", "tree", "groups")
PANES = tuple(FILLERS)
STRIP_LINES = (3, 4)  # of what is wrong and what to type, on a low screen and on a high one
HIGH = 34


class Chooser(Pane):
    """A pane of rows to choose from, that says when another was chosen, by key, wheel or click."""

    def __init__(self, *, id: str, fixed: int = 0) -> None:
        super().__init__(id=id, fixed=fixed, selectable=True)
        self.marked = True

    class Moved(Pane.Picked):
        """Another row is the chosen one."""

    def choose(self, index: int) -> None:
        """As a pane does, and say so."""
        before = self.chosen
        super().choose(index)
        if self.chosen != before:
            self.post_message(self.Moved(self, self.chosen, False))


class InspectScreen(BrowsingScreen):
    """Everything there is to see of one or several reports."""

    ACTIONS: ClassVar[Sequence[Action]] = ACTIONS
    TITLE_WORDS = "vqdoctor inspect"
    PANES: ClassVar[Sequence[str]] = PANES
    SCOPED_CSS = False
    DEFAULT_CSS = """
    InspectScreen #header, InspectScreen #tabs { height: 1; padding: 0 1; }
    InspectScreen #tabs { link-style: none; link-color: $foreground; link-background: $background; link-style-hover: reverse; }
    App.-plain InspectScreen #tabs { link-color: ansi_default; link-background: ansi_default; }
    InspectScreen #body { height: 1fr; }
    InspectScreen #strip { height: 5; }
    """

    def __init__(self, browsing: Browsing) -> None:
        super().__init__(browsing)
        self._arranged: tuple[Arrangement, Size] | None = None
        self._before = ""

    def compose(self) -> ComposeResult:
        """Header, what is wrong, tabs, the panes of all views, a line to type into, the footer."""
        yield Static(Text(), id="header")
        yield Pane(id="strip")
        yield Static(Text(), id="tabs")
        with Container(id="body"):
            for name in PANES:
                yield Chooser(id=name, fixed=int(name == "codes")) if name in CHOOSERS else Pane(id=name)
        yield Prompt()
        yield KeysBar()

    def on_mount(self) -> None:
        """The first picture."""
        self.redraw()

    def add(self, report: Report) -> None:
        """One more source has been inspected."""
        self.browsing.reports.append(report)
        self.redraw()

    def has_several(self, what: str) -> bool:
        """Whether there is anything to step through, or to do."""
        browsing = self.browsing
        match what:
            case "findings":
                return bool(browsing.groups)
            case "commands":
                return findings.command_of(browsing) is not None
            case "levels":
                return browsing.quantizer is not None and len(browsing.quantizer.levels) > 1
            case "quantizers":
                return len(browsing.report.quantizers) > 1
            case "repairs":
                return browsing.level is not None and browsing.report.source.kind != "semantic-ids"
            case _:
                return len(browsing.reports) > 1

    def redraw(self) -> None:
        """Everything, anew."""
        if not self.query("#header"):
            return  # it has not been put together yet
        super().redraw()
        width = max(20, self.size.width - 2)
        self.query_one("#header", Static).update(overview.header(self.browsing, width, self.look))
        self.query_one("#tabs", Static).update(self._tabs(width))
        if self._arrange():
            self.call_after_refresh(self._fill)
        else:
            self._fill()

    def _tabs(self, width: int) -> Text:
        browsing, line = self.browsing, Text()
        for number, name in enumerate(VIEWS):
            here = name == browsing.view
            tab = Text(f" {number + 1} {'IDs' if name == 'ids' else name} ", f"bold {self.look.select}" if here else self.look.dim)
            if not here:
                tab.stylize(Style(meta={"@click": f"screen.view_{name}"}))
            line.append_text(tab)
        room = width - len(line)
        place = next((words for words in self._place_words() if len(words) < room), "")
        return line.append(" " * max(1, room - len(place))).append(place, "bold")

    def _place_words(self) -> list[str]:
        """Where the user is, at length and in ever fewer words."""
        quantizer, level = self.browsing.quantizer, self.browsing.level
        if quantizer is None:
            return []
        name, number = self.look.cut(quantizer.name, 24), len(self.browsing.report.quantizers)
        of = self.look.fold(f" ({self.browsing.quantizer_at + 1} of {number} quantisers)") if number > 1 else ""
        if level is None or len(quantizer.levels) == 1:
            return [name + of, name]
        at = f"[{level.index}]"
        return [
            f"{name}{at}, {len(quantizer.levels)} levels{of}",
            f"{name}{at} of {len(quantizer.levels)}",
            f"{at} of {len(quantizer.levels)}",
        ]

    def _arrange(self) -> bool:
        """Show the panes of the view; whether that changed anything."""
        body = self.query_one("#body")
        self._size_strip()
        wanted = arrangement(self.browsing, self.size.width, max(6, self.size.height - 9))
        if self._arranged == (wanted, self.size):
            return False
        self._arranged = (wanted, self.size)
        sizes = dict(wanted.panes)
        for name in PANES:
            pane = self.query_one(f"#{name}", Pane)
            pane.display = name in sizes
            if name in sizes:
                pane.styles.width, pane.styles.height = (sizes[name], "1fr") if wanted.across else ("1fr", sizes[name])
        body.styles.layout = "horizontal" if wanted.across else "vertical"
        strip = self.query_one("#strip", Pane)
        strip.display = self.browsing.view != "findings"
        if not (isinstance(self.focused, Pane) and self.focused.id in sizes) and not self.query_one(Prompt).is_open:
            self.query_one(f"#{self._main(wanted)}", Pane).focus()
        return True

    def _size_strip(self) -> None:
        """As high as what it says, which for a report without findings is little."""
        lines = findings.strip(self.browsing, max(10, self.size.width - 4), self.look, STRIP_LINES[self.size.height >= HIGH])
        self.query_one("#strip", Pane).styles.height = len(lines) + 2

    @staticmethod
    def _main(wanted: Arrangement) -> str:
        """The pane that gets the keys when a view opens: the first that something can be chosen in."""
        return next((name for name in wanted.names if name in CHOOSERS), wanted.names[0])

    def _fill(self) -> None:
        """Lines for the strip and for every pane that is seen."""
        if not self.is_mounted or self._arranged is None:
            return
        look, strip = self.look, self.query_one("#strip", Pane)
        strip.show(findings.strip(self.browsing, max(10, strip.content_size.width), look, STRIP_LINES[self.size.height >= HIGH]))
        strip.head(findings.heading(self.browsing, look), findings.note(self.browsing, look))
        self._fill_panes(self._arranged[0].names)

    def _fill_panes(self, names: Sequence[str]) -> None:
        for name in names:
            pane = self.query_one(f"#{name}", Pane)
            filled = FILLERS[name](
                self.browsing, Room(max(10, pane.content_size.width), max(2, pane.content_size.height), self.look)
            )
            pane.show(filled.lines, filled.version)
            pane.head(filled.heading, filled.note)

    def seen(self) -> dict[str, Any]:
        """What is on the screen as plain values."""
        browsing = self.browsing
        shown = {name: self.query_one(f"#{name}", Pane) for name in (self._arranged[0].names if self._arranged else ())}
        finding = browsing.finding
        return super().seen() | {
            "view": browsing.view,
            "source": browsing.report.source.path,
            "verdict": browsing.report.verdict,
            "where": browsing.where,
            "finding": None if finding is None else {"rule": finding.rule, "where": finding.where, "message": finding.message},
            "command": findings.command_of(browsing),
            "sort": browsing.ordering.sort,
            "filter": browsing.ordering.query,
            "panes": {name: pane.in_sight() for name, pane in shown.items()},
        }

    def browsed(self) -> None:
        """Another place, or another order: lists begin at their top."""
        for name in CHOOSERS[1:]:
            self.query_one(f"#{name}", Pane).choose(0)
        super().browsed()

    def show_node(self, node: tuple[int, ...]) -> None:
        """Bring a node of the tree into sight, once the tree has its pane."""
        tree = self.browsing.tree
        at = next((at for at, (each, *_) in enumerate(tree.rows()) if each == node), None) if tree else None
        if at is not None:
            self.call_after_refresh(self.call_after_refresh, self.query_one("#tree", Pane).choose, at)

    def action_copy_command(self) -> None:
        """Give the command to the terminal's clipboard."""
        if command := findings.command_of(self.browsing):
            self.app.copy_to_clipboard(command)
            self.app.notify(self.look.say(command), title="copied, if the terminal allows it", markup=False)

    def action_explain(self) -> None:
        """The page of the rule."""
        if self.browsing.finding is not None:
            self.app.push_screen(ExplainScreen(self.browsing.finding.rule))

    def action_repair(self) -> None:
        """From the finding to its treatment."""
        from vqdoctor.tui.repair_screen import RepairScreen

        report = self.browsing.report
        sample = report.sample
        features = sample.path if sample is not None and sample.kind == "features" else None
        self.app.push_screen(RepairScreen(report.source.path, features, self.browsing.finding, report))

    def action_back(self) -> None:
        """Drop what is typed, then the filter, then go up to the overview, then close the screen if there is one below."""
        ordering = self.browsing.ordering
        if self.query_one(Prompt).is_open:
            ordering.query = self._before
            self._shut_prompt()
        elif self.browsing.view == "codes" and ordering.query:
            ordering.query = ""
            self.browsed()
        elif self.browsing.view != "overview":
            self.browsing.view = "overview"
            self.redraw()
        else:
            super().action_back()

    def action_filter(self) -> None:
        """Type which codes to see."""
        self._before = self.browsing.ordering.query
        self.query_one(Prompt).open("filter", "filter", self._before, HELP)

    def action_go_to(self) -> None:
        """Type the number of a code."""
        table = self.browsing.table
        if table is not None:
            self._before = self.browsing.ordering.query
            self.query_one(Prompt).open("code", "go to code", "", f"0-{table.size - 1}")

    def _shut_prompt(self) -> None:
        self.query_one(Prompt).shut()
        self.query_one("#codes", Pane).focus()
        self.browsed()

    @on(Prompt.Drafted)
    def on_drafted(self, event: Prompt.Drafted) -> None:
        """Show what is typed as it is typed; enter keeps it."""
        if event.purpose == "filter":
            self._draft_filter(event.text, event.taken)
        elif event.taken:
            self._go_to(event.text)

    def _draft_filter(self, text: str, taken: bool) -> None:
        prompt, table = self.query_one(Prompt), self.browsing.table
        try:
            found = 0 if table is None else int(matching(table, text).sum())
        except ValueError as error:
            prompt.say(self.look.say(str(error)), self.look.state_style("warning"))
            return
        self.browsing.ordering.query = text.strip()
        prompt.say(self.look.fold(f"{found} of {0 if table is None else table.size}   {HELP}"))
        self._shut_prompt() if taken else self.browsed()

    def _go_to(self, text: str) -> None:
        table = self.browsing.table
        if table is None or not text.strip().isdecimal() or int(text) >= table.size:
            self.query_one(Prompt).say(f"there is no code {self.look.say(text, 20)}", self.look.state_style("warning"))
            return
        code = int(text)
        if code not in self.browsing.order():
            self.browsing.ordering.query = ""
        self._shut_prompt()
        self.query_one("#codes", Pane).choose(int((self.browsing.order() == code).argmax()))

    @on(Chooser.Moved)
    def on_moved(self, event: Chooser.Moved) -> None:
        """What depends on the chosen row follows it."""
        match event.pane.id:
            case "codes":
                self.browsing.code_at = event.index
                self._follow("map")
            case "groups":
                self.browsing.shared_at = event.index
                self._follow("members")
            case "list" if self.browsing.groups:
                self.browsing.group_at = event.index
                self._fill()

    def _follow(self, name: str) -> None:
        """Draw the pane that depends on what was chosen, where it is seen."""
        if self._arranged is not None and name in self._arranged[0].names:
            self._fill_panes([name])

    @on(Pane.Picked)
    def on_picked(self, event: Pane.Picked) -> None:
        """A click on what is chosen already opens it."""
        if event.again:
            self.action_open()

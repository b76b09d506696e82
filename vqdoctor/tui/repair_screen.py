"""The repair screen: choose a treatment, see what it would do on rows held out, decide, and only then is anything written.

The use case runs in one thread from plan to proof: between the two it waits for the decision, with the checkpoint held open, so
that what is written is the very plan that was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from vqdoctor.app.inspect import inspect
from vqdoctor.app.repair import RepairPlan, RepairResult, describe, repair
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.app.targets import refuse_taken
from vqdoctor.errors import VqdoctorError, printable
from vqdoctor.model import Finding, Report
from vqdoctor.render.figures import plural
from vqdoctor.tui import repair_words as words
from vqdoctor.tui.actions import Action, shared
from vqdoctor.tui.base import BaseApp, KeysBar, Rules, TableScreen
from vqdoctor.tui.decision import ConfirmScreen, Decision
from vqdoctor.tui.inspecting.prompt import Prompt
from vqdoctor.tui.inspecting.screen import Chooser
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.treatments import HELP, TITLES, Repairing
from vqdoctor.tui.work import LOOK_IN, Work

FREE = ("choosing", "planned", "written")
"""Stages in which another plan can be asked for."""


def _at(*stages: str) -> Any:
    return lambda screen: screen.stage in stages


ACTIONS = (
    *shared(),
    Action("plan", ("p",), "plan", "Show what the treatment would do; nothing is written.", "repair", _at(*FREE), rank=3),
    Action(
        "write", ("w",), "write", "Write the copy that the plan shows, after one more question.", "repair", _at("planned"), rank=4
    ),
    Action("open", ("enter",), "change", "Plan the treatment, or change the option, that is chosen.", "repair", rank=5),
    Action("target", ("o",), "write to", "Type where the repaired copy goes.", "repair", _at(*FREE), rank=6),
    Action("copy_command", ("y",), "copy command", "Copy the command that does the same.", "repair", rank=9),
    Action("up", ("up", "k"), "", "A line up.", "moves"),
    Action("down", ("down", "j"), "", "A line down.", "moves"),
    Action("page_up", ("pageup",), "", "A page up.", "moves"),
    Action("page_down", ("pagedown", "space"), "", "A page down.", "moves"),
)


class RepairScreen(TableScreen):
    """Treats one checkpoint.

    Args:
        checkpoint_path: what to repair. features: a file of rows, None: those beside it.
        finding: that the user comes from: what it prescribes is chosen. report: of an inspection that was made already.
    """

    ACTIONS: ClassVar[Sequence[Action]] = ACTIONS
    TITLE_WORDS = "vqdoctor repair"
    PANES: ClassVar[Sequence[str]] = ("treatments", "options", "plan")
    DEFAULT_CSS = """
    RepairScreen #header, RepairScreen #stages { height: 1; padding: 0 1; }
    RepairScreen #choices { height: 9; }
    RepairScreen #treatments { width: 5fr; }
    RepairScreen #options { width: 4fr; }
    """

    def __init__(
        self, checkpoint_path: str, features: str | None = None, finding: Finding | None = None, report: Report | None = None
    ) -> None:
        super().__init__()
        self.path, self.features, self.finding = checkpoint_path, features, finding
        self.asked = None if report is None else Repairing(checkpoint_path, features, report, finding)
        self.stage = "choosing"
        self.result: RepairResult | None = None
        self.error: BaseException | None = None  # what kept the checkpoint from being looked at
        self._refused = ""
        self._nothing: RepairPlan | None = None
        self._decision = Decision()
        self._work: Work[Any] | None = None

    def compose(self) -> ComposeResult:
        """Header, the way, treatments beside options, the plan, a line to type into, the footer."""
        yield Static(Text(), id="header")
        yield Static(Text(), id="stages")
        with Horizontal(id="choices"):
            yield Chooser(id="treatments")
            yield Chooser(id="options")
        yield Pane(id="plan")
        yield Prompt()
        yield KeysBar()

    def on_mount(self) -> None:
        """Look into the file where that was not done."""
        self.set_interval(LOOK_IN, self._look_in)
        if self.asked is None:
            features = ((None, self.features),) if self.features else ()
            request = InspectRequest(features=features, rules=self._rules)
            self._begin("planning", Work(lambda progress: inspect([self.path], request, progress)[0]))
        self.query_one("#treatments", Pane).focus()
        self.call_after_refresh(self.redraw)

    @property
    def _rules(self) -> Rules:
        """What the project judges by."""
        return self.app.rules if isinstance(self.app, BaseApp) else {}

    def on_unmount(self) -> None:
        """What was not decided is not written; what is being written is waited for."""
        self._decision.decide(False)
        if self._work is not None:
            self._work.join() if self.stage == "writing" else self._work.cancel()

    def _begin(self, stage: str, work: Work[Any]) -> None:
        self._work, self.stage, self._refused, self._nothing = work, stage, "", None
        work.begin()
        self.redraw()

    def _look_in(self) -> None:
        """What the thread has come to."""
        work = self._work
        if work is None:
            return
        if work.finished:
            self._work = None
            self._ended(work)
        elif self.stage == "planning" and self._decision.planned is not None:
            self.stage = "planned"
            self.query_one("#plan", Pane).focus()
            self.redraw()
        elif self.stage in ("planning", "writing"):
            self._show_plan()

    def _ended(self, work: Work[Any]) -> None:
        match work.result:
            case Report() as report:
                self.asked, self.stage = Repairing(self.path, self.features, report, self.finding), "choosing"
            case RepairResult() as result:
                self.result, self.stage = result, "written"
            case RepairPlan() as planned:
                self.stage = "choosing"
                self._nothing = planned if planned.empty else None
            case _ if self.asked is None and len(self.app.screen_stack) <= 2:
                self.error = work.error
                self.app.exit(1)
            case _:
                self.stage = "choosing"
                self._refused = self._words_of(work.error)
        self.redraw()

    @staticmethod
    def _words_of(error: BaseException | None) -> str:
        if isinstance(error, VqdoctorError):
            return str(error)
        return f"our mistake: {type(error).__name__}: {printable(error, 500)}. Nothing was written; --debug tells more."

    def redraw(self) -> None:
        """Everything, anew."""
        super().redraw()
        width, look = max(20, self.size.width - 2), self.look
        finding = "" if self.finding is None else f"  for {self.finding.rule} {self.finding.name} of {self.finding.where}"
        head = Text.assemble(("vqdoctor ▸ repair  " if look.unicode else "vqdoctor > repair  ", look.dim))
        head.append(look.cut(self.path, max(12, width - len(head) - len(finding))), "bold").append(look.say(finding), look.dim)
        self.query_one("#header", Static).update(head)
        self.query_one("#stages", Static).update(words.stage_line(self.stage, look))
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        if not self.is_mounted:
            return
        for name, rows, heading in (
            ("treatments", words.treatment_rows, "treatments, prescribed first"),
            ("options", words.option_rows, "options: enter changes"),
        ):
            pane = self.query_one(f"#{name}", Pane)
            pane.show(rows(self.asked, max(10, pane.content_size.width), self.look) if self.asked else [])
            pane.head(Text(heading, self.look.title))
        self._show_plan()

    def _show_plan(self) -> None:
        pane = self.query_one("#plan", Pane)
        width = max(10, pane.content_size.width)
        pane.show(self.plan_lines(width))
        heads = {"planned": "the plan: before and after, on rows held out", "written": "written and proven"}
        notes = {"planned": f"{self._warned()}w writes it", "choosing": "p plans"}
        note = Text(self.look.fold(notes.get(self.stage, "")), self.look.dim)
        pane.head(Text(heads.get(self.stage, "what would be done"), self.look.title), note)

    def _warned(self) -> str:
        """How many warnings there are to read."""
        planned = self._decision.planned
        number = 0 if planned is None else len(describe(planned)["warnings"])
        return f"{plural(number, 'warning')} to read (page down) · " if number else ""

    def plan_lines(self, width: int) -> list[Text]:
        """The lower pane."""
        look = self.look
        if self._work is not None and self.stage in ("planning", "writing"):
            return [self._work.line(look, width)]
        if self.stage == "written" and self.result is not None:
            return words.note_lines(self.result.note, width, look, nothing=False)
        if self.stage == "planned" and self._decision.planned is not None:
            return words.note_lines(describe(self._decision.planned), width, look, nothing=False)
        if self._nothing is not None:
            return words.note_lines(describe(self._nothing), width, look, nothing=True)
        if self.asked is None:
            return words.refusal(self._refused, width, look)
        told = [*words.refusal(self._refused, width, look), Text()] if self._refused else []
        return told + words.before_planning(self.asked, width, look)

    def seen(self) -> dict[str, Any]:
        """What is on the screen as plain values."""
        panes = {name: self.query_one(f"#{name}", Pane).in_sight() for name in self.PANES}
        command = None if self.asked is None else self.asked.command()
        return super().seen() | {"source": self.path, "stage": self.stage, "command": command, "panes": panes}

    def _drop_plan(self) -> None:
        """Another treatment or option: the plan that was shown is not of it."""
        if self.stage not in ("planned", "planning"):
            self.stage = "choosing"
            return
        self._decision.decide(False)
        if self._work is not None:
            self._work.cancel()
        self._work, self.stage = None, "choosing"

    def action_plan(self) -> None:
        """Begin a plan; it waits for the decision."""
        if self.asked is None or self.stage == "writing":
            return
        self._drop_plan()
        asked = self.asked
        self._decision = decision = Decision()
        request, out = replace(asked.request(), rules=self._rules), asked.out

        def job(progress: Progress) -> RepairResult | RepairPlan:
            refuse_taken(out)
            return repair(self.path, out, request, progress=progress, confirm=decision)

        self._begin("planning", Work(job))

    def action_write(self) -> None:
        """Ask once more, then write."""
        if self.asked is None:
            return
        lines = words.question(self.asked, self._decision.planned, 70, self.look)
        self.app.push_screen(ConfirmScreen(lines, Text("write the repaired copy?", self.look.title)), self._answered)

    def _answered(self, yes: bool | None) -> None:
        if yes and self.stage == "planned":
            self.stage = "writing"
            self._decision.decide(True)
        self.redraw()

    def action_open(self) -> None:
        """Plan, or change an option."""
        pane = self.focused
        if self.asked is None or not isinstance(pane, Pane) or self.stage == "writing":
            return
        if pane.id == "treatments":
            self.action_plan()
        elif pane.id == "options":
            self._change(self.asked.options[pane.chosen])

    def _change(self, option: str) -> None:
        if self.asked is None:
            return
        if self.asked.turn(option):
            self._drop_plan()
            self.redraw()
            return
        value = self.asked.written(option) if option != "threshold" or self.asked.threshold is not None else ""
        self.query_one(Prompt).open(option, TITLES[option], value.removesuffix(" × uniform"), HELP[option])

    def action_target(self) -> None:
        """Type where it goes."""
        self._change("out")

    @on(Prompt.Drafted)
    def on_drafted(self, event: Prompt.Drafted) -> None:
        """A value was typed."""
        prompt = self.query_one(Prompt)
        if not event.taken or self.asked is None:
            return
        try:
            self.asked.type(event.purpose, event.text)
        except ValueError as error:
            prompt.say(str(error), self.look.state_style("warning"))
            return
        prompt.shut()
        self.query_one("#options", Pane).focus()
        self._drop_plan()
        self.redraw()

    @on(Chooser.Moved)
    def on_moved(self, event: Chooser.Moved) -> None:
        """Another treatment."""
        if event.pane.id == "treatments" and self.asked is not None and self.stage != "writing" and event.index != self.asked.at:
            self.asked.choose(event.index)
            self._drop_plan()
            self.redraw()

    @on(Pane.Picked)
    def on_picked(self, event: Pane.Picked) -> None:
        """A click on what is chosen already."""
        if event.again:
            self.action_open()

    def action_copy_command(self) -> None:
        """The command, to the terminal's clipboard."""
        if self.asked is not None:
            self.app.copy_to_clipboard(self.asked.command())
            self.app.notify(self.look.say(self.asked.command(), 1000), title="copied, if the terminal allows it", markup=False)

    def action_back(self) -> None:
        """Drop what is typed, then the plan, then leave the screen."""
        if self.query_one(Prompt).is_open:
            self.query_one(Prompt).shut()
            self.query_one("#options", Pane).focus()
        elif self.stage in ("planning", "planned"):
            self._drop_plan()
            self.redraw()
        elif self.stage != "writing":
            self.dismiss() if len(self.app.screen_stack) > 2 else self.app.exit(0)

    def action_quit(self) -> None:
        """Leave, but not in the middle of writing."""
        if self.stage == "writing":
            self.app.notify("the copy is being written: a moment", markup=False)
        else:
            self.app.exit(0)

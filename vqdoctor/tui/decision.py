"""The one question before a file is written: asked on the screen, waited for by the thread that would write."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from vqdoctor.app.repair import RepairPlan
from vqdoctor.tui.pane import Pane


class Decision:
    """Between a plan and its writing: the thread of the repair waits here until somebody has decided."""

    def __init__(self) -> None:
        self.planned: RepairPlan | None = None
        self._made, self._yes = Event(), False

    def __call__(self, planned: RepairPlan) -> bool:
        """Called by the use case with the plan; whether to write it."""
        self.planned = planned
        self._made.wait()
        return self._yes

    def decide(self, yes: bool) -> None:
        """Let the thread go on."""
        self._yes = self._yes or yes
        self._made.set()


class ConfirmScreen(ModalScreen[bool]):
    """The one question before a file is written."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen Pane { width: 80%; max-width: 90; height: 9; background: $surface; border: heavy $warning; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "write"),
        Binding("n,escape,q", "answer(False)", "do not"),
    ]

    def __init__(self, lines: Sequence[Text], heading: Text) -> None:
        super().__init__()
        self._lines, self._heading = lines, heading

    def compose(self) -> ComposeResult:
        """A pane with the question."""
        yield Pane(id="question")

    def on_mount(self) -> None:
        """Fill it."""
        pane = self.query_one(Pane)
        pane.show(self._lines)
        pane.head(self._heading, Text("y write it   n not"))
        pane.focus()

    def action_answer(self, yes: bool) -> None:
        """Back with the answer."""
        self.dismiss(yes)

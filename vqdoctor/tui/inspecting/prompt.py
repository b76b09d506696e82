"""A line to type into, at the foot of a screen: drafted as it is typed, taken with enter, dropped with escape."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static


class Prompt(Horizontal):
    """Hidden until it is opened. `note` says what is wrong with a draft, or what can be typed."""

    DEFAULT_CSS = """
    Prompt { height: 1; dock: bottom; display: none; background: $surface; margin-bottom: 1; }
    Prompt Static { width: auto; padding: 0 1; }
    Prompt Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
    Prompt #prompt-note { max-width: 70%; }
    """

    class Drafted(Message):
        """What stands in the line now; taken: enter was pressed. purpose: of `open`."""

        def __init__(self, purpose: str, text: str, taken: bool) -> None:
            super().__init__()
            self.purpose, self.text, self.taken = purpose, text, taken

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.purpose = ""

    def compose(self) -> ComposeResult:
        """Label, line, note."""
        yield Static(Text(), id="prompt-label")
        yield Input(id="prompt-line", compact=True, select_on_focus=False)
        yield Static(Text(), id="prompt-note")

    @property
    def is_open(self) -> bool:
        """Whether it is being typed into."""
        return bool(self.purpose)

    def open(self, purpose: str, label: str, text: str, note: str) -> None:
        """Show it and give it the keys."""
        self.purpose, self.display = purpose, True
        self.query_one("#prompt-label", Static).update(Text(label, "bold"))
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)
        self.say(note)
        line.focus()

    def say(self, note: str, style: str = "dim") -> None:
        """Words beside the line."""
        self.query_one("#prompt-note", Static).update(Text(note, style))

    def shut(self) -> None:
        """Hide it."""
        self.purpose, self.display = "", False

    def on_input_changed(self, event: Input.Changed) -> None:
        """A draft."""
        event.stop()
        if self.purpose:
            self.post_message(self.Drafted(self.purpose, event.value, False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Taken."""
        event.stop()
        self.post_message(self.Drafted(self.purpose, event.value, True))

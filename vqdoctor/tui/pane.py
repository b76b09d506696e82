"""A bordered pane of lines: everything on a screen is one of these.

A pane is given its lines, or anything that has a length and gives the i-th line when asked (a table of 16 384 codes draws only what
is seen). It keeps what it shows: lines that did not change are not drawn again. Words reach it as `Text` only, so that nothing in
a name can be markup; whoever makes the `Text` has made it safe to print.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from vqdoctor.tui.themes import LOOKS


class Pane(Widget, can_focus=True, inherit_bindings=False):
    """Lines in a border, scrolled by its screen's keys (`scroll_rows`) and the mouse.

    Args:
        fixed: of the lines, how many stay at the top. selectable: whether one line is the chosen one.
    """

    SCOPED_CSS = False  # the app's classes decide too
    DEFAULT_CSS = """
    Pane { border: round $surface-lighten-3; padding: 0 1; height: 1fr; width: 1fr; }
    Pane:focus { border: heavy $primary; }
    App.-ascii Pane { border: ascii $surface-lighten-3; }
    App.-ascii Pane:focus { border: ascii $primary; }
    App.-plain Pane { border: round ansi_default; }
    App.-plain Pane:focus { border: heavy ansi_default; }
    App.-plain.-ascii Pane, App.-plain.-ascii Pane:focus { border: ascii ansi_default; }
    """

    class Picked(Message):
        """A line was chosen: index, counted without the fixed lines. again: it was chosen already."""

        def __init__(self, pane: Pane, index: int, again: bool) -> None:
            super().__init__()
            self.pane, self.index, self.again = pane, index, again

        @property
        def control(self) -> Pane:
            """The pane, so that handlers can select by its id."""
            return self.pane

    def __init__(self, *, id: str | None = None, fixed: int = 0, selectable: bool = False) -> None:
        super().__init__(id=id)
        self.fixed = fixed
        self.selectable = selectable
        self.per = 1  # lines that make one row
        self.marked = False  # whether the chosen row is shown even without the focus
        self.chosen = 0
        self.top = 0
        self.painted = 0  # lines drawn since it was made, for whoever wants to know what a change costs
        self._lines: Sequence[Text] = ()
        self._version: object = None
        self._heading = Text()
        self._note = Text()

    def show(self, lines: Sequence[Text], version: object = None) -> None:
        """New lines; drawn again only where they differ. version: of `lines`, in place of comparing them."""
        same = self._version == version if version is not None else len(lines) == len(self._lines) and lines == self._lines
        self._version, self._lines = version, lines
        if same:
            return
        self.chosen = min(self.chosen, max(0, self.rows - 1))
        self.top = self._limited(self.top)
        self.refresh()

    def head(self, heading: Text, note: Text | None = None) -> None:
        """The words on the upper and the lower border."""
        note = note or Text()
        if heading != self._heading:
            self._heading = heading
            self.border_title = heading
        if note != self._note:
            self._note = note
            self.border_subtitle = note

    @property
    def rows(self) -> int:
        """Rows that scroll, of `per` lines each."""
        return -(-max(0, len(self._lines) - self.fixed) // self.per)

    @property
    def room(self) -> int:
        """Whole rows that are seen at once."""
        return max(1, (self.content_size.height - self.fixed) // self.per)

    def text(self) -> list[str]:
        """All its lines as plain words."""
        return [self._lines[i].plain for i in range(len(self._lines))]

    def in_sight(self) -> list[str]:
        """The lines that are seen now as plain words."""
        first = self.fixed + self.top
        seen = [*range(min(self.fixed, len(self._lines))), *range(first, min(first + self.room, len(self._lines)))]
        return [self._lines[i].plain for i in seen]

    def choose(self, index: int) -> None:
        """Make a row the chosen one and bring it into sight."""
        index = max(0, min(index, self.rows - 1))
        top = min(self.top, index) if index < self.top else max(self.top, index - self.room + 1)
        if (index, self._limited(top)) != (self.chosen, self.top):
            self.chosen, self.top = index, self._limited(top)
            self.refresh()

    def scroll_rows(self, rows: int) -> None:
        """Move the chosen row, or what is seen where no row is chosen."""
        if self.selectable:
            self.choose(self.chosen + rows)
        elif (top := self._limited(self.top + rows)) != self.top:
            self.top = top
            self.refresh()

    def _limited(self, top: int) -> int:
        return max(0, min(top, self.rows - self.room))

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.content_size.width
        index = y if y < self.fixed else y + self.top * self.per
        style = self.rich_style
        if index >= len(self._lines):
            return Strip.blank(width, style)
        self.painted += 1
        line = self._lines[index]
        segments = list(line.render(self.app.console))
        if isinstance(line.style, str) and line.style and not line.spans:  # rich forgets the style of a line of one piece
            segments = list(Segment.apply_style(segments, Style.parse(line.style)))
        strip = Strip(segments).adjust_cell_length(width)
        if (
            self.selectable
            and (self.has_focus or self.marked)
            and index >= self.fixed
            and (index - self.fixed) // self.per == self.chosen
        ):
            style += Style.parse(getattr(self.app, "look", LOOKS["mono"]).select)
        return strip.apply_style(style)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three rows on."""
        event.stop()
        self.scroll_rows(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three rows back."""
        event.stop()
        self.scroll_rows(-3)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or not self.selectable or offset.y < self.fixed:
            return
        index = (offset.y - self.fixed) // self.per + self.top
        if index < self.rows:
            again = index == self.chosen
            self.choose(index)
            self.post_message(self.Picked(self, index, again))

    def on_resize(self) -> None:
        """Keep the chosen row in sight."""
        self.top = self._limited(self.top)
        if self.selectable:
            self.choose(self.chosen)
        self.refresh()

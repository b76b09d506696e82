"""A pane that holds one chart, and says at which step it was clicked."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual import events
from textual.message import Message

from vqdoctor.tui.chart import Chart, legend, paint, step_at
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.themes import Look


class ChartPane(Pane):
    """A chart as large as the pane. It is painted only when asked to show something else than before."""

    DEFAULT_CSS = """
    ChartPane { padding: 0; }
    """

    class Stepped(Message):
        """The chart was clicked at a step."""

        def __init__(self, step: float) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.chart: Chart | None = None
        self.charts_painted = 0
        self._key: object = None
        self._look: Look | None = None

    def draw(self, key: object, make: Callable[[int], Chart], look: Look) -> None:
        """Show the chart that `make` gives for a width, unless `key` and size are as before."""
        width, height = self.content_size
        key = (key, width, height)
        if key == self._key or width < 1:
            return
        self._key, self._look = key, look
        self.chart = make(max(1, width - 8))
        self.charts_painted += 1
        self.show(paint(self.chart, width, height, look))
        note = Text(f" {self.chart.note} ", look.dim) if self.chart.note else Text()
        self.head(Text.assemble(" ", look.clip(legend(self.chart, look), max(1, width - 4)), " "), note)

    def drop(self) -> None:
        """Show nothing."""
        self._key = self.chart = None
        self.show([])
        self.head(Text())

    def on_click(self, event: events.Click) -> None:
        """The step under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and self.chart is not None and self._look is not None:
            step = step_at(self.chart, self.content_size.width, self.content_size.height, self._look, offset.x)
            if step is not None:
                self.post_message(self.Stepped(step))

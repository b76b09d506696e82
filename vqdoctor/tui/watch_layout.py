"""Who gets how much room on the watch screen, from 80 × 24 up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vqdoctor.tui.watch_state import NARROW_TABS, TABS, WatchState

if TYPE_CHECKING:
    from vqdoctor.tui.watch_screen import WatchScreen

CHARTS = 6
WIDE = 100  # columns from which on two panes fit beside each other
WIDEST = 170
LEAST = 11  # lines under the vital signs below which there is no chart
CHART_HEIGHT = 9  # lines of a chart below which no second row of charts is begun


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines and columns of the panes.

    Attributes:
        vitals, lower: lines of these panes, 0 hides them. columns, rows: of charts, 0 hides them.
        tab: what the lower left pane shows, "findings" where that pane has no room beside it.
        both: findings and the other lower pane are both in sight. zoomed: id of the only pane in sight.
    """

    vitals: int
    lower: int
    columns: int
    rows: int
    tab: str
    both: bool
    zoomed: str | None = None

    @property
    def slots(self) -> int:
        """Charts in sight."""
        return 1 if self.zoomed and self.zoomed.startswith("chart") else max(1, self.columns * self.rows)

    def apply(self, screen: WatchScreen) -> None:
        """Give every pane its room."""
        grid, lower = screen.query_one("#charts"), screen.query_one("#lower")
        vitals, side, findings = (screen.pane(name) for name in ("vitals", "side", "findings"))
        vitals.display = self.zoomed in (None, "vitals")
        vitals.styles.height = "1fr" if self.zoomed else self.vitals
        grid.display = bool(self.rows) if self.zoomed is None else self.zoomed.startswith("chart")
        grid.styles.grid_size_columns = 1 if self.zoomed else self.columns
        grid.styles.grid_size_rows = 1 if self.zoomed else max(1, self.rows)
        for slot in range(CHARTS):
            screen.pane(f"chart-{slot}").display = slot < self.slots
        lower.display = self.zoomed in (None, "side", "findings")
        lower.styles.height = "1fr" if self.zoomed else self.lower
        side.display = self.zoomed == "side" if self.zoomed else self.both or self.tab != "findings"
        findings.display = self.zoomed == "findings" if self.zoomed else self.both or self.tab == "findings"


def arrange(width: int, height: int, vital_lines: int, state: WatchState, plans: int) -> Layout:
    """The layout for a screen of this size. vital_lines: of the table. plans: charts that there are."""
    both = width >= WIDE
    tabs = TABS if both else NARROW_TABS
    tab = state.tab if state.tab in tabs else tabs[0]
    if state.zoomed:
        return Layout(0, 0, 1, 1, tab if tab in TABS else "use", both, state.zoomed)
    room = height - 2  # header and footer
    vitals = min(vital_lines + 2, max(4, room * 2 // 5))
    rest = room - vitals
    if rest < LEAST:
        return Layout(vitals, max(0, rest), 1, 0, tab, both)
    lower = max(5, min(16, rest * 2 // 5))
    columns = 1 if width < WIDE else 2 if width < WIDEST else 3
    rows = max(1, min((rest - lower) // CHART_HEIGHT, CHARTS // columns, -(-max(1, plans) // columns)))
    return Layout(vitals, lower, columns, rows, tab, both)

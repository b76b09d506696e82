"""Moves about a report, each the action of a key: views, findings, levels, files, order, rows of the pane that has the keys."""

from __future__ import annotations

from vqdoctor.tui.base import TableScreen
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.pane import Pane


class BrowsingScreen(TableScreen):
    """A screen whose keys move about a report; what it looks like is up to the screen itself."""

    def __init__(self, browsing: Browsing) -> None:
        super().__init__()
        self.browsing = browsing

    @property
    def chooser(self) -> Pane | None:
        """The pane that the keys move in."""
        return self.focused if isinstance(self.focused, Pane) else None

    def browsed(self) -> None:
        """Level, order or finding has changed: lists begin at their top. To be extended."""
        self.browsing.code_at = self.browsing.shared_at = 0
        self.redraw()

    def show_node(self, node: tuple[int, ...]) -> None:
        """Bring a node of the tree into sight. To be given by the screen."""

    def _view(self, name: str) -> None:
        self.browsing.view = name
        self.redraw()

    def action_view_overview(self) -> None:
        """Overview."""
        self._view("overview")

    def action_view_codes(self) -> None:
        """Codes."""
        self._view("codes")

    def action_view_use(self) -> None:
        """Use."""
        self._view("use")

    def action_view_map(self) -> None:
        """Map."""
        self._view("map")

    def action_view_levels(self) -> None:
        """Levels."""
        self._view("levels")

    def action_view_ids(self) -> None:
        """IDs."""
        self._view("ids")

    def action_view_findings(self) -> None:
        """Findings."""
        self._view("findings")

    def action_next_finding(self) -> None:
        """On to the next, and to what it is about."""
        self.browsing.step_finding(1)
        self.browsed()

    def action_previous_finding(self) -> None:
        """Back to the one before."""
        self.browsing.step_finding(-1)
        self.browsed()

    def action_next_level(self) -> None:
        """Next level."""
        self.browsing.step_level(1)
        self.browsed()

    def action_previous_level(self) -> None:
        """Level before."""
        self.browsing.step_level(-1)
        self.browsed()

    def action_next_quantizer(self) -> None:
        """Next quantiser."""
        self.browsing.step_quantizer(1)
        self.browsed()

    def action_previous_quantizer(self) -> None:
        """Quantiser before."""
        self.browsing.step_quantizer(-1)
        self.browsed()

    def action_next_file(self) -> None:
        """Next checkpoint."""
        self.browsing.step_source(1)
        self.browsed()

    def action_previous_file(self) -> None:
        """Checkpoint before."""
        self.browsing.step_source(-1)
        self.browsed()

    def action_next_sort(self) -> None:
        """Sort by the next column."""
        self.browsing.next_sort()
        self.browsed()

    def action_reverse(self) -> None:
        """The other way around."""
        self.browsing.sort_by(self.browsing.ordering.sort)
        self.browsed()

    def action_sort_by(self, name: str) -> None:
        """A click on a column's title."""
        self.browsing.sort_by(name)
        self.browsed()

    def action_troubled(self) -> None:
        """Only codes that are not live, or all."""
        ordering = self.browsing.ordering
        wanted = "!live" if self.browsing.table is not None and self.browsing.table.verdicts is not None else "marked"
        ordering.query = "" if ordering.query == wanted else wanted
        self.browsed()

    def action_next_zoom(self) -> None:
        """Another part of the map."""
        self.browsing.next_zoom()
        self.redraw()

    def action_open(self) -> None:
        """Open what is chosen."""
        pane, browsing = self.chooser, self.browsing
        match pane.id if pane is not None else "":
            case "list" if browsing.groups:
                browsing.turn_to(browsing.group_at)
                self.browsed()
            case "codes":
                browsing.view = "map"
                self.redraw()
            case "tree" if browsing.tree is not None and pane is not None and pane.rows:
                browsing.tree.toggle(browsing.tree.rows()[pane.chosen][0])
                self.redraw()
            case "groups" if browsing.ids is not None and browsing.tree is not None and browsing.shared_id is not None:
                path = browsing.ids.codes[browsing.shared_id].tolist()
                browsing.tree.open_path(path)
                browsing.view = "levels"
                self.redraw()
                self.show_node(tuple(path))

    def _scroll(self, rows: int) -> None:
        if self.chooser is not None:
            self.chooser.scroll_rows(rows)

    def action_up(self) -> None:
        """A line up."""
        self._scroll(-1)

    def action_down(self) -> None:
        """A line down."""
        self._scroll(1)

    def action_page_up(self) -> None:
        """A page up."""
        self._scroll(-self._page())

    def action_page_down(self) -> None:
        """A page down."""
        self._scroll(self._page())

    def action_top(self) -> None:
        """To the first line."""
        self._scroll(-(self.chooser.rows if self.chooser else 0))

    def action_bottom(self) -> None:
        """To the last line."""
        self._scroll(self.chooser.rows if self.chooser else 0)

    def _page(self) -> int:
        return max(1, self.chooser.room - 1) if self.chooser else 1

"""Which panes a view shows on a screen of some size, and how they share it."""

from __future__ import annotations

from dataclasses import dataclass

from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.codes import CodeLines
from vqdoctor.tui.themes import LOOKS

WIDE = 110  # columns from which two panes stand side by side
FRAME = 4  # cells of a pane's border and padding


@dataclass(frozen=True, slots=True)
class Arrangement:
    """panes: (id, share of the room, or lines where given as text), in order. across: side by side, else below each other."""

    panes: tuple[tuple[str, str], ...]
    across: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the panes."""
        return tuple(name for name, _ in self.panes)


def codes_width(browsing: Browsing) -> int:
    """Cells that the table of codes takes at most."""
    table = browsing.table
    return 40 if table is None else CodeLines(table, browsing.order(), LOOKS["default"], "code", True).width


def arrangement(browsing: Browsing, width: int, height: int) -> Arrangement:
    """For the view of `browsing` on a body of this many cells."""
    wide = width >= WIDE
    match browsing.view:
        case "overview":
            found = min(max(1, len(browsing.groups)) + 2, max(4, height // 2))
            return Arrangement((("summary", "1fr"), ("list", str(found))))
        case "codes":
            table = min(codes_width(browsing) + FRAME, width * 2 // 3)
            return Arrangement((("codes", str(table)), ("map", "1fr")), across=True) if wide else Arrangement((("codes", "1fr"),))
        case "use":
            return Arrangement((("ranked", "3fr"), ("hits", "2fr")), across=wide)
        case "map":
            return Arrangement((("map", "1fr"),))
        case "levels":
            count = len(browsing.quantizer.levels) if browsing.quantizer else 1
            return Arrangement((("levels", str(min(count + 3, max(5, height // 2)))), ("tree", "1fr")))
        case "ids":
            return Arrangement((("groups", "1fr"), ("members", "1fr")), across=True)
        case _:
            found = min(max(1, len(browsing.groups)) + 2, max(4, height // 3))
            return (
                Arrangement((("list", "1fr"), ("detail", "1fr")), across=True)
                if wide
                else Arrangement((("list", str(found)), ("detail", "1fr")))
            )

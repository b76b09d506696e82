"""Items that share an ID: the groups, largest first, and who is in the one that is chosen."""

from __future__ import annotations

import numpy as np
from rich.text import Text

from vqdoctor.app.views import IdBrowser
from vqdoctor.model import QuantizerReport
from vqdoctor.render.figures import count, plural
from vqdoctor.render.words import collision_words
from vqdoctor.tui.inspecting.grid import LazyLines, bar, prose
from vqdoctor.tui.themes import Look

MEMBERS = 2000  # of a group that are listed


class GroupLines(LazyLines):
    """A line a group, each made when it is asked for. shared: rows of the browser's table, largest group first."""

    def __init__(self, ids: IdBrowser, shared: np.ndarray, width: int, look: Look) -> None:
        self._ids, self.shared, self._width, self._look = ids, shared, width, look
        self._most = int(ids.items[shared[0]]) if len(shared) else 1
        self._figure = len(look.fold(count(self._most)))
        self._label = max((len(self._id(int(at))) for at in shared[:200]), default=4)

    def _id(self, at: int) -> str:
        return " ".join(f"{code:>3}" for code in self._ids.codes[at].tolist())

    def __len__(self) -> int:
        return len(self.shared)

    def line(self, index: int) -> Text:
        """The line at a place from 0."""
        at = int(self.shared[index])
        items = int(self._ids.items[at])
        line = Text(f"{self._look.fold(count(items)):>{self._figure}} items share  ")
        line.append(f"{self._id(at):<{self._label}}", "bold").append("  ")
        room = self._width - len(line.plain)
        return line.append_text(bar(items / self._most, max(0, min(30, room)), self._look, self._look.state_style("warning")))


def group_heading(quantizer: QuantizerReport, look: Look) -> str:
    """``unique 3 359 of 3 883 · collisions 13.5 % …``."""
    return look.fold(collision_words(quantizer) or "IDs")


def member_lines(ids: IdBrowser, at: int | None, width: int, look: Look) -> list[Text]:
    """The items of one group. at: row of the browser's table."""
    if at is None:
        return [Text(look.fold("every item has an ID of its own"), look.state_style("healthy"))]
    items = int(ids.items[at])
    members = ids.members(at, MEMBERS)
    heading = Text(f"ID {' '.join(map(str, ids.codes[at].tolist()))}: {look.fold(plural(items, 'item'))}", look.title)
    if not members:
        return [
            heading,
            *prose("Which items these are was not kept: there are too many, or rows were left out.", width, look, look.dim),
        ]
    lines = [heading, *(Text(look.cut(member, width)) for member in members)]
    return lines if len(members) == items else [*lines, Text(look.fold(f"… and {count(items - len(members))} more"), look.dim)]

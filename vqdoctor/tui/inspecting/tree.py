"""The tree that the prefixes of all IDs form, opened node by node, and drawn a line at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.text import Text

from vqdoctor.app.views import IdBrowser
from vqdoctor.metrics import Branches
from vqdoctor.render.figures import count, share
from vqdoctor.tui.inspecting.grid import LazyLines, bar
from vqdoctor.tui.themes import Look

Node = tuple[int, ...]


@dataclass(slots=True)
class Tree:
    """The tree of prefixes as far as it has been opened. opened: nodes whose children are shown; () is the root."""

    ids: IdBrowser
    opened: set[Node] = field(default_factory=lambda: {()})
    _children: dict[Node, Branches] = field(default_factory=dict)
    _version: int = 0
    _rows: tuple[int, list[tuple[Node, int, int]]] | None = None

    @property
    def depth(self) -> int:
        """Levels of an ID."""
        return int(self.ids.codes.shape[1])

    @property
    def version(self) -> int:
        """Grows when a node is opened or closed."""
        return self._version

    def children(self, node: Node) -> Branches:
        """What follows a node, fullest first."""
        if node not in self._children:
            self._children[node] = self.ids.branches(node)
        return self._children[node]

    def rows(self) -> list[tuple[Node, int, int]]:
        """(node, items, distinct IDs behind it) from top to bottom."""
        if self._rows is None or self._rows[0] != self._version:
            self._rows = self._version, self._below(())
        return self._rows[1]

    def _below(self, node: Node) -> list[tuple[Node, int, int]]:
        found: list[tuple[Node, int, int]] = []
        for code, items, ids in zip(*(values.tolist() for values in self.children(node)), strict=True):
            child = (*node, code)
            found.append((child, items, ids))
            if child in self.opened:
                found += self._below(child)
        return found

    def toggle(self, node: Node) -> None:
        """Open or close a node; a whole ID has nothing to open."""
        if len(node) < self.depth:
            self.opened ^= {node}
            self._version += 1

    def open_path(self, path: Sequence[int]) -> None:
        """Open all nodes of a path."""
        self.opened |= {tuple(path[:depth]) for depth in range(min(len(path), self.depth))}
        self._version += 1


class TreeLines(LazyLines):
    """A line a node, each made when it is asked for."""

    def __init__(self, tree: Tree, width: int, look: Look) -> None:
        self._tree, self._width, self._look = tree, width, look
        self._rows = tree.rows()
        self._total = int(tree.ids.items.sum()) or 1
        self._label = max((2 * len(node) + len(str(node[-1])) + 2 for node, _, _ in self._rows), default=4)

    def __len__(self) -> int:
        return len(self._rows)

    def line(self, index: int) -> Text:
        """The line at a place from 0."""
        node, items, ids = self._rows[index]
        look, tree = self._look, self._tree
        whole = len(node) == tree.depth
        marks = ("·", "▾", "▸") if look.unicode else (".", "v", ">")
        mark = marks[0] if whole else marks[1] if node in tree.opened else marks[2]
        label = f"{'  ' * (len(node) - 1)}{mark} {node[-1]}"
        part = items / self._total
        line = Text(f"{label:<{self._label}}", "bold" if len(node) == 1 else "")
        line.append(look.fold(f"  {count(items):>7} items  {share(part):>7}  "))
        line.append(look.fold(f"{count(ids):>6} IDs  ") if not whole else ("shared  " if items > 1 else "its own  "), look.dim)
        room = self._width - len(line.plain)
        return line.append_text(bar(part, max(0, min(40, room)), look)) if room > 2 else line

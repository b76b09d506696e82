"""Lines out of pieces of text: columns that align, prose that wraps, bars that compare."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

from rich.cells import cell_len
from rich.text import Text

from vqdoctor.render.page import wrapped
from vqdoctor.tui.shell import shell_lines
from vqdoctor.tui.themes import Look

GAP = 2


class GridColumn:
    """A column: title, a cell a row, flush left or right. gives_way: dropped early where there is little room, 0 never."""

    def __init__(self, title: str, cells: Sequence[Text], *, left: bool = False, gives_way: int = 0) -> None:
        self.title, self.cells, self.left, self.gives_way = title, cells, left, gives_way
        self.width = max(cell_len(title), *(cell_len(cell.plain) for cell in cells)) if cells else cell_len(title)


def grid(columns: Sequence[GridColumn], width: int, look: Look) -> list[Text]:
    """A heading and a line a row, in at most `width` cells as long as columns can give way."""
    kept = list(columns)
    while sum(column.width + GAP for column in kept) - GAP > width and any(column.gives_way for column in kept):
        kept.remove(max(kept, key=lambda column: column.gives_way))
    lines = [Text() for _ in range(1 + max((len(column.cells) for column in kept), default=0))]
    for column in kept:
        title = Text(look.fold(column.title), look.dim)
        for line, cell in zip(lines, [title, *column.cells], strict=True):
            pad = " " * max(0, column.width - cell_len(cell.plain))
            line.append("" if column.left else pad).append_text(cell).append((pad if column.left else "") + " " * GAP)
    for line in lines:
        line.rstrip()
    return lines


def prose(
    words: str, width: int, look: Look, style: str = "", *, indent: int = 0, first: str = "", most: int | None = None
) -> list[Text]:
    """Words, already safe, as wrapped lines; `first` hangs out to the left of the first. most: the rest is cut, and shows it."""
    parts = wrapped(words, width - indent)
    lines = []
    for number, part in enumerate(parts[:most]):
        hung = look.fold(first) if number == 0 else ""
        lines.append(Text(" " * (indent - cell_len(hung)) + hung + part, style))
    if most is not None and len(parts) > most and lines:
        lines[-1].truncate(width - 4)
        lines[-1].append(look.fold(" …"), style)
    return lines


class LazyLines(Sequence[Text]):
    """Lines that are made when they are asked for: a pane asks for those that it shows."""

    made = 0  # lines made so far, for whoever wants to know what a change costs

    @abstractmethod
    def line(self, index: int) -> Text:
        """The line at a place from 0."""

    @overload
    def __getitem__(self, index: int) -> Text: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Text]: ...
    def __getitem__(self, index: int | slice) -> Text | Sequence[Text]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        self.made += 1
        return self.line(index)


def clipped(words: str, width: int, look: Look, style: str = "") -> Text:
    """Words, already safe, in at most `width` cells: their beginning tells most."""
    return look.clip(Text(words, style), max(0, width))


def to_type(line: str | None, width: int, look: Look) -> list[Text]:
    """What to type, whole, so that it can be copied from the screen; [] for none."""
    style = f"bold {look.real}".strip()
    return [Text(part, style) for part in shell_lines(look.say(line, 4000), width)] if line else []


def bar(part: float, width: int, look: Look, style: str = "") -> Text:
    """A share of `width` cells, in eighths; anything above nothing shows."""
    if not look.unicode:
        return Text("#" * max(int(part > 0), round(part * width)), style or look.real)
    eighths = max(int(part > 0), round(part * width * 8))
    return Text("█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else ""), style or look.real)

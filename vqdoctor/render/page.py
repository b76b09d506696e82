"""Lines of styled words for a terminal: the little that we need of rich, with its guessing switched off.

Only `Text` objects are built, so markup, emoji codes and links in a name are just characters; no environment variable is read.
A table line is never wrapped (names are cut in the middle), prose is; a command stays on one line however long, to be copied whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from vqdoctor.render.screen import GAP, SPACE, STATES, Screen

Cell = tuple[str, str]  # words, rich style
PROSE = 116  # columns beyond which prose is hard to read
_BOUND = re.compile(rf"(?<=\d) (?=%)|[{GAP}{SPACE}]")
_HELD = {" ": "\ue000", GAP: "\ue001", SPACE: "\ue002"}  # what stands for each while lines are broken; no name holds it unescaped
_FREED = str.maketrans({stand_in: space for space, stand_in in _HELD.items()})


class Page:
    """A page under construction; `text` gives it as a string."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._out = io.StringIO()
        self._console = Console(
            file=self._out, width=screen.width, color_system="standard" if screen.color else None, force_terminal=screen.color,
            no_color=not screen.color, legacy_windows=False, markup=False, highlight=False, emoji=False, _environ={},
        )  # fmt: skip

    def line(self, *parts: str | Cell | Text, indent: int = 1) -> None:
        """One line of words, already escaped; a part is plain, (words, style), or a Text."""
        self._console.print(Text(" " * indent).append_text(Text.assemble(*parts)), soft_wrap=True)

    def prose(self, words: str, indent: int = 1, style: str = "", first: str = "") -> None:
        """A wrapped paragraph; `first` hangs out to the left of it on its first line."""
        room = max(20, min(self.screen.width, PROSE) - indent)
        for number, line in enumerate(wrapped(words, room)):
            hung = first if number == 0 else ""
            self.line((" " * (indent - cell_len(hung)) + hung, style), (line, style), indent=0)

    def cut(self, words: str, width: int) -> str:
        """`words` in at most `width` cells, the middle left out."""
        return cut_middle(words, width, self.screen.fold("…"))

    def gap(self) -> None:
        """An empty line."""
        self._out.write("\n")

    def text(self) -> str:
        """What was put on the page, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().split("\n"))


def wrapped(words: str, width: int) -> list[str]:
    """`words` in lines of at most `width` cells. A number keeps its thousands, its unit and its "%": rich breaks at any space."""
    lines = Text(held(words)).wrap(Console(width=width, _environ={}), max(8, width))
    return [freed(line.plain.rstrip()) for line in lines] or [""]


def held(words: str) -> str:
    """`words` that can be broken into lines at any space: within numbers there is none."""
    return _BOUND.sub(lambda space: _HELD[space[0]], words)


def freed(words: str) -> str:
    """What `held` took away, put back."""
    return words.translate(_FREED)


def state(screen: Screen, name: str, shout: bool = False) -> Cell:
    """Glyph, word and style of a verdict or severity."""
    look = STATES[name]
    word = look.word.upper() if shout else look.word
    return f"{screen.fold(look.glyph)} {word}", look.style


def cut_middle(words: str, width: int, ellipsis: str = "…") -> str:
    """`words` in at most `width` terminal cells; the ends of a long name tell more than its middle."""
    if cell_len(words) <= width:
        return words
    room = max(0, width - cell_len(ellipsis))
    return _fitting(words, room - room // 2) + ellipsis + _fitting(words[::-1], room // 2)[::-1]


def _fitting(words: str, width: int) -> str:
    """The longest start of `words` within `width` cells."""
    used = 0
    for place, character in enumerate(words):
        used += cell_len(character)
        if used > width:
            return words[:place]
    return words


Columns = Mapping[str, Sequence[Cell]]  # cells under their titles, all of one length
_BETWEEN = 2  # blanks between columns


def fit(columns: Columns, width: int, gives_way: Sequence[str]) -> Columns:
    """`columns` without as many of `gives_way`, in that order, as it takes to stay within `width` cells."""
    kept = dict(columns)
    for title in gives_way:
        if table_width(kept) <= width:
            break
        kept.pop(title, None)
    return kept


def table_width(columns: Columns) -> int:
    """Terminal cells of a table, with the blanks after each column."""
    return sum(_column_width(title, cells) + _BETWEEN for title, cells in columns.items())


def _column_width(title: str, cells: Sequence[Cell]) -> int:
    return max(map(cell_len, (title, *(words for words, _ in cells))))


def table(columns: Columns, left: Collection[str] = ()) -> list[Text]:
    """Titles and cells as aligned lines; the columns in `left` are flush left, numbers are not."""
    rows = max((len(cells) for cells in columns.values()), default=0)
    lines = [Text() for _ in range(1 + rows)]
    for title, cells in columns.items():
        width = _column_width(title, cells)
        for line, (words, style) in zip(lines, [(title, "dim"), *cells], strict=True):
            pad = " " * (width - cell_len(words))
            before, after = ("", pad) if title in left else (pad, "")
            line.append(before).append(words, style).append(after + " " * _BETWEEN)
    for line in lines:
        line.rstrip()
    return lines

"""One chart as lines of text: curves over steps, reference lines, ticks of events, the onset of a finding, the cursor.

A plain function of a `Chart` and a size. The curves come thinned to a low and a high a column, so that no spike is lost and plotext
has few points to draw (20 000 would cost it 115 ms, two a column under 10). Plotext draws the curves alone, each in a colour by
which its cells are told apart again; axes, ticks and marks are laid around them here, where their places are known.
A curve is told by the style of its line before its colour: solid, dashed, dotted, faint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from vqdoctor.render.figures import count, share, short
from vqdoctor.tui.themes import Look

LINES = {"solid": "─", "dashed": "┄", "dotted": "⋯", "dashdot": "╍", "faint": "╌"}  # as the legend shows them
ASCII_LINES = {"solid": "*", "dashed": "o", "dotted": ".", "dashdot": "x", "faint": ":"}
_GAPS = {"solid": (), "dashed": (4, 3), "dotted": (2, 1), "dashdot": (6, 3, 5), "faint": ()}  # of so many columns, those left blank
_ANSI = re.compile(r"\x1b\[([0-9;]*)m")
WRITTEN: dict[str, Callable[[float | None], str]] = {"share": share, "count": count, "short": short}
MOST, LEAST, TINY = 1e150, 1e-300, 1e-280  # what lies beyond is drawn at the edge: differences must stay finite
Cell = tuple[str, str]  # character, style


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line. pieces: (steps, values) of each unbroken piece, float64. at: its value at the cursor, None where it has none."""

    name: str
    pieces: tuple[tuple[np.ndarray, np.ndarray], ...]
    line: str = "solid"
    role: str = "real"  # attribute of the look that holds its style
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step. word: short, safe. rank: whose word goes first where there is little room, small first."""

    step: float
    word: str
    rank: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """What to draw.

    Attributes:
        name: stable, for the JSON and for tests. title: safe words.
        curves: back to front. first, last: steps at the left and the right end.
        low, high: the least range of values to show, None for what the curves need. form: how values are written, see `WRITTEN`.
        references: (value, word) of horizontal lines. log: whether the values are drawn on a log scale.
        marks: events. onset: step at which the finding in view began. cursor: step of the cursor.
        empty: why there is no curve. note: what else to bear in mind, safe words; a pane shows it on its lower border.
    """

    name: str
    title: str
    curves: tuple[Curve, ...]
    first: float
    last: float
    low: float | None = None
    high: float | None = None
    form: str = "short"
    references: tuple[tuple[float, str], ...] = ()
    marks: tuple[Mark, ...] = ()
    onset: float | None = None
    cursor: float | None = None
    log: bool = False
    empty: str = "nothing logged"
    note: str = ""

    def extent(self) -> tuple[float, float]:
        """The range of values, as wide as it must be and never empty."""
        ends = [(float(values.min()), float(values.max())) for curve in self.curves for _, values in curve.pieces if len(values)]
        lows = [low for low, _ in ends] + ([self.low] if self.low is not None else [])
        highs = [high for _, high in ends] + ([self.high] if self.high is not None else [])
        low, high = (max(-MOST, min(MOST, bound)) for bound in (min(lows, default=0.0), max(highs, default=1.0)))
        if self.log:
            low = max(low, LEAST)
            return low, high if high > 1.001 * low else 10 * low
        if high - low <= max(TINY, 1e-9 * max(abs(low), abs(high))):
            pad = abs(low) * 0.1 if abs(low) > TINY else 0.5
            return low - pad, high + pad
        return low, high


@dataclass(slots=True)
class _Canvas:
    """Cells of the plot area, and where steps and values fall on it."""

    chart: Chart
    width: int
    height: int
    cells: list[list[Cell]] = field(default_factory=list)
    bounds: tuple[float, float] = (0.0, 1.0)

    def column(self, step: float) -> int | None:
        """Column of a step, None outside."""
        if not self.chart.first <= step <= self.chart.last:
            return None
        return round(float(self.across(np.array([step]))[0]) * (self.width - 1))

    def across(self, steps: np.ndarray) -> np.ndarray:
        """Where steps fall, 0 at the left end and 1 at the right."""
        first, last = (max(-MOST, min(MOST, end)) for end in (self.chart.first, self.chart.last))
        return (np.clip(steps, -MOST, MOST) - first) / (last - first) if last > first else np.zeros(len(steps))

    def up(self, values: np.ndarray) -> np.ndarray:
        """Where values fall, 0 at the bottom and 1 at the top."""
        ends = np.array([*self.bounds, *values])
        scaled = np.log10(np.maximum(ends, LEAST)) if self.chart.log else np.clip(ends, -MOST, MOST)
        return (scaled[2:] - scaled[0]) / (scaled[1] - scaled[0])

    def row(self, value: float) -> int | None:
        """Row of a value, 0 at the top, None outside."""
        place = float(self.up(np.array([value]))[0])
        return round((1 - place) * (self.height - 1)) if -1e-9 <= place <= 1 + 1e-9 else None


def paint(chart: Chart, width: int, height: int, look: Look) -> list[Text]:
    """`height` lines of at most `width` cells; words in the middle where there is nothing to draw or no room."""
    if width < 12 or height < 3:
        return []
    if not any(len(values) for curve in chart.curves for _, values in curve.pieces):
        return _centred(look.fold(chart.empty), width, height, look)
    labels, ticked = _layout(chart, width, height, look)
    gutter = max(cell_len(label) for label in labels) + 1
    canvas = _Canvas(chart, width - gutter, len(labels), bounds=chart.extent())
    canvas.cells = _curves(canvas, look)
    _references(canvas, look)
    _onset(canvas, look)
    _cursor(canvas, look)
    axis = look.fold("┤") if look.unicode else "|"
    lines = [
        _line([(f"{label:>{gutter - 1}}", look.dim), (axis if label else look.fold("│"), look.dim), *cells])
        for label, cells in zip(labels, canvas.cells, strict=True)
    ]
    lines.append(_axis(canvas, gutter, look))
    return [*lines, _ticks(canvas, gutter, look)] if ticked else lines


def step_at(chart: Chart, width: int, height: int, look: Look, x: int) -> float | None:
    """The step at column `x` of the lines that `paint` gives for this size, None beside the plot."""
    if width < 12 or height < 3:
        return None
    gutter = max(cell_len(label) for label in _layout(chart, width, height, look)[0]) + 1
    if not gutter <= x < width:
        return None
    part = (x - gutter) / max(1, width - gutter - 1)
    return chart.first * (1 - part) + chart.last * part


def _layout(chart: Chart, width: int, height: int, look: Look) -> tuple[list[str], bool]:
    """A label for each row of the plot, and whether there is a row of ticks."""
    ticked = height >= 6 and any(chart.first <= mark.step <= chart.last for mark in chart.marks)
    labels = _value_labels(chart, chart.extent(), height - 1 - ticked, look)
    return [look.fit(label, max(4, width // 3)) for label in labels], ticked


def legend(chart: Chart, look: Look) -> Text:
    """``use real ─ 47 % EMA ┄ 98 %``: the title, each line's style and its value at the cursor or at the end."""
    written = WRITTEN[chart.form]
    marks = LINES if look.unicode else ASCII_LINES
    text = Text(f"{chart.title} ", look.title)
    for curve in reversed(chart.curves):
        if curve.line == "faint":
            continue
        style = getattr(look, curve.role, "")
        text.append(f" {curve.name} ".replace("  ", " "), look.dim).append(marks[curve.line], style)
        if curve.at is not None:
            text.append(" " + look.fold(written(curve.at)), f"bold {style}".strip())
    return text


def _centred(words: str, width: int, height: int, look: Look) -> list[Text]:
    blank = [Text() for _ in range(height)]
    shown = look.cut(words, width)
    blank[height // 2] = Text(" " * ((width - cell_len(shown)) // 2) + shown, look.dim)
    return blank


def _value_labels(chart: Chart, bounds: tuple[float, float], rows: int, look: Look) -> list[str]:
    """A label at the top, at the bottom and, where there is room, between; "" elsewhere."""
    written = WRITTEN[chart.form]
    labels = [""] * rows
    low, high = (math.log10(max(bound, LEAST)) if chart.log else bound for bound in bounds)
    for part in (1.0, 0.0) if rows < 5 else (1.0, 0.5, 0.0):
        value = low + (high - low) * part
        labels[round((1 - part) * (rows - 1))] = look.fold(written(10**value if chart.log else round(value, 12)))
    return labels


def _curves(canvas: _Canvas, look: Look) -> list[list[Cell]]:
    """What plotext draws, a cell at a time, each curve in its own style."""
    import plotext  # 0.1 s, and only a chart needs it

    chart = canvas.chart
    plotext.clear_figure()
    plotext.frame(False)
    plotext.xaxes(False, False)
    plotext.yaxes(False, False)
    plotext.xfrequency(0)
    plotext.yfrequency(0)
    plotext.limitsize(False, False)
    plotext.plotsize(canvas.width, canvas.height)
    plotext.xlim(0, 1)
    plotext.ylim(0, 1)
    for number, curve in enumerate(chart.curves):
        marker = "hd" if look.unicode else ASCII_LINES[curve.line]
        for steps, values in curve.pieces:
            if len(values):
                plotext.plot(canvas.across(steps).tolist(), canvas.up(values).tolist(), marker=marker, color=number + 1)
    rows = [list(_parsed(line, chart.curves, look)) for line in plotext.build().split("\n")[: canvas.height]]
    return [(row + [(" ", "")] * canvas.width)[: canvas.width] for row in rows]


def _parsed(line: str, curves: Sequence[Curve], look: Look) -> Iterator[Cell]:
    """Cells of a line with colour codes; a dashed or dotted curve loses some of them."""
    owner = 0
    column = 0
    for place, piece in enumerate(_ANSI.split(line)):
        if place % 2:
            owner = int(piece.rsplit(";", 1)[-1] or 0) if piece.startswith("38;5;") else 0
            continue
        for character in piece:
            if owner == 0 or character == " ":
                yield " ", ""
            else:
                curve = curves[owner - 1]
                every, *blank = _GAPS[curve.line] or (1,)
                style = getattr(look, curve.role, "")
                gone = look.unicode and column % every in blank
                yield (" ", "") if gone else (character, f"dim {style}".strip() if curve.line == "faint" else style)
            column += 1


def _references(canvas: _Canvas, look: Look) -> None:
    """Horizontal lines in what the curves have left free, their word at the right."""
    for value, word in canvas.chart.references:
        row = canvas.row(value)
        if row is None:
            continue
        cells = canvas.cells[row]
        for column, (character, _) in enumerate(cells):
            if character == " " and column % 2 == 0:
                cells[column] = ("┈" if look.unicode else ".", look.ceiling)
        _write(cells, canvas.width - cell_len(word) - 1, look.fold(word), look.ceiling, over="┈. ")


def _onset(canvas: _Canvas, look: Look) -> None:
    """A broken vertical line at the onset of the finding in view, and its word where there is room beside it."""
    chart = canvas.chart
    column = None if chart.onset is None else canvas.column(chart.onset)
    if column is None or chart.onset is None:
        return
    style = look.state_style("error")
    for cells in canvas.cells:
        if cells[column][0] in " ┈.":
            cells[column] = ("╎" if look.unicode else "!", style)
    word = f"{'◀' if look.unicode else '<'} onset {look.fold(count(round(chart.onset)))}"
    for left in (column + 1, column - cell_len(word)):
        if any(_write(cells, left, word, style, over=" ┈.") for cells in canvas.cells[: canvas.height // 2 + 1]):
            return


def _cursor(canvas: _Canvas, look: Look) -> None:
    """The column of the cursor."""
    chart = canvas.chart
    column = None if chart.cursor is None else canvas.column(chart.cursor)
    if column is None:
        return
    for cells in canvas.cells:
        character, style = cells[column]
        cells[column] = ("│" if look.unicode else "|", "bold") if character in " ┈.╎!" else (character, f"{style} reverse".strip())


def _write(cells: list[Cell], left: int, words: str, style: str, over: str) -> bool:
    """Put words into cells that hold nothing but `over`; whether there was room."""
    if left < 0 or left + len(words) > len(cells) or any(character not in over for character, _ in cells[left : left + len(words)]):
        return False
    cells[left : left + len(words)] = [(character, style) for character in words]
    return True


def _axis(canvas: _Canvas, gutter: int, look: Look) -> Text:
    """The lower border with the steps written into it."""
    chart, width = canvas.chart, canvas.width
    cells: list[Cell] = [("─" if look.unicode else "-", look.dim)] * width
    column = None if chart.cursor is None else canvas.column(chart.cursor)
    if column is not None and chart.cursor is not None:
        words = f" {look.fold(count(round(chart.cursor)))} "
        left = max(0, min(width - len(words), column - len(words) // 2))
        cells[left : left + len(words)] = [(" ", ""), *((character, "bold reverse") for character in words[1:-1]), (" ", "")]
    for part in (0.0, 1.0, 0.5) if width >= 30 else (0.0, 1.0):
        step = chart.first * (1 - part) + chart.last * part
        words = look.fold(count(round(step)) if chart.last - chart.first >= 4 else short(step))
        left = {0.0: 0, 1.0: width - len(words)}.get(part, round(part * (width - 1)) - len(words) // 2)
        _write(cells, left, words, look.dim, over="─-")
    return _line([(" " * (gutter - 1), ""), ("└" if look.unicode else "+", look.dim), *cells])


def _ticks(canvas: _Canvas, gutter: int, look: Look) -> Text:
    """A tick for each event in sight, its word where there is room until the next."""
    cells: list[Cell] = [(" ", "")] * canvas.width
    tick, dot = ("▲", "·") if look.unicode else ("^", "'")
    places = [(column, mark) for mark in canvas.chart.marks if (column := canvas.column(mark.step)) is not None]
    places.sort(key=lambda place: place[1].rank)
    for column, mark in reversed(places):
        cells[column] = (tick if mark.word else dot, look.event)
    for column, mark in places:
        _write(cells, column + 1, look.fold(mark.word), look.event, over=f" {dot}")
    return _line([(" " * gutter, ""), *cells])


def _line(cells: Sequence[Cell]) -> Text:
    """Cells as a `Text`, neighbours of one style together."""
    text = Text()
    run, style = "", ""
    for character, own in cells:
        if own != style and run:
            text.append(run, style)
            run = ""
        style = own
        run += character
    text.append(run, style)
    text.rstrip()
    return text

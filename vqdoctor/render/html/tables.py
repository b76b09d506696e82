"""Tables of the page: real headers, numbers to the right, a name of its own for whoever listens.

A wide table scrolls in a box of its own, which the keyboard can reach; the page itself never scrolls sideways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vqdoctor.metrics.registry import METRICS
from vqdoctor.model.report import LevelReport, QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, scalar, share, short, unit
from vqdoctor.render.html.figures import meter
from vqdoctor.render.html.markup import Markup, el, join, say
from vqdoctor.render.html.sheet import badge
from vqdoctor.render.words import codes_of, level_state, number_of, size_words


@dataclass(frozen=True, slots=True)
class Cell:
    """What a table shows; `value` is what it is sorted by where the words are not."""

    words: object
    value: float | int | None = None
    number: bool = True


def table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[Cell]], *, lead: int = 0, **attributes: Any) -> Markup:
    """A table in its box; the cell of column `lead` heads its row."""
    numbers = [bool(rows) and all(row[i].number for row in rows) for i in range(len(titles))]
    heads = [el("th", title, scope="col", class_="n" if number else None) for title, number in zip(titles, numbers, strict=True)]
    body = [el("tr", *(_cell(cell, i == lead) for i, cell in enumerate(row))) for row in rows]
    whole = el("table", el("caption", caption), el("thead", el("tr", *heads)), el("tbody", *body), **attributes)
    return el("div", whole, class_="scroll", role="region", tabindex="0", aria_label=caption)


def _cell(cell: Cell, heads: bool) -> Markup:
    attributes = {"class_": "n" if cell.number else None, "data_v": None if cell.value is None else f"{cell.value:.6g}"}
    return el("th", cell.words, scope="row", **attributes) if heads else el("td", cell.words, **attributes)


def word(words: object) -> Cell:
    """A cell of words that a file may have chosen."""
    return Cell(say(words), number=False)


def level_table(report: Report, quantizer: QuantizerReport) -> Markup:
    """A row a level: its state, size, and real use beside what its counts claim. A column without a single value is left out."""
    rows = [_level(report, quantizer, level) for level in quantizer.levels]
    kept = [title for title in rows[0] if title in ALWAYS or any(row[title].words not in ("", UNDEFINED) for row in rows)]
    cells = [[row[title] for title in kept] for row in rows]
    return table(f"Levels of {say(quantizer.name)}", kept, cells, lead=kept.index("level"), class_="levels")


ALWAYS = ("state", "level", "K × D", "real use")


def _level(report: Report, quantizer: QuantizerReport, level: LevelReport) -> dict[str, Cell]:
    def shown(metric: str, written: Callable[[float | None], str]) -> Cell:
        return Cell(written(number_of(level.metrics, metric)))

    real, claimed = (number_of(level.metrics, name) for name in ("usage.utilization", "ema.utilization"))
    return {
        "state": Cell(badge(level_state(report, quantizer, level)), number=False),
        "level": Cell(level.index),
        "real use": Cell(el("strong", share(real))),
        "EMA says": Cell(share(claimed)),
        "real over EMA": Cell(meter(real, claimed) if claimed is not None else "", number=False),
        "used": shown("usage.used", count),
        "K × D": Cell(size_words(level)),
        "perplexity": shown("usage.perplexity", short),
        "entropy": shown("usage.entropy_normalized", unit),
        "dead": shown("usage.dead", count),
    }


def hits_table(name: str, level: LevelReport) -> Markup:
    """The usage histogram as a table: how many codes are hit how often, in powers of two, and the share of rows they take."""
    hits = [n for n in (level.counts or {}).values() if n > 0]
    bins: dict[int, list[int]] = {}
    for n in hits:
        bins.setdefault(n.bit_length(), []).append(n)
    total = sum(hits)
    rows = [[Cell("never", 0), Cell(count(codes_of(level) - len(hits))), Cell(share(0.0))]]
    for bits, own in sorted(bins.items()):
        low, high = 1 << (bits - 1), (1 << bits) - 1
        words = count(low) if low == high else f"{count(low)}–{count(high)}"
        rows.append([Cell(words), Cell(count(len(own))), Cell(share(sum(own) / total))])
    return table(f"Hits of {say(name)}", ("hits", "codes", "share of rows"), rows)


def metric_table(quantizer: QuantizerReport) -> Markup:
    """Every metric that has a value, a column a level."""
    titles = {page.name: page.title for page in METRICS}
    names = list(dict.fromkeys(name for level in quantizer.levels for name in level.metrics))
    rows = [
        [word(name), word(titles.get(name, "")), *(Cell(scalar(level.metrics.get(name), say)) for level in quantizer.levels)]
        for name in names
        if any(level.metrics.get(name) is not None for level in quantizer.levels)
    ]
    heads = ("metric", "what it is", *(f"level {level.index}" for level in quantizer.levels))
    whole = [
        [word(name), word(titles.get(name, "")), Cell(scalar(value, say))]
        for name, value in quantizer.metrics.items()
        if value is not None
    ]
    together = table(f"Metrics of {say(quantizer.name)} as a whole", ("metric", "what it is", "value"), whole) if whole else ""
    return join([table(f"Metrics of the levels of {say(quantizer.name)}", heads, rows) if rows else "", together])

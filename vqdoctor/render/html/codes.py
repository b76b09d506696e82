"""The table of every code: to sort and to search where scripts run, by level and use where they do not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vqdoctor.model.report import LevelReport, QuantizerReport
from vqdoctor.render.figures import UNDEFINED, count, share, short
from vqdoctor.render.html.markup import Markup, el, say
from vqdoctor.render.html.sheet import Sheet
from vqdoctor.render.html.tables import Cell, table, word
from vqdoctor.render.to_json import plain

CODES = 1000  # rows of a table of codes; more are for --details
COLUMNS = {
    "count": ("hits", count),
    "share": ("share", share),
    "ema_count": ("EMA count", short),
    "norm": ("norm", short),
    "nearest": ("nearest", count),
    "nearest_distance": ("distance", short),
}
"""Columns of a code's details: the title, and how a number is written."""


def code_table(quantizer: QuantizerReport, mark: str) -> tuple[Markup, int, int] | None:
    """A row a code, those of most and least use first where not all fit: the table, rows shown, rows in all."""
    known = [(level, code_columns(level)) for level in quantizer.levels]
    known = [(level, columns) for level, columns in known if columns.get("code")]
    if not known:
        return None
    names = [name for name in COLUMNS if any(name in columns for _, columns in known)]
    judged = any("verdict" in columns for _, columns in known)
    many = len(quantizer.levels) > 1
    titles = [*(["level"] if many else []), "code", *(COLUMNS[name][0] for name in names), *(["verdict"] if judged else [])]
    rows = []
    for level, columns in known:
        for i in _chosen(columns, max(8, CODES // len(known))):
            rows.append([*([Cell(level.index, level.index)] if many else []), *_code(columns, names, i, judged)])
    shown = table(f"Codes of {say(quantizer.name)}", titles, rows, lead=int(many), class_="codes", id=f"{mark}-codes")
    return shown, len(rows), sum(len(columns["code"]) for _, columns in known)


def code_columns(level: LevelReport) -> Mapping[str, Sequence[Any]]:
    """The details of a level; where nobody asked for them, what its hits alone say."""
    details = level.facts.get("details")
    if details:
        return {name: plain(values) for name, values in details.items()}
    counts = level.counts
    if counts is None:
        return {}
    codes = sorted(counts) if not level.codes else list(range(level.codes))
    total = sum(counts.values()) or 1
    hits = [counts.get(code, 0) for code in codes]
    return {"code": codes, "count": hits, "share": [n / total for n in hits]}


def _chosen(columns: Mapping[str, Sequence[Any]], most: int) -> list[int]:
    """Places of the rows to show, most used first; of too many the two ends of that ranking."""
    by = columns.get("count") or columns.get("ema_count") or [0] * len(columns["code"])
    ranked = sorted(range(len(by)), key=lambda i: (-(by[i] if by[i] is not None else -math.inf), i))
    return ranked if len(ranked) <= most else ranked[: most // 2] + ranked[len(ranked) - most // 2 :]


def _code(columns: Mapping[str, Sequence[Any]], names: Sequence[str], i: int, judged: bool) -> list[Cell]:
    cells = [Cell(columns["code"][i], columns["code"][i])]
    for name in names:
        value = columns[name][i] if name in columns else None
        cells.append(Cell(COLUMNS[name][1](value), value))
    return [*cells, word(columns["verdict"][i] if "verdict" in columns else UNDEFINED)] if judged else cells


def codes_section(sheet: Sheet) -> Markup | str:
    """Every code, to sort and to search."""
    parts: list[object] = []
    for i, quantizer in enumerate(sheet.report.quantizers):
        made = code_table(quantizer, f"{sheet.mark}-q{i}")
        if made is None:
            continue
        whole, shown, known = made
        note = (
            "" if shown == known else f"{count(shown)} of {count(known)} codes, those of most and least use; --details writes all."
        )
        parts += [
            sheet.heading(2, say(quantizer.name)),
            _search(f"{sheet.mark}-q{i}", quantizer),
            el("p", note) if note else "",
            whole,
        ]
    return sheet.section("codes", "Every code", *parts) if parts else ""


def _search(mark: str, quantizer: QuantizerReport) -> Markup:
    """A filter, shown where scripts run."""
    told = {"aria_label": f"Search the codes of {say(quantizer.name)}", "placeholder": "440, dead", "autocomplete": "off"}
    field = el("input", type="search", id=f"{mark}-find", data_table=f"{mark}-codes", **told)
    return el("p", el("label", "Search", field), el("output", for_=f"{mark}-find"), class_="search", hidden=True)

"""How the codes of a level share the rows: sorted use beside what the EMA counts claim, and how often codes are hit."""

from __future__ import annotations

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from vqdoctor.model import LevelReport
from vqdoctor.render.figures import count, share
from vqdoctor.render.histogram import hit_bins, ranked_shares
from vqdoctor.render.words import codes_of, number_of
from vqdoctor.tui.chart import Chart, Curve
from vqdoctor.tui.inspecting.codes import CodeTable
from vqdoctor.tui.inspecting.grid import bar
from vqdoctor.tui.themes import Look

POINTS = 400  # of a curve: two a column of a very wide terminal
LOWEST = 1e-8  # shares below tell nothing more


def ranked_chart(level: LevelReport, table: CodeTable | None, name: str) -> Chart:
    """Share of the rows by code, most used first, on a log scale; the EMA's shares likewise where they are known."""
    size = max(codes_of(level), 1)
    counted = None if table is None else table.numbers.get("ema")
    curves = (
        _curve("EMA says", ranked_shares([] if counted is None else counted.tolist()), "dotted", "ema"),
        _curve("real use", ranked_shares((level.counts or {}).values()), "solid", "real"),
    )
    shown = tuple(curve for curve in curves if curve.pieces)
    lows = [float(values.min()) for curve in shown for _, values in curve.pieces]
    return Chart(
        name, "share of rows by code", shown, 1.0, float(max(size, 2)),
        low=max(LOWEST, min([0.1 / size, *lows])), high=1.0, form="short", log=True, note=_note(level),
        references=((1 / size, "even use"),), empty="no use of codes was counted: give --features",
    )  # fmt: skip


def _note(level: LevelReport) -> str:
    """How many codes are in use, and what the EMA counts say."""
    used, claimed = number_of(level.metrics, "usage.utilization"), number_of(level.metrics, "ema.utilization")
    words = [f"{share(used)} of the codes"] if used is not None else []
    return ", ".join(words + ([f"EMA says {share(claimed)}"] if claimed is not None else []))


def _curve(name: str, shares: list[float], line: str, role: str) -> Curve:
    """At most `POINTS` of `shares` with their places from 1, first and last kept; a fall to nothing ends the curve with a drop."""
    kept = np.unique(np.linspace(0, len(shares) - 1, min(POINTS, len(shares))).astype(int)) if shares else np.zeros(0, int)
    places, values = kept + 1.0, np.maximum(np.array(shares)[kept], LOWEST) if shares else np.zeros(0)
    return Curve(name, ((places, values),) if shares else (), line, role)


def hit_lines(level: LevelReport, width: int, look: Look) -> list[Text]:
    """Number of codes by how often they are hit, a bar a bin."""
    if not level.counts:
        return [Text(look.fold("no use of codes was counted: give --features"), look.dim)]
    bins = hit_bins(level)
    size = max(codes_of(level), 1)
    labels = max(len(label) for label, _ in bins)
    figures = [look.fold(f"{count(number)}  {share(number / size)}") for _, number in bins]
    room = max(4, width - labels - max(map(cell_len, figures)) - 4)
    most = max(number for _, number in bins) or 1
    lines = [Text(f"{'hits':>{labels}}  codes", look.dim)]
    for at, ((label, number), figure) in enumerate(zip(bins, figures, strict=True)):
        if at and not number and not bins[at - 1][1]:
            continue  # of a run of empty bins the first stands for all
        style = look.state_style("error") if label == "never" else look.real
        line = Text(f"{label:>{labels}}  ").append_text(bar(number / most, room, look, style))
        lines.append(line.append(f" {figure}", look.dim if number == 0 else ""))
    return lines

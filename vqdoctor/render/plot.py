"""`--plot`: charts in the terminal: use by code, real beside EMA; how often codes are hit; the use of several levels side by side.

The curves are drawn by plotext, which is imported here and nowhere else. It keeps one figure for the whole process, so each curve
starts by clearing it. Series are thinned to two points a column first: more cannot be seen and only takes time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import plotext

from vqdoctor.model.report import LevelReport, QuantizerReport, Report
from vqdoctor.render.figures import count, share
from vqdoctor.render.histogram import hit_bins, ranked_shares
from vqdoctor.render.page import cut_middle
from vqdoctor.render.screen import Screen
from vqdoctor.render.words import codes_of, number_of

HEIGHT = 14
WIDEST = 120
LEVELS = 4  # levels of a quantiser that get charts of their own: the least used
LOWEST = -6  # decades below one in a million tell nothing


def render(reports: Sequence[Report], screen: Screen) -> str:
    """The charts of each quantiser, one below the other; a sentence where nothing was counted."""
    quantizers = [quantizer for report in reports for quantizer in report.quantizers]
    charts = [chart for quantizer in quantizers for chart in _charts(quantizer, screen)]
    return "\n".join(charts) if charts else " nothing to draw: no use of codes was counted\n"


def _charts(quantizer: QuantizerReport, screen: Screen) -> Iterator[str]:
    counted = [level for level in quantizer.levels if level.counts]
    if len(counted) > 1:
        yield _levels(quantizer, counted, screen)
    for level in sorted(counted, key=lambda level: len(level.counts or ()) / codes_of(level))[:LEVELS]:
        name = cut_middle(screen.say(f"{quantizer.name}[{level.index}]"), screen.width // 2)
        yield _ranked(name, level, screen)
        yield _histogram(name, level, screen)


def _ranked(name: str, level: LevelReport, screen: Screen) -> str:
    """Share of the rows by code, most used first, on a log scale; the EMA's shares likewise where they are known."""
    plotext.clear_figure()
    curves = {
        "real": _log_shares((level.counts or {}).values()),
        "EMA": _log_shares(level.facts.get("details", {}).get("ema_count", ())),
    }
    for (label, logs), mark in zip(curves.items(), ("hd", "dot") if screen.unicode else "*o", strict=True):
        if logs:
            places, values = _thinned(logs, 2 * screen.width)
            plotext.plot(places, values, label=label, marker=mark)
    decades = range(max(LOWEST, min(-1, *(math.floor(logs[-1]) for logs in curves.values() if logs))), 1)
    plotext.ylim(decades[0], 0)
    plotext.yticks(list(decades), [f"{10.0 ** (decade + 2):g} %" for decade in decades])
    plotext.xlim(1, max(2, codes_of(level)))
    plotext.xticks([1, codes_of(level)], ["1", str(codes_of(level))])
    plotext.limitsize(False, False)
    plotext.plotsize(min(screen.width, WIDEST), HEIGHT)
    plotext.title(f"{name}: share of the rows by code, most used first")
    return _finished(screen)


def _log_shares(counts: Iterable[float]) -> list[float]:
    """log10 of each code's share, most used first."""
    return [math.log10(part) for part in ranked_shares(counts)]


def _histogram(name: str, level: LevelReport, screen: Screen) -> str:
    """Number of codes by how often they are hit, in powers of two."""
    bins = hit_bins(level)
    labels, values = [label for label, _ in bins], [number for _, number in bins]
    return _bars(f"{name}: number of codes by hits", labels, values, [count(value) for value in values], screen)


def _levels(quantizer: QuantizerReport, levels: Sequence[LevelReport], screen: Screen) -> str:
    """Utilisation of each level, real beside EMA."""
    named = [
        (f"[{level.index}] {who}", value)
        for level in levels
        for who, metric in (("real", "usage.utilization"), ("EMA", "ema.utilization"))
        if (value := number_of(level.metrics, metric)) is not None
    ]
    title = f"{cut_middle(screen.say(quantizer.name), screen.width // 2)}: share of codes in use by level"
    values = [value for _, value in named]
    return _bars(title, [label for label, _ in named], values, [share(value) for value in values], screen)


def _bars(title: str, labels: Sequence[str], values: Sequence[float], figures: Sequence[str], screen: Screen) -> str:
    """A line a bar, its value behind it; the longest fills the line, anything above nothing shows."""
    label_width, figure_width = max(map(len, labels)), max(map(len, figures))
    room = min(screen.width, WIDEST) - label_width - figure_width - 4
    scale = room / (max(values) or 1)
    bars = ("█" * math.ceil(value * scale) for value in values)
    lines = (f" {label:>{label_width}} {bar} {figure}" for label, bar, figure in zip(labels, bars, figures, strict=True))
    return screen.fold("\n".join([f" {title}", *lines])) + "\n"


def _thinned(values: Sequence[float], points: int) -> tuple[list[int], list[float]]:
    """At most about `points` of `values` with their places from 1, first and last kept."""
    step = max(1, math.ceil(len(values) / points))
    places = sorted({*range(0, len(values), step), len(values) - 1})
    return [place + 1 for place in places], [values[place] for place in places]


def _finished(screen: Screen) -> str:
    """The chart in black and white: its glyphs and labels say it all."""
    plotext.theme("clear")
    chart: str = plotext.uncolorize(plotext.build())
    return "\n".join(line.rstrip() for line in screen.fold(chart).strip("\n").split("\n")) + "\n"

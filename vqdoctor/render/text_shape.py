"""The codes themselves: how many differ, how they spread, how well they fit. Below the findings: it explains, it does not lead."""

from __future__ import annotations

from vqdoctor.model.report import Report
from vqdoctor.render.figures import UNDEFINED, count, short
from vqdoctor.render.page import Cell, Page, fit, table
from vqdoctor.render.screen import Screen
from vqdoctor.render.text_levels import Run, Written, known_columns, level_name, level_runs, metric_cell

FLAWS = {
    "geometry.nonfinite_rows": "not finite",
    "geometry.zero_rows": "zero",
    "geometry.duplicate_rows": "duplicate",
    "geometry.near_duplicate_rows": "nearly duplicate",
    "geometry.parallel_rows": "parallel",
    "geometry.untouched_rows": "untouched",
    "ema.inconsistent_rows": "unlike sum / count",
    "match.orphans": "far from all features",
}


def show_shape(page: Page, report: Report) -> None:
    """A row a codebook; a column only where something is known."""
    runs = [run for quantizer in report.quantizers for run in level_runs(report, quantizer)]
    known = known_columns(COLUMNS, runs, page.screen)
    if not known:
        return
    title = "the codes themselves"
    columns = fit({title: [_name(page, run) for run in runs], **known}, page.screen.width - 1, GIVES_WAY)
    page.gap()
    for line in table(columns, (title, "rows that are")):
        page.line(line)


def _name(page: Page, run: Run) -> Cell:
    """The name of a level that stands alone: with its quantiser's."""
    name = run.quantizer.name if len(run.quantizer.levels) == 1 else run.quantizer.name + level_name(run)
    return page.cut(page.screen.say(name), 28), ""


def _norms(run: Run, screen: Screen) -> Cell:
    """``0.04 (0.01–0.09)``: median, then least and largest."""
    middle = run.span("geometry.norm_median", short)
    if middle == UNDEFINED:
        return middle, ""
    ends = run.values("geometry.norm_min") + run.values("geometry.norm_max")
    return (f"{middle} ({short(min(ends))}–{short(max(ends))})" if ends else middle), ""


def _flaws(run: Run, screen: Screen) -> Cell:
    """``3 zero, 12 duplicate``: only what there is."""
    counted = {words: run.span(metric, count) for metric, words in FLAWS.items()}
    return ", ".join(f"{number} {words}" for words, number in counted.items() if number not in ("0", UNDEFINED)), ""


COLUMNS: dict[str, Written] = {
    "rows that are": _flaws,
    "distinct": metric_cell("geometry.distinct", count),
    "effective rank": metric_cell("geometry.effective_rank", short),
    "norm": _norms,
    "error": metric_cell("distortion.mse", short),
    "SNR dB": metric_cell("distortion.snr_db", short),
    "of k-means": metric_cell("distortion.kmeans_ratio", short),
}
GIVES_WAY = ("of k-means", "error", "norm", "effective rank", "SNR dB")

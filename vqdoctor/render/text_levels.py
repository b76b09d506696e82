"""The heart of the text view: a row a codebook, its real use beside what its EMA counts claim, and the shape of its use.

Columns give way in a fixed order when the screen is narrow; more than a dozen levels are folded into runs of neighbours in the
same state, each showing the range of its levels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from vqdoctor.model.report import LevelReport, QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, plural, share, short, span, unit
from vqdoctor.render.page import Cell, Columns, cut_middle, fit, state, table, table_width
from vqdoctor.render.screen import Screen
from vqdoctor.render.spark import usage_bars
from vqdoctor.render.words import codes_of, level_state, number_of, size_words, why_unmeasured

MANY = 12  # levels of one quantiser beyond which neighbours in one state share a row
ALIKE = 3  # fewer neighbours are not worth folding
BARS = 12  # narrowest picture of use worth drawing
NAME = 30  # widest name
TITLES = ("codes by use, most → least (log scale; · no hit)", "codes by use, most → least", "codes by use")
SCARCE = 0.95  # a ceiling below this is worth a word


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring levels of a quantiser that share a row: mostly a single one."""

    quantizer: QuantizerReport
    levels: tuple[LevelReport, ...]
    state: str

    def span(self, metric: str, written: Callable[[float | None], str]) -> str:
        """The metric over the levels, written once or as a range; a dash where all are undefined."""
        return span(self.values(metric), written)

    def values(self, metric: str) -> list[float]:
        """The metric of those levels that have it."""
        found = (number_of(level.metrics, metric) for level in self.levels)
        return [value for value in found if value is not None]


def level_runs(report: Report, quantizer: QuantizerReport) -> list[Run]:
    """A run a level, or a run for several neighbours alike where a quantiser has many."""
    runs = []
    states = [(level, level_state(report, quantizer, level)) for level in quantizer.levels]
    for (name, *_), together in groupby(states, key=lambda pair: (pair[1], pair[0].codes, pair[0].dim)):
        levels = tuple(level for level, _ in together)
        fold = len(quantizer.levels) > MANY and len(levels) >= ALIKE
        runs += [Run(quantizer, levels, name)] if fold else [Run(quantizer, (level,), name) for level in levels]
    return runs


def level_table(report: Report, screen: Screen) -> tuple[Text, list[list[Text]]]:
    """The heading and, for each quantiser, its lines; all aligned and within the width of the screen."""
    owned = [level_runs(report, quantizer) for quantizer in report.quantizers]
    runs = [run for each in owned for run in each]
    known = known_columns(COLUMNS, runs, screen, ALWAYS)
    columns = fit(known, screen.width - BARS - 1, [screen.fold(title) for title in GIVES_WAY])
    room = max(BARS, screen.width - 1 - table_width(columns))
    title = next(title for title in map(screen.fold, TITLES) if cell_len(title) <= max(room, BARS))
    heading, *drawn = table({**columns, title: [_bars(report, run, room, screen) for run in runs]}, {*LEFT, title})
    lines = iter(drawn)
    return heading, [[next(lines) for _ in each] for each in owned]


Written = Callable[[Run, Screen], Cell]


def known_columns(columns: Mapping[str, Written], runs: Sequence[Run], screen: Screen, always: Collection[str] = ()) -> Columns:
    """The cells of each column, in what the screen can show; a column without a single value is left out."""
    cells = {title: [written(run, screen) for run in runs] for title, written in columns.items()}
    return {
        screen.fold(title): [(screen.fold(words), style) for words, style in column]
        for title, column in cells.items()
        if title in always or any(words not in ("", UNDEFINED) for words, _ in column)
    }


def level_name(run: Run) -> str:
    """``quantize`` for an only level, else ``[3]`` or ``[3…9]``."""
    first, last = run.levels[0].index, run.levels[-1].index
    if len(run.quantizer.levels) == 1:
        return run.quantizer.name
    return f"[{first}]" if first == last else f"[{first}…{last}]"


def name_cell(run: Run, screen: Screen) -> Cell:
    """The name, cut in the middle where it is long."""
    limit = NAME if screen.width >= 100 else NAME // 2
    return cut_middle(screen.say(level_name(run)), limit, screen.fold("…")), "bold"


def _ceiling(run: Run, screen: Screen) -> Cell:
    """What even uniform use could reach on so few rows; empty where that is nearly all."""
    scarce = any(ceiling < SCARCE for ceiling in run.values("usage.ceiling"))
    return (run.span("usage.ceiling", share) if scarce else ""), "dim"


def metric_cell(metric: str, written: Callable[[float | None], str], style: str = "") -> Written:
    """A cell for a metric of the run."""
    return lambda run, screen: (run.span(metric, written), style)


def _of_codes(metric: str, written: Callable[[float | None], str]) -> Written:
    """A cell ``2 / 512``."""

    def cell(run: Run, screen: Screen) -> Cell:
        words = run.span(metric, written)
        codes = run.levels[0].codes
        return (words if words == UNDEFINED or not codes else f"{words} / {count(codes)}"), ""

    return cell


COLUMNS: dict[str, Written] = {
    "state": lambda run, screen: state(screen, run.state),
    "codebook": name_cell,
    "K × D": lambda run, screen: (size_words(run.levels[0]), ""),
    "used": _of_codes("usage.used", count),
    "real use": metric_cell("usage.utilization", share, "bold"),
    "at most": _ceiling,
    "EMA says": metric_cell("ema.utilization", share),
    "perplexity": _of_codes("usage.perplexity", short),
    "entropy": metric_cell("usage.entropy_normalized", unit),
    "dead": metric_cell("usage.dead", count),
}
ALWAYS = ("real use",)  # its absence is news
LEFT = ("state", "codebook")
GIVES_WAY = ("at most", "dead", "entropy", "perplexity", "K × D", "used")  # on a narrow screen, in this order


def _bars(report: Report, run: Run, room: int, screen: Screen) -> Cell:
    """The usage histogram of a level; words where there is nothing to draw."""
    ellipsis = screen.fold("…")
    if len(run.levels) > 1:
        return cut_middle(f"{plural(len(run.levels), 'level')} alike", room, ellipsis), "dim"
    level = run.levels[0]
    if level.counts is None:
        return cut_middle(screen.say(why_unmeasured(report, "usage.used")), room, ellipsis), "dim"
    return usage_bars(level.counts.values(), codes_of(level), room, screen.unicode), "cyan"

"""The text view: verdict first, then the number, then what it rests on, then what to type. Several sources: a line each.

Floors it keeps: no line of a table wraps, no name prints a control character, no colour carries a meaning alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from vqdoctor.model.report import VERDICTS, QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, scalar, share, short, span
from vqdoctor.render.page import Cell, Page, fit, state, table
from vqdoctor.render.screen import Screen
from vqdoctor.render.text_findings import show_findings
from vqdoctor.render.text_levels import level_table
from vqdoctor.render.text_shape import show_shape
from vqdoctor.render.words import (
    alike,
    collision_words,
    file_name,
    group_words,
    inspect_command,
    joint_words,
    kind_words,
    missing,
    next_words,
    number_of,
    sample_words,
    source_words,
    translations,
    verdict_words,
)

STEPS = ("step", "global_step", "iteration", "epoch")  # what says how far a checkpoint is
GIVES_WAY = ("perplexity", "codebooks", "collisions", "found", "step")  # columns of the overview on a narrow screen


def render(reports: Sequence[Report], screen: Screen) -> str:
    """One report in full, several as a line each, in the order given."""
    page = Page(screen)
    if len(reports) == 1:
        show_report(page, reports[0])
    else:
        show_overview(page, reports)
    return page.text()


def show_report(page: Page, report: Report) -> None:
    """All of one source."""
    _show_header(page, report)
    _show_quantizers(page, report)
    show_findings(page, report.findings)
    show_shape(page, report)
    _show_translations(page, report)
    _show_unmeasured(page, report)
    _show_next(page, report)


def _show_header(page: Page, report: Report) -> None:
    screen = page.screen
    verdict = state(screen, report.verdict, shout=True)
    words = screen.fold(verdict_words(report))
    name = page.cut(screen.say(report.source.path), screen.width - len(verdict[0]) - 4)
    fits = len(verdict[0]) + cell_len(name) + len(words) + 7 <= screen.width
    page.line(verdict, "   ", (name, "bold"), f"   {words}" if fits else "")
    if not fits:
        page.prose(words, 3)
    page.prose(screen.fold(source_words(report, screen.say)), 3)
    page.prose(screen.fold(sample_words(report, screen.say)), 3)
    for warning in report.source.warnings:
        page.prose(screen.say(warning), 5, style="yellow", first="! ")


def _show_quantizers(page: Page, report: Report) -> None:
    page.gap()
    heading, lines = level_table(report, page.screen)
    if any(lines):
        page.line(heading)
    for quantizer, own in zip(report.quantizers, lines, strict=True):
        _show_quantizer(page, quantizer, own)


def _show_quantizer(page: Page, quantizer: QuantizerReport, lines: Sequence[Text]) -> None:
    """Its levels, what they do together, and how it was found."""
    say, fold, single = page.screen.say, page.screen.fold, len(quantizer.levels) == 1
    kind = fold(kind_words(quantizer, say))
    if not single:
        page.line((page.cut(say(quantizer.name), page.screen.width // 3), "bold"), (f"   {kind}", "dim"))
    for line in lines:
        page.line(line)
    if collisions := collision_words(quantizer):
        page.prose(fold(f"IDs: {collisions}"), 3)
    for words in group_words(quantizer, say):
        page.line((page.cut(fold(words), page.screen.width - 6), "dim"), indent=5)
    if joint := joint_words(quantizer):
        page.prose(fold(f"levels together: {joint}"), 3)
    found = f"{kind}: " if single else "found by: "
    page.prose(found + say(quantizer.evidence), 3, style="dim")
    for note in quantizer.notes:
        page.prose(say(note), 5, style="dim", first=fold("· "))


def _show_translations(page: Page, report: Report) -> None:
    """What other programs would print for the same codes."""
    for quantizer in report.quantizers:
        rows = translations(quantizer)
        if not rows:
            continue
        columns = {page.screen.say(title): [_value(page, row.get(title)) for row in rows] for title in rows[0]}
        page.gap()
        page.line((page.screen.say(f"{quantizer.name} in others' words"), "bold"))
        for line in table(fit(columns, page.screen.width - 3, ("note", "formula")), columns):
            page.line(line, indent=3)


def _value(page: Page, value: object) -> Cell:
    """Anything in a table of values by name."""
    return page.cut(page.screen.fold(scalar(value, page.screen.say)), page.screen.width // 2), ""


def _show_unmeasured(page: Page, report: Report) -> None:
    if not report.unmeasured:
        return
    say = page.screen.say
    page.gap()
    page.line(("not measured", "bold"))
    for how, same in groupby(missing(report), key=lambda one: one[2]):
        for names, why, _ in same:
            page.prose(say(f"{names}: {why}"), 3)
        if how:
            page.line((say(how), "cyan"), indent=6)


def _show_next(page: Page, report: Report) -> None:
    words = [page.screen.say(each) for each in next_words(report)]
    if words:
        page.gap()
        page.line(("next   ", "bold"), page.screen.fold("  ·  ").join(words))


def show_overview(page: Page, reports: Sequence[Report]) -> None:
    """One line a source, and the command that tells the worst one's story."""
    if not reports:
        page.line("nothing was inspected")
        return
    rows = [_overview_row(page, report) for report in reports]
    columns = {title: [row[title] for row in rows] for title in rows[0]}
    for line in table(fit(columns, page.screen.width - 1, GIVES_WAY), ("verdict", "file", "found")):
        page.line(line)
    worst = max(reports, key=lambda report: VERDICTS.index(report.verdict))
    page.gap()
    page.line(("next   ", "bold"), page.screen.say(inspect_command(worst)))


def _overview_row(page: Page, report: Report) -> dict[str, Cell]:
    """Ranges are over all codebooks of the source."""
    metrics = [level.metrics for quantizer in report.quantizers for level in quantizer.levels]
    rates = [number_of(quantizer.metrics, "collision.rate") for quantizer in report.quantizers]
    step = next((report.source.info[key] for key in STEPS if key in report.source.info), None)
    words = {
        "step": scalar(step, page.screen.say),
        "codebooks": count(len(metrics)),
        "real use": span((number_of(each, "usage.utilization") for each in metrics), share),
        "EMA says": span((number_of(each, "ema.utilization") for each in metrics), share),
        "perplexity": span((number_of(each, "usage.perplexity") for each in metrics), short),
        "collisions": span(rates, share),
        "found": ", ".join(dict.fromkeys(same[0].rule for same in alike(report.findings))) or UNDEFINED,
    }
    name = page.cut(page.screen.say(file_name(report)), 32 if page.screen.width >= 100 else 24)
    return {
        "verdict": state(page.screen, report.verdict),
        "file": (name, "bold"),
        **{title: (page.screen.fold(each), "") for title, each in words.items()},
    }

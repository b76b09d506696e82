"""What a reader sees first: the verdict, and the vital signs of each quantiser in large figures with what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vqdoctor.model.gate import Check, GateResult
from vqdoctor.model.report import QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, plural, share, short, span, unit
from vqdoctor.render.gated import (
    asked_words,
    check_name,
    check_place,
    found_words,
    severity_of,
    told_checks,
)
from vqdoctor.render.html.markup import Markup, el, join, say
from vqdoctor.render.html.sheet import Sheet
from vqdoctor.render.html.tables import Cell, table, word
from vqdoctor.render.screen import STATES
from vqdoctor.render.words import number_of, sample_words, size_words, source_words, verdict_words, why_unmeasured

SEVERITY_STATES = {"error": "sick", "warning": "at-risk", "info": "unknown", None: "healthy"}
GATE_STATES = {"pass": "healthy", "fail": "sick", "inconclusive": "at-risk"}


def verdict_band(sheet: Sheet) -> Markup:
    """Verdict, file, and what both rest on."""
    report = sheet.report
    look = STATES[report.verdict]
    word_ = el("span", el("span", look.glyph, aria_hidden="true"), " ", look.word, class_="verdict-word")
    name = el("span", say(report.source.path), class_="path")
    warnings = [el("p", "! ", say(warning), class_="warned") for warning in report.source.warnings]
    return el(
        "div",
        el("p", word_, el("span", verdict_words(report), class_="tally"), class_="verdict-line"),
        sheet.heading(0, name),
        el("p", source_words(report, say), class_="facts"),
        el("p", sample_words(report, say), class_="facts"),
        *warnings,
        class_=f"band {report.verdict}",
    )


def vital_signs(sheet: Sheet) -> Markup | str:
    """A row of large figures a quantiser."""
    rows = [_vitals(sheet, quantizer) for quantizer in sheet.report.quantizers if quantizer.levels]
    return sheet.section("vitals", "Vital signs", *rows) if rows else ""


def _vitals(sheet: Sheet, quantizer: QuantizerReport) -> Markup:
    tiles = [tile for tile in _tiles(sheet.report, quantizer) if tile[1] != UNDEFINED or tile[0] == "Real use"]
    shown = [el("div", el("dt", name), el("dd", el("strong", value), el("span", note))) for name, value, note in tiles]
    title = el("p", el("strong", say(quantizer.name)), f"  {_size(quantizer)}", class_="of")
    return join([title, el("dl", *shown, class_="vitals")])


def _size(quantizer: QuantizerReport) -> str:
    sizes = list(dict.fromkeys(size_words(level) for level in quantizer.levels))
    levels = f"{plural(len(quantizer.levels), 'level')} of " if len(quantizer.levels) > 1 else ""
    return f"{levels}{', '.join(sizes)}"


def _tiles(report: Report, quantizer: QuantizerReport) -> Iterable[tuple[str, str, str]]:
    """(name, figure, what it is out of or rests on)."""

    def over(metric: str, written: Callable[[float | None], str]) -> str:
        return span((number_of(level.metrics, metric) for level in quantizer.levels), written)

    real = over("usage.utilization", share)
    codes = span((level.codes or None for level in quantizer.levels), count)
    used = f"{over('usage.used', count)} of {codes} codes" if real != UNDEFINED else why_unmeasured(report, "usage.used")
    yield "Real use", real, say(used)
    yield "EMA says", over("ema.utilization", share), "codes its running counts call active"
    yield "Perplexity", over("usage.perplexity", short), f"of {codes} at best"
    yield "Entropy", over("usage.entropy_normalized", unit), "1 is all codes alike"
    yield "Distinct codes", over("geometry.distinct", count), f"of {codes} stored rows"
    yield "Dead codes", over("usage.dead", count), f"of {codes}"
    rate = share(number_of(quantizer.metrics, "collision.rate"))
    unique, items = (count(number_of(quantizer.metrics, f"collision.{name}")) for name in ("unique", "items"))
    yield "Collisions", rate, f"{unique} distinct IDs for {items} items"


def gate_section(gate: GateResult, depth: int) -> Markup:
    """The gate's verdict, a row a check, and a line for the rules that found nothing."""
    title = el(f"h{depth}", "Gate: ", _status(gate.verdict, GATE_STATES.get(gate.verdict, "unknown")), id="gate")
    titles = ("status", "check", "where", "found", "asked", "n", "rows that settle it", "why")
    told, quiet = told_checks(gate)
    checks = table("Checks of the gate", titles, [_check(check, gate) for check in told], lead=1)
    line = el("p", f"Nothing found by {', '.join(map(say, quiet))}.") if quiet else ""
    return el("section", title, checks, line, aria_labelledby="gate")


def _check(check: Check, gate: GateResult) -> list[Cell]:
    return [
        Cell(_status(check.status, SEVERITY_STATES[severity_of(check, gate)]), number=False),
        word(check_name(check)),
        word(check_place(check)),
        Cell(found_words(check)),
        Cell(asked_words(check, say)),
        Cell(count(check.n)),
        Cell(count(check.needed_n)),
        word(check.reason),
    ]


def _status(word_: str, state: str) -> Markup:
    return el("span", el("span", STATES[state].glyph, aria_hidden="true"), " ", say(word_), class_=f"badge {state}")

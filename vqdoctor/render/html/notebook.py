"""The report as a fragment for notebooks: verdict, levels, findings, in the notebook's own fonts and colours."""

from __future__ import annotations

from vqdoctor.model.report import Finding, Report
from vqdoctor.render.html.markup import Markup, el, raw, say
from vqdoctor.render.html.sheet import badge
from vqdoctor.render.html.tables import level_table
from vqdoctor.render.words import alike, place_words, sample_words, source_words, verdict_words

COLOURS = {
    "#c62828": ("sick", "error"),
    "#a86400": ("at-risk", "warning"),
    "#23803a": ("healthy",),
    "#5a67c4": ("unknown", "info"),
}
"""Colours that can be read on white and on black: a notebook does not say which of them it is."""
TABLES = (
    ".vqdoctor-report :is(th, td, caption) { text-align: left; padding: 2px 8px } "
    ".vqdoctor-report .n { text-align: right } .vqdoctor-report table { border-collapse: collapse } "
)
STYLE = TABLES + "".join(
    f".vqdoctor-report .{state} {{ color: {color}; font-weight: bold; white-space: nowrap }} "
    for color, states in COLOURS.items()
    for state in states
)


def fragment(report: Report) -> str:
    """One `div`; nothing in it runs, loads or scrolls the page."""
    found = [_finding(same) for same in alike(report.findings)]
    return el(
        "div",
        el("style", raw(STYLE)),
        el("p", el("strong", badge(report.verdict)), " ", el("code", say(report.source.path)), ": ", verdict_words(report)),
        el("p", source_words(report, say), el("br"), sample_words(report, say)),
        *(level_table(report, quantizer) for quantizer in report.quantizers if quantizer.levels),
        el("ul", *found) if found else "",
        class_="vqdoctor-report",
    )


def _finding(same: list[Finding]) -> Markup:
    """One rule, in a line or two."""
    first = same[0]
    where = place_words([finding.where for finding in same], say)
    told = f" at {where}: {say(first.message)}"
    parts = [badge(first.severity), " ", el("strong", f"{say(first.rule)} {say(first.name)}"), told]
    parts += [el("br"), el("code", say(first.remedy.command))] if first.remedy.command else []
    return el("li", *parts)

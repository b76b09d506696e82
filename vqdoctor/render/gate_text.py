"""A gate's result on a terminal: the verdict with both numbers, every check, why, what was not gated, what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from vqdoctor.model.gate import Check, GateResult
from vqdoctor.model.report import Report
from vqdoctor.render.figures import UNDEFINED, count
from vqdoctor.render.gate_words import asked, asked_words, found, headline, quiet_rules, rows_words, rule_words, tally
from vqdoctor.render.page import Cell, Page, fit, state, table
from vqdoctor.render.screen import Screen
from vqdoctor.render.words import sample_words

GIVES_WAY = ("asked by", "rows needed")
SOURCES = 6  # named one by one


def render_gate(result: GateResult, reports: Sequence[Report], screen: Screen) -> str:
    """The whole page."""
    page = Page(screen)
    _show_verdict(page, result, reports)
    _show_checks(page, result)
    _show_reasons(page, result)
    _show_ungated(page, result)
    _show_next(page, result)
    return page.text()


def _show_verdict(page: Page, result: GateResult, reports: Sequence[Report]) -> None:
    say = page.screen.say
    page.line(state(page.screen, result.verdict, shout=True), "   ", (say(headline(result)) or say(tally(result)), "bold"))
    counted = f"{tally(result)} · " if headline(result) and result.checks else ""
    page.prose(say(counted + asked_words(result)), 3)
    for report in reports[:SOURCES]:
        sample = "" if report.source.kind == "log" or len(reports) > 1 else f" · {sample_words(report, say)}"
        page.prose(say(report.source.path) + page.screen.fold(sample), 3, style="dim")
    if len(reports) > SOURCES:
        page.line((page.screen.fold(f"… and {count(len(reports) - SOURCES)} more"), "dim"), indent=3)


def _show_checks(page: Page, result: GateResult) -> None:
    quiet = quiet_rules(result.checks)
    shown = [check for check in result.checks if check not in quiet]
    if shown:
        several = len({check.source for check in result.checks}) > 1
        rows = [_row(page, check, several) for check in shown]
        columns = {title: [row[title] for row in rows] for title in rows[0]}
        page.gap()
        left = ("state", "check", "where", "source", "asked", "asked by")
        for line in table(fit(columns, page.screen.width - 1, GIVES_WAY), left):
            page.line(line)
    if quiet:
        page.gap()
        names = ", ".join(dict.fromkeys(check.rule or "" for check in quiet))
        page.prose(page.screen.fold(f"find nothing: {names}"), 3, style="green", first=page.screen.fold("✓ "))


def _row(page: Page, check: Check, several: bool) -> dict[str, Cell]:
    screen = page.screen
    glyph, style = state(screen, "known" if check.known is not None else check.status)
    grave = "" if check.level == "error" or check.status == "pass" else f" ({check.level})"
    name = check.metric or rule_words(check.rule or "")
    source = {"source": (page.cut(screen.say(PurePath(check.source).name), 24), "")} if several else {}
    return {
        "state": (glyph + grave, style),
        "check": (screen.say(name), "bold"),
        "where": (page.cut(screen.say(check.where), 28), ""),
        **source,
        "asked": (screen.fold(asked(check)), ""),
        "found": (screen.fold(found(check)), ""),
        "rows": (screen.fold(count(check.n)), ""),
        "rows needed": (screen.fold(count(check.needed_n)) if check.needed_n is not None else screen.fold(UNDEFINED), ""),
        "asked by": (page.cut(screen.say(check.origin), 28), "dim"),
    }


def _show_reasons(page: Page, result: GateResult) -> None:
    """Of what did not simply pass."""
    told: dict[tuple[str, str], list[Check]] = {}
    for check in result.checks:
        if check.reason and (check.status != "pass" or check.known is not None):
            told.setdefault((check.subject, check.reason), []).append(check)
    if told:
        page.gap()
    for (subject, reason), checks in told.items():
        places = ", ".join(dict.fromkeys(check.where for check in checks if check.where))
        glyph, style = state(page.screen, checks[0].status)
        page.line((glyph[:1], style), " ", (page.screen.say(subject), "bold"), f"  {page.screen.say(places, 200)}")
        rows = f"; {rows_words(checks[0])}" if checks[0].needed_n is not None else ""
        page.prose(page.screen.say(reason + rows), 3)


def _show_ungated(page: Page, result: GateResult) -> None:
    if not result.ungated:
        return
    page.gap()
    page.line(("not gated", "bold"))
    told: dict[tuple[str, str | None], list[str]] = {}
    for each in result.ungated:
        told.setdefault((each.why, each.how), []).append(each.what)
    for (why, how), what in told.items():
        page.prose(page.screen.say(f"{', '.join(dict.fromkeys(what))}: {why}"), 3)
        if how:
            page.line((page.screen.say(how), "cyan"), indent=6)


def _show_next(page: Page, result: GateResult) -> None:
    failed = next((check for check in result.checks if check.status == "fail"), None)
    if failed is not None:
        page.gap()
        page.line(("next   ", "bold"), page.screen.say(f"vqdoctor explain {failed.subject}"))

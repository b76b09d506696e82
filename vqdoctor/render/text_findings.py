"""Findings as a person reads them: what, how sure, where, why, and what to type; one rule on many levels is told once."""

from __future__ import annotations

from collections.abc import Sequence

from vqdoctor.model.report import Finding
from vqdoctor.render.figures import count
from vqdoctor.render.page import Page, state
from vqdoctor.render.words import alike, place_words

ALSO = 3  # further messages of a rule that holds at several places


def show_findings(page: Page, findings: Sequence[Finding]) -> None:
    """Errors first, else in the order given."""
    for same in alike(findings):
        page.gap()
        _show(page, same)


def _show(page: Page, same: Sequence[Finding]) -> None:
    """One rule: its first finding in full, the message of a few more."""
    say, fold, first = page.screen.say, page.screen.fold, same[0]
    title = (say(f"{first.rule} {first.name}"), "bold")
    where = page.cut(fold(place_words([finding.where for finding in same], say)), max(20, page.screen.width - 50))
    page.line(state(page.screen, first.severity), "  ", title, f"  {say(first.confidence)}  ", (where, "dim"))
    page.prose(say(first.message), 3)
    for finding in same[1 : 1 + ALSO]:
        words = say(f"{finding.where}: {finding.message}")
        page.line((page.cut(words, page.screen.width - 4), "dim"), indent=3)
    if len(same) > 1 + ALSO:
        page.line((fold(f"and {count(len(same) - 1 - ALSO)} more of this rule: --format json lists each"), "dim"), indent=3)
    if first.remedy.text:
        page.prose(say(first.remedy.text), 6, first=fold("→ "))
    if first.remedy.command:
        page.line((say(first.remedy.command), "bold cyan"), indent=6)
    if first.next:
        page.prose(say(f"to be sure: {first.next}"), 3, style="dim")

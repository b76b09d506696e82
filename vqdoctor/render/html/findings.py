"""Findings as cards: what is wrong, where, what it rests on, what to do, and the command to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vqdoctor.model.report import Finding
from vqdoctor.render.figures import plural, scalar
from vqdoctor.render.html.markup import Markup, el, say
from vqdoctor.render.html.sheet import Sheet, badge, command
from vqdoctor.render.words import alike, place_words

ALSO = 12  # further places of one rule that are told


def findings_section(sheet: Sheet) -> Markup:
    """Those of one rule and severity on one card, gravest first."""
    cards = [finding_card(sheet, same) for same in alike(sheet.report.findings)]
    return sheet.section("findings", "Findings", *(cards or [el("p", "Nothing was found in what could be measured.")]))


def finding_card(sheet: Sheet, same: Sequence[Finding]) -> Markup:
    """One rule, at one place or several."""
    first = same[0]
    title = sheet.heading(2, badge(first.severity), el("span", f"{say(first.rule)} {say(first.name)}", class_="rule"))
    return el("article", title, _what(same), _treatment(first), class_=f"finding {first.severity}")


def _what(same: Sequence[Finding]) -> Markup:
    """Where, what, and what that rests on."""
    first = same[0]
    where = place_words([finding.where for finding in same], say)
    also = [el("li", el("code", say(each.where)), " ", say(each.message)) for each in same[1 : 1 + ALSO]]
    also += [el("li", f"and {plural(len(same) - 1 - ALSO, 'more place')}")] if len(same) > 1 + ALSO else []
    return el(
        "div",
        el("p", el("code", where, class_="where"), f" · {say(first.confidence)}", class_="place"),
        el("p", say(first.message), class_="message"),
        el("ul", *also, class_="also") if also else "",
        _evidence(first.evidence),
    )


def _treatment(first: Finding) -> Markup:
    """What to do, what to type, how to be sure."""
    return el(
        "div",
        el("p", say(first.remedy.text), class_="remedy") if first.remedy.text else "",
        command(say(first.remedy.command)) if first.remedy.command else "",
        el("p", el("strong", "To be sure: "), say(first.next)) if first.next else "",
        el("p", "More: ", el("code", f"vqdoctor explain {say(first.rule)}"), class_="more"),
    )


def _evidence(evidence: Mapping[str, Any]) -> Markup | str:
    """What the judgement rests on, folded away."""
    if not evidence:
        return ""
    pairs = [el("div", el("dt", say(name)), el("dd", _value(value))) for name, value in evidence.items()]
    return el("details", el("summary", "Evidence"), el("dl", *pairs, class_="evidence"))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{say(name)} {scalar(each, say)}" for name, each in value.items())
    return scalar(value, say)

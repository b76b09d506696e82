"""Runs the rules over a subject and puts what they find in the order in which it should be read.

The engine knows no rule. It hands the subject to every rule that judges its type, applies what the user configured, leaves out what
a graver rule at the same place already says, and attaches what is known of the family's stock code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vqdoctor.diagnosis.case import Case
from vqdoctor.diagnosis.overrides import Overrides
from vqdoctor.diagnosis.rule import LEAD, Check, Rule
from vqdoctor.diagnosis.rules import RULES, known_rules
from vqdoctor.errors import printable
from vqdoctor.model import Finding
from vqdoctor.model.report import SEVERITIES


def diagnose(subject: Any, *, overrides: Overrides | None = None, rules: Sequence[Rule] | None = None) -> tuple[Finding, ...]:
    """What is wrong with `subject`, gravest first.

    Args:
        subject: a :class:`~vqdoctor.diagnosis.case.Case`, or what else some rule judges.
        overrides: thresholds and severities by rule id, from :func:`~vqdoctor.diagnosis.overrides.parse_overrides`.
        rules: `known_rules` if not given. A plugin's rule that raises, or yields something else than findings,
            becomes a warning that says so; an error in a built-in rule is ours, and is raised.
    """
    overrides, rules = overrides or {}, known_rules() if rules is None else rules
    found = [
        finding
        for rule in rules
        if (check := rule.judges(subject)) is not None
        for finding in _run(rule, check, subject, overrides.get(rule.id, {}))
    ]
    found = _without_echoes(found, {rule.id: rule.yields_to for rule in rules}, overrides)
    if isinstance(subject, Case):
        found = list(_with_lineage(found, subject, rules, overrides))
    return in_reading_order(found, rules)


def in_reading_order(findings: Iterable[Finding], rules: Sequence[Rule] | None = None) -> tuple[Finding, ...]:
    """Findings of several subjects as one list: gravest first, then the lead order of their rules, then where."""
    rules = known_rules() if rules is None else rules
    places = {rule.id: (LEAD.index(rule.lead) if rule.lead in LEAD else len(LEAD), place) for place, rule in enumerate(rules)}
    last = (len(LEAD), len(rules))
    return tuple(
        sorted(findings, key=lambda found: (-SEVERITIES.index(found.severity), places.get(found.rule, last), _natural(found.where)))
    )


def _natural(where: str) -> list[tuple[int, str]]:
    """ "vq[2]" before "vq[10]"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", where)]


def _run(rule: Rule, check: Check, subject: Any, settings: Mapping[str, Any]) -> list[Finding]:
    severity = settings.get("severity")
    if severity == "off":
        return []
    limits = rule.limits | {name: value for name, value in settings.items() if name in rule.thresholds}
    found = list(check(subject, limits)) if rule in RULES else _guarded(rule, check, subject, limits)
    return [replace(finding, severity=severity) for finding in found] if severity else found


def _guarded(rule: Rule, check: Check, subject: Any, limits: Mapping[str, float]) -> list[Finding]:
    """A stranger's rule must not cost the user the report."""
    try:
        found = list(check(subject, limits))
        for finding in found:
            if not isinstance(finding, Finding) or finding.severity not in SEVERITIES:
                raise TypeError("a check yields findings of severity " + ", ".join(SEVERITIES))
    except Exception as error:
        where = printable(getattr(subject, "name", ""))
        message = f"The rule {printable(rule.id)} could not judge this: {type(error).__name__}: {printable(error)}"
        return [rule.finding(where, "warning", message)]
    return found


def _without_echoes(found: list[Finding], yields: Mapping[str, tuple[str, ...]], overrides: Overrides) -> list[Finding]:
    """Without what a rule yields to another at the same place; what the user configured is never left out."""
    said = {(finding.rule, finding.where) for finding in found}
    return [
        finding
        for finding in found
        if finding.rule in overrides or not any((other, finding.where) in said for other in yields.get(finding.rule, ()))
    ]


def _with_lineage(found: list[Finding], case: Case, rules: Sequence[Rule], overrides: Overrides) -> Iterator[Finding]:
    """The known defects of the family's stock code: on the findings that they explain, else as a hint of their own."""
    defects = {rule: _sentence(text) for rule, text in case.quantizer.defects.items()} if case.quantizer else {}
    for finding in found:
        known = defects.get(finding.rule)
        yield replace(finding, message=f"{finding.message} {known}") if known else finding
    told = {finding.rule for finding in found}
    for rule in rules:
        if rule.id in defects and rule.id not in told and overrides.get(rule.id, {}).get("severity") != "off":
            yield rule.finding(case.name, "info", defects[rule.id], confidence="possible", evidence={"layout": case.report.layout})


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('. ')}."

"""Thresholds and severities that the user sets, from ``[tool.vqdoctor.rules]`` or ``--rule``: checked by name before anything is
judged.

Example:
    [tool.vqdoctor.rules]
    VQ103 = { warn = 0.2, error = 0.6 }
    VQ208 = { severity = "off" }
    id-collisions = "error"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vqdoctor.diagnosis.case import finite
from vqdoctor.diagnosis.rule import Rule
from vqdoctor.diagnosis.rules import known_rules
from vqdoctor.errors import UsageError, printable
from vqdoctor.model.report import SEVERITIES

Overrides = Mapping[str, Mapping[str, Any]]

SETTINGS = ("off", *SEVERITIES)
SECTION = "tool.vqdoctor.rules"


def parse_overrides(settings: Mapping[str, Any], rules: Sequence[Rule] | None = None) -> dict[str, dict[str, Any]]:
    """Settings by rule id.

    Args:
        settings: rule id or name to a severity ("off", "info", "warning", "error"), or to a table of "severity" and thresholds.
        rules: which rules there are, `known_rules` if not given.

    Raises:
        UsageError: an unknown rule or threshold (the nearest known one is named), a severity or number that is none.
    """
    known = known_rules() if rules is None else rules
    return dict(_parsed(name, value, known) for name, value in settings.items())


def rule_named(name: str, rules: Sequence[Rule] | None = None) -> Rule:
    """The rule of this id ("VQ103", in any case) or name ("ema-illusion").

    Raises:
        UsageError: there is none; the nearest is named.
    """
    rules = known_rules() if rules is None else rules
    for rule in rules:
        if name.upper() == rule.id.upper() or name == rule.name:
            return rule
    known = [word for rule in rules for word in (rule.id, rule.name)]
    raise UsageError(f"There is no rule {printable(name)!r}.", hint=_nearest(name.upper(), known) or _nearest(name.lower(), known))


def _parsed(name: str, value: Any, rules: Sequence[Rule]) -> tuple[str, dict[str, Any]]:
    rule = rule_named(str(name), rules)
    if not isinstance(value, Mapping):
        return rule.id, {"severity": _severity(rule, value)}
    return rule.id, {
        setting: _severity(rule, entry) if setting == "severity" else _limit(rule, setting, entry)
        for setting, entry in value.items()
    }


def _severity(rule: Rule, value: Any) -> str:
    if value in SETTINGS:
        return str(value)
    raise UsageError(
        f"{printable(value)!r} is no severity.",
        where=f"{SECTION}.{rule.id}",
        hint=_nearest(str(value), SETTINGS) or f"One of {', '.join(SETTINGS)}.",
    )


def _limit(rule: Rule, name: str, value: Any) -> float:
    where = f"{SECTION}.{rule.id}"
    if name not in rule.thresholds:
        known = ("severity", *rule.thresholds)
        raise UsageError(
            f"There is no threshold {printable(name)!r}.",
            where=where,
            hint=_nearest(name, known) or f"There are {', '.join(known)}.",
        )
    number = finite(value)
    if number is None:
        raise UsageError(f"{printable(value)!r} is no number.", where=f"{where}.{name}", hint=f"In {rule.thresholds[name].unit}.")
    return number


def _nearest(word: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"Did you mean {close[0]!r}?" if close else None

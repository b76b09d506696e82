"""Asks and policies from a table of settings, ``[tool.vqdoctor.gate]``: checked by name, key for key.

Example:
    [tool.vqdoctor.gate]
    preset = "codec"
    inconclusive = "warn"
    "usage.utilization" = { min = 0.9, level = "error", over = "worst-level" }
    "quantizer.vq[1]:usage.perplexity" = { min = 300, max-drop = "5%" }
    VQ206 = "off"
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.diagnosis import known_rules, rule_named
from vqdoctor.errors import UsageError, printable
from vqdoctor.gating.asks import (
    LEVELS,
    OVERS,
    Asks,
    MetricAsk,
    RuleAsk,
    allowance,
    asks_of,
    drop_op,
    one_of,
    plain_number,
    scoped,
)
from vqdoctor.gating.presets import PRESETS
from vqdoctor.gating.subject import METRIC_NAMES

BOUNDS = ("min", "max", "max-drop")
KEYS = (*BOUNDS, "level", "over")
POLICIES: Mapping[str, tuple[str, ...] | type] = {
    "inconclusive": ("fail", "pass", "warn"),
    "fail-on": ("never", *reversed(LEVELS)),
    "require-n": bool,
    "baseline": str,
    "at": str,
}
"""Settings that are no asks: their values, or their type."""
FAMILIES = frozenset(name.partition(".")[0] for name in METRIC_NAMES)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """asks, with presets by name; policies: by key of POLICIES."""

    asks: Asks = field(default_factory=Asks)
    policies: Mapping[str, Any] = field(default_factory=dict)


class SettingError(UsageError):
    """A setting is wrong. key: the path of keys to it, so that whoever has the file can say the line."""

    def __init__(self, error: UsageError, key: tuple[str, ...]) -> None:
        super().__init__(error.what, where=".".join(key), hint=error.hint)
        self.key = key


def parse_gate(table: Mapping[str, Any], origin: Callable[[str], str] = lambda key: "") -> GateSettings:
    """The settings of a table.

    Args:
        origin: key → who asks, in words: the file and the line.

    Raises:
        SettingError: a key or value that nothing reads; the nearest valid name is told.
    """
    metrics: list[MetricAsk] = []
    rules: list[RuleAsk] = []
    policies: dict[str, Any] = {}
    presets: tuple[str, ...] = ()
    for key, value in _flat(table):
        try:
            if key == "preset":
                presets = _presets(value)
            elif key in POLICIES:
                policies[key] = _policy(key, value)
            elif _is_metric(key):
                metrics += _bounds(key, value, origin(key))
            else:
                rules.append(_rule(key, value, origin(key)))
        except SettingError:
            raise
        except UsageError as error:
            raise SettingError(error, (key,)) from error
    found = asks_of(metrics, rules)
    return GateSettings(Asks(found.metrics, found.rules, presets), policies)


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Unquoted ``usage.utilization = {…}`` is a table in a table to TOML: the same as the quoted key."""
    for key, value in table.items():
        if key in FAMILIES and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", each) for name, each in value.items())
        elif key == "rules" and isinstance(value, Mapping):
            yield from value.items()
        else:
            yield key, value


def _is_metric(key: str) -> bool:
    """By its looks, so that a misspelt one is told of as what it was meant for."""
    return "." in key or ":" in key


def _presets(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise UsageError(f"{printable(value)!r} is no preset.", hint=f"One of {', '.join(each.name for each in PRESETS)}.")
    return tuple(one_of(name, [each.name for each in PRESETS], "preset", "preset") for name in names)


def _policy(key: str, value: Any) -> Any:
    allowed = POLICIES[key]
    if isinstance(allowed, tuple):
        return one_of(value, allowed, "setting", key)
    if not isinstance(value, allowed):
        raise UsageError(f"{printable(value)!r} is not {'true or false' if allowed is bool else 'text'}.")
    return value


def _bounds(key: str, value: Any, origin: str) -> Iterator[MetricAsk]:
    scope, metric = scoped(key, key)
    if not isinstance(value, Mapping):
        raise UsageError(f"{printable(value)!r} is no table.", hint=f'For example "{key}" = {{ min = 0.9 }}.')
    for name in value:
        if name not in KEYS:
            close = difflib.get_close_matches(str(name), KEYS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(KEYS)}."
            raise SettingError(UsageError(f"There is no key {printable(name)!r}.", hint=hint), (key, str(name)))
    if not any(name in value for name in BOUNDS):
        raise UsageError("it bounds nothing.", hint="Give min, max or max-drop.")
    for name in BOUNDS:
        if name in value:
            yield _bound(name, value, scope, metric, (key, name), origin)


def _bound(name: str, table: Mapping[str, Any], scope: str, metric: str, key: tuple[str, str], origin: str) -> MetricAsk:
    try:
        drop = name == "max-drop"
        number, relative = allowance(table[name], name) if drop else (plain_number(table[name], name), False)
    except UsageError as error:
        raise SettingError(error, key) from error
    given = {}
    for setting, known, default in (("level", LEVELS, "error"), ("over", OVERS, "worst-level")):
        try:
            given[setting] = one_of(table.get(setting, default), known, setting, setting)
        except UsageError as error:
            raise SettingError(error, (key[0], setting)) from error
    op = drop_op(metric) if drop else name
    return MetricAsk(metric, op, number, scope, given["level"], given["over"], drop=drop, relative=relative, origin=origin)


def _rule(key: str, value: Any, origin: str) -> RuleAsk:
    try:
        rule = rule_named(key)
    except UsageError as error:
        rules = [word for each in known_rules() for word in (each.id, each.name)]
        words = [*POLICIES, "preset", "rules", *rules, *METRIC_NAMES]
        close = difflib.get_close_matches(key, words, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]!r}?" if close else "A metric, a rule, or one of " + ", ".join(["preset", *POLICIES]) + "."
        raise UsageError(f"nothing reads {printable(key)!r}.", hint=hint) from error
    return RuleAsk(rule.id, one_of(value, (*LEVELS, "off"), "level", key), origin=origin)

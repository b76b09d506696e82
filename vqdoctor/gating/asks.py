"""What can be asked of a source: a bound on a metric, the absence of a rule's findings; checked by name before any measuring.

A bound is asked at places: ``quantizer.vq[1]:usage.utilization`` at one level, ``quantizer.*:…`` at all whose name matches (``*``
and ``?``), ``*[0-3]:…`` at levels 0 to 3 of any, without a scope everywhere that the metric has a value.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vqdoctor.diagnosis import Rule, rule_named
from vqdoctor.errors import UsageError, printable
from vqdoctor.gating.subject import METRIC_NAMES, Place
from vqdoctor.metrics import METRICS
from vqdoctor.metrics import metric as page_of

LEVELS = ("error", "warning", "info")
OVERS = ("worst-level", "each", "mean")
_PLACE = re.compile(r"(?P<name>.*?)(?:\[(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?\]|\[\*\])?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MetricAsk:
    """A bound on a metric.

    Attributes:
        metric: contract name. op: "min" or "max". threshold: the bound; for a drop, how far below the baseline a value may lie
            (above, where lower is better), and `relative` where that is a share of it.
        scope: which places, "" all. level: how grave a failure is. over: what is asked of several levels: "worst-level" one answer
            for the worst, "each" one a level, "mean" one for their mean.
        drop: True where the bound is relative to the baseline. required: False where a missing value is no failure.
        origin: who asks, in words.
    """

    metric: str
    op: str
    threshold: float
    scope: str = ""
    level: str = "error"
    over: str = "worst-level"
    drop: bool = False
    relative: bool = False
    required: bool = True
    origin: str = ""

    @property
    def key(self) -> tuple[str, str, str, bool]:
        """Two asks of one key contradict each other: the one that is nearer to the user counts."""
        return self.scope, self.metric, self.op, self.drop

    @property
    def name(self) -> str:
        """As the user spells it."""
        return f"{self.scope}:{self.metric}" if self.scope else self.metric

    def at(self, place: Place) -> bool:
        """Whether it is asked at this place."""
        return not self.scope or matches(self.scope, place)


@dataclass(frozen=True, slots=True)
class RuleAsk:
    """That a rule finds nothing.

    level: how grave its findings are then, whatever the rule says; None: as the rule grades them (remarks do not count).
    required: False where it is no failure that the rule could not judge.
    """

    rule: str
    level: str | None = None
    required: bool = True
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Asks:
    """Everything that is asked. rules: by id; a level of "off" takes it out. presets: names of those that are part of it."""

    metrics: Mapping[tuple[str, str, str, bool], MetricAsk] = field(default_factory=dict)
    rules: Mapping[str, RuleAsk] = field(default_factory=dict)
    presets: tuple[str, ...] = ()

    def but(self, nearer: Asks) -> Asks:
        """These, and those that are nearer to the user in their stead where both speak of the same."""
        return Asks(
            {**self.metrics, **nearer.metrics},
            {**self.rules, **nearer.rules},
            tuple(dict.fromkeys((*self.presets, *nearer.presets))),
        )

    def __bool__(self) -> bool:
        return bool(self.metrics or self.rules)


def asks_of(metrics: Sequence[MetricAsk] = (), rules: Sequence[RuleAsk] = ()) -> Asks:
    """A set of asks; the last of one key counts."""
    return Asks({ask.key: ask for ask in metrics}, {ask.rule: ask for ask in rules})


def metric_ask(op: str, given: str, origin: str, *, drop: bool = False) -> MetricAsk:
    """``[SCOPE:]METRIC=VALUE``; with `drop` the value may be a percentage.

    Raises:
        UsageError: no such metric (the nearest is named), or the value is no number.
    """
    name, equals, value = given.rpartition("=")
    if not equals:
        raise UsageError(f"{origin}: {printable(given)!r} lacks a value.", hint=f"For example {origin} usage.utilization=0.9.")
    scope, metric = scoped(name, origin)
    number, relative = allowance(value, origin) if drop else (plain_number(value, origin), False)
    return MetricAsk(metric, drop_op(metric) if drop else op, number, scope, drop=drop, relative=relative, origin=origin)


def rule_ask(given: str, origin: str, rules: Sequence[Rule] | None = None) -> RuleAsk:
    """``RULE=error``; RULE an id or a name.

    Raises:
        UsageError: no such rule (the nearest is named), or no such level.
    """
    name, equals, level = given.rpartition("=")
    if not equals:
        raise UsageError(f"{origin}: {printable(given)!r} lacks a level.", hint=f"For example {origin} VQ103=error.")
    try:
        rule = rule_named(name.strip(), rules)
    except UsageError as error:
        raise UsageError(error.what, where=origin, hint=error.hint) from error
    return RuleAsk(rule.id, one_of(level.strip(), (*LEVELS, "off"), "level", origin), origin=origin)


def scoped(name: str, where: str) -> tuple[str, str]:
    """(scope, metric) of ``[SCOPE:]METRIC``.

    Raises:
        UsageError: no such metric; the nearest is named.
    """
    scope, _, metric = name.strip().rpartition(":")
    if metric not in METRIC_NAMES:
        known = [page.name for page in METRICS]
        begun = [name for name in known if metric and name.startswith(metric)]
        close = _same_ending(metric, known) or begun or difflib.get_close_matches(metric, known, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]!r}?" if close else "`vqdoctor explain` lists them."
        raise UsageError(f"There is no metric {printable(metric)!r}.", where=where, hint=hint)
    return scope, metric


def _same_ending(metric: str, known: Sequence[str]) -> list[str]:
    """``utilization`` for ``usage.utilization``."""
    return [name for name in known if name.rpartition(".")[2] == metric][:1]


def plain_number(value: object, where: str) -> float:
    """A finite number.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UsageError(f"{printable(value)!r} is no number.", where=where)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{printable(value)!r} is no number.", where=where, hint="For example 0.9.")
    return number


def allowance(value: object, where: str) -> tuple[float, bool]:
    """``0.02`` as (0.02, False), ``2%`` as (0.02, True).

    Raises:
        UsageError: it is no number, or below 0.
    """
    relative = isinstance(value, str) and value.strip().endswith("%")
    number = plain_number(str(value).strip().removesuffix("%") if relative else value, where)
    if number < 0:
        raise UsageError(f"{printable(value)!r} is below 0.", where=where, hint="How far may it get worse? For example 0.02 or 2%.")
    return (number / 100, True) if relative else (number, False)


def drop_op(metric: str) -> str:
    """Which side of the baseline is the worse one."""
    return "max" if page_of(metric).better == "lower" else "min"


def one_of(value: object, known: Sequence[str], what: str, where: str) -> str:
    """`value`, one of `known`.

    Raises:
        UsageError: it is none of them; the nearest is named.
    """
    if value in known:
        return str(value)
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"One of {', '.join(known)}."
    raise UsageError(f"{printable(value)!r} is no value of {what}.", where=where, hint=hint)


def matches(scope: str, place: Place) -> bool:
    """Whether a place is meant by a scope."""
    found = _PLACE.fullmatch(scope)
    if scope in (place.where, place.quantizer):
        return True
    if found is None or not _glob(found["name"])(place.quantizer):
        return False
    if found["first"] is None:
        return place.level is not None or not scope.endswith("]")
    first = int(found["first"])
    return place.level is not None and first <= place.level <= int(found["last"] or first)


def _glob(pattern: str) -> Callable[[str], object]:
    """A name with ``*`` and ``?``; brackets are characters, since names hold them."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL).fullmatch


def with_origin(asks: Asks, origin: str) -> Asks:
    """The same, asked by `origin`."""
    return replace(
        asks,
        metrics={key: replace(ask, origin=origin) for key, ask in asks.metrics.items()},
        rules={rule: replace(ask, origin=origin) for rule, ask in asks.rules.items()},
    )

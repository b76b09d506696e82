"""The gate's test of itself: each thing that is asked is seen to fail on a sick specimen, and to pass on a healthy one.

A gate that was never seen to stop anything is decoration: a misspelt scope, a bound the wrong way round and a rule that is switched
off all pass quietly for ever. Scopes are left out here, since specimens have names of their own. Rules over logs are not tried: a
specimen is a file at rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vqdoctor.app.gating.specimens import SPECIMENS, Specimen
from vqdoctor.app.inspect import inspect
from vqdoctor.diagnosis import RULES, Case
from vqdoctor.gating import PRESETS, Asks, Baseline, MetricAsk, RuleAsk, Subject, judge, of_report, preset, written
from vqdoctor.gating.asks import asks_of
from vqdoctor.model.gate import Check

SEED = 0
"""Of the specimens: the same files in every run."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was seen of one gate. gate: as asked. fails_on, passes_on: sick and healthy specimens; false_alarms: healthy ones that
    it fails.
    """

    gate: str
    origin: str
    fails_on: tuple[str, ...]
    passes_on: tuple[str, ...]
    false_alarms: tuple[str, ...] = ()

    @property
    def shown(self) -> bool:
        """True where the gate does what a gate is for."""
        return bool(self.fails_on and self.passes_on and not self.false_alarms)


def self_test(asks: Asks) -> list[Shown]:
    """Tries everything that is asked, or, where nothing is, everything that any preset asks."""
    whole = _whole(asks)
    severities = {rule: ask.level for rule, ask in whole.rules.items() if ask.level not in (None, "off")}
    subjects = list(_subjects({rule: {"severity": level} for rule, level in severities.items()}))
    healthy = [subject for specimen, subject in subjects if not specimen.sick]
    known = _baseline(healthy, whole)
    tried = [asks_of([replace(ask, scope="")]) for ask in whole.metrics.values()]
    tried += [asks_of((), [ask]) for ask in whole.rules.values() if ask.level != "off" and _at_rest(ask)]
    return [_seen(each, subjects, known) for each in tried]


def _whole(asks: Asks) -> Asks:
    names = asks.presets or (() if asks else tuple(each.name for each in PRESETS))
    whole = Asks()
    for name in names:
        whole = whole.but(preset(name).asks)
    return whole.but(asks)


def _at_rest(ask: RuleAsk) -> bool:
    return any(rule.id == ask.rule and rule.subject is Case for rule in RULES)


def _subjects(overrides: dict[str, dict[str, str | None]]) -> Iterator[tuple[Specimen, Subject]]:
    with tempfile.TemporaryDirectory(prefix="vqdoctor-self-test-") as folder:
        for specimen in SPECIMENS:
            files = specimen.make(np.random.default_rng(SEED))
            path = files.write(Path(folder), specimen.name)
            report = inspect([str(path)], replace(files.request, rules=overrides))[0]
            yield specimen, of_report(report)


def _baseline(healthy: list[Subject], asks: Asks) -> Baseline:
    """What --max-drop compares with: the healthy specimens."""
    bounds = asks_of([replace(ask, scope="") for ask in asks.metrics.values()])
    return written((check for subject in healthy for check in judge(subject, bounds).seen), several=False)


def _seen(asks: Asks, subjects: list[tuple[Specimen, Subject]], known: Baseline) -> Shown:
    fails: list[str] = []
    passes: list[str] = []
    alarms: list[str] = []
    drop = any(ask.drop for ask in asks.metrics.values())
    for specimen, subject in subjects:
        checks = judge(subject, asks, baseline=known if drop else None).checks
        statuses = {check.status for check in checks if _saw(check)}
        if "fail" in statuses:
            (fails if specimen.sick else alarms).append(specimen.name)
        elif statuses == {"pass"} and not specimen.sick:
            passes.append(specimen.name)
    one: list[MetricAsk | RuleAsk] = [*asks.metrics.values(), *asks.rules.values()]
    return Shown(_words(one[0]), one[0].origin, tuple(fails), tuple(passes), tuple(alarms))


def _saw(check: Check) -> bool:
    """Whether the gate had something to judge: a value, a finding, or a rule's silence, not the lack of all."""
    return check.value is not None or (check.rule is not None and (bool(check.where) or check.status == "pass"))


def _words(ask: MetricAsk | RuleAsk) -> str:
    if isinstance(ask, RuleAsk):
        return ask.rule
    bound = f"{100 * ask.threshold:g} %" if ask.relative else f"{ask.threshold:g}"
    return f"{ask.metric} {'max-drop' if ask.drop else ask.op} {bound}"

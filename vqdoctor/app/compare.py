"""`vqdoctor compare` as a use case: two checkpoints side by side, or a folder of them as a time line, and where it went wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.app.sources import open_checkpoint
from vqdoctor.checkpoint import list_checkpoints, open_source
from vqdoctor.diagnosis import rule_named
from vqdoctor.errors import UnsupportedInput
from vqdoctor.model import Finding, Report
from vqdoctor.treatment import Comparison, compare
from vqdoctor.treatment.compare import LevelComparison

SCHEMA = "vqdoctor.compare/1"
FOLLOWED = ("usage.utilization", "usage.perplexity", "ema.utilization", "geometry.untouched_rows", "geometry.nonfinite_rows")
"""Metrics whose change is told, the worst level of each."""
Rules = Mapping[str, Mapping[str, Any]]
"""Overrides by rule id, as in [tool.vqdoctor.rules]."""
TOLD = ("index", "key", "frozen", "moved", "died", "revived", "basis", "movement", "norm_ratio")
ROWS_PER_CODE = 3  # of a sample, so that a code without a hit counts as unused


@dataclass(frozen=True, slots=True)
class Moment:
    """One checkpoint of a time line, and what changed since the one before (None for the first)."""

    path: str
    step: Any
    verdict: str
    gravest: str | None
    rules: tuple[str, ...]
    metrics: Mapping[str, float | None]
    since: Comparison | None = None


def compare_checkpoints(a: str, b: str, progress: Progress | None = None, rules: Rules | None = None) -> dict[str, Any]:
    """`vqdoctor.compare/1` of two checkpoints (of two folders: of the newest in each), with the deltas of their metrics.

    Raises:
        VqdoctorError: one cannot be read, or holds no quantiser.
    """
    first, second = newest(a), newest(b)
    reports = [_report(path, progress, rules) for path in (first, second)]
    with open_checkpoint(first) as one, open_checkpoint(second) as other:
        found = by_real_use(compare(one, other), *reports)
    before, after = (_worst(report) for report in reports)
    deltas = {name: {"a": before[name], "b": after[name], "delta": _delta(before[name], after[name])} for name in FOLLOWED}
    return dict(found.values()) | {
        "verdicts": [report.verdict for report in reports],
        "gravest": [gravest(report.findings) for report in reports],
        "metrics": deltas,
    }


def time_line(
    folder: str, first_bad: str | None = None, progress: Progress | None = None, rules: Rules | None = None
) -> dict[str, Any]:
    """`vqdoctor.compare/1` of a folder: each checkpoint against the one before, oldest first.

    Args:
        first_bad: a rule; then also the first checkpoint in which it fires. Without one: the first that is sick.

    Raises:
        UnsupportedInput: the folder holds no checkpoint. UsageError: no such rule.
    """
    paths = list_checkpoints(folder)
    if not paths:
        raise UnsupportedInput("this folder holds no checkpoint.", where=folder)
    rule = None if first_bad is None else rule_named(first_bad).id
    moments: list[Moment] = []
    before: Report | None = None
    for path in paths:
        report = _report(path, progress, rules)
        moments.append(_moment(report, before))
        before = report
    bad = (one for one in moments if (one.verdict == "sick" if rule is None else rule in one.rules))
    found = next(bad, None)
    return {
        "schema": SCHEMA,
        "folder": folder,
        "timeline": [_values(moment) for moment in moments],
        "rule": rule,
        "first_bad": None if found is None else {"path": found.path, "step": found.step},
    }


def find_first_bad(folder: str, first_bad: str, progress: Progress | None = None, rules: Rules | None = None) -> dict[str, Any]:
    """The first checkpoint in which a rule fires, by bisection: it looks at few of many, and trusts that what is sick stays sick.

    Raises:
        as `time_line`.
    """
    paths, rule = list_checkpoints(folder), rule_named(first_bad).id
    if not paths:
        raise UnsupportedInput("this folder holds no checkpoint.", where=folder)
    looked: dict[str, Report] = {}

    def fires(index: int) -> bool:
        path = paths[index]
        if path not in looked:
            looked[path] = _report(path, progress, rules)
        return any(finding.rule == rule for finding in looked[path].findings)

    found = None
    if fires(len(paths) - 1):
        low, high = 0, len(paths) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fires(middle) else (middle + 1, high)
        found = paths[low]
    step = None if found is None else _step(looked[found])
    return {
        "schema": SCHEMA, "folder": folder, "rule": rule, "checkpoints": len(paths), "looked_at": len(looked),
        "first_bad": None if found is None else {"path": found, "step": step},
    }  # fmt: skip


def gravest(findings: Iterable[Finding]) -> str | None:
    """The gravest severity of findings, None without one."""
    found = {finding.severity for finding in findings}
    return next((severity for severity in ("error", "warning", "info") if severity in found), None)


def newest(path: str) -> str:
    """`path`, or the newest checkpoint in it where it is a folder."""
    if not os.path.isdir(path):
        return path
    found = list_checkpoints(path)
    if not found:
        raise UnsupportedInput("this folder holds no checkpoint.", where=path)
    return found[-1]


def by_real_use(found: Comparison, a: Report, b: Report) -> Comparison:
    """`found` with codes that died and came back by the rows of both reports, where they have enough: running counts lag behind."""
    quantizers = tuple(
        replace(
            one, levels=tuple(level.by("real use", _used(a, one.name, level), _used(b, one.name, level)) for level in one.levels)
        )
        for one in found.quantizers
    )
    return replace(found, quantizers=quantizers)


def _used(report: Report, name: str, level: LevelComparison) -> np.ndarray | None:
    """(K,) bool, codes that rows use; None where no rows were seen, or too few to call a code unused."""
    named = [one for one in report.quantizers if one.name == name]
    for quantizer in named or (report.quantizers if len(report.quantizers) == 1 else ()):
        for one in quantizer.levels:
            enough = one.counts is not None and sum(one.counts.values()) >= ROWS_PER_CODE * one.codes
            if one.index == level.index and one.counts is not None and enough:
                used = np.zeros(one.codes, bool)
                used[[code for code, count in one.counts.items() if count]] = True
                return used
    return None


def _moment(report: Report, before: Report | None) -> Moment:
    path, since = report.source.path, None
    if before is not None:
        with open_source(before.source.path) as one, open_source(path) as other:
            since = by_real_use(compare(one, other), before, report)
    rules = tuple(dict.fromkeys(finding.rule for finding in report.findings if finding.severity != "info"))
    return Moment(path, _step(report), report.verdict, gravest(report.findings), rules, _worst(report), since)


def _report(path: str, progress: Progress | None, rules: Rules | None) -> Report:
    return inspect([path], InspectRequest(rules=rules or {}), progress)[0]


def _step(report: Report) -> Any:
    info = report.source.info
    return next((info[name] for name in ("step", "global_step", "iter", "iteration", "epoch") if name in info), None)


def _worst(report: Report) -> dict[str, float | None]:
    """Each of FOLLOWED at its worst level: the least use, the most broken rows."""
    found: dict[str, float | None] = {}
    for name in FOLLOWED:
        values = [level.metrics.get(name) for quantizer in report.quantizers for level in quantizer.levels]
        known = [value for value in values if isinstance(value, int | float)]
        found[name] = None if not known else max(known) if name.startswith("geometry.") else min(known)
    return found


def _delta(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a


def _values(moment: Moment) -> dict[str, Any]:
    levels: Sequence[Any] = [] if moment.since is None else [level for one in moment.since.quantizers for level in one.levels]
    return {
        "path": moment.path, "step": moment.step, "verdict": moment.verdict, "gravest": moment.gravest, "rules": list(moment.rules),
        "metrics": dict(moment.metrics),
        "levels": [{name: getattr(level, name) for name in TOLD} for level in levels],
    }  # fmt: skip

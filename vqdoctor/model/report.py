"""What was found: `vqdoctor.report/1` as values (contract §3). Views render these; they measure nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.model.sample import Sample

SCHEMA = "vqdoctor.report/1"
REPORTS_SCHEMA = "vqdoctor.reports/1"
SEVERITIES = ("info", "warning", "error")  # ascending
VERDICTS = ("healthy", "unknown", "at-risk", "sick")  # ascending; of several sources the worst counts

Number = float | int | None
MetricValue = Number | list[Number]


@dataclass(frozen=True, slots=True)
class Source:
    """The inspected file. kind: as TensorSource.kind, or "semantic-ids"."""

    path: str
    kind: str
    bytes: int
    sha256: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do: causes before resets in `text`; `command` only where a command helps."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement and what it rests on. Of two findings, sort by (severity, lead order of the rule, where)."""

    rule: str
    name: str
    severity: str
    where: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    confidence: str = "certain"
    remedy: Remedy = Remedy("")
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A metric (or family of them, "usage.*") that has no value, why, and the command that would give it one."""

    metric: str
    why: str
    how: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Items that share one semantic ID. members: item names or row numbers, capped."""

    id: tuple[int, ...]
    items: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelReport:
    """One codebook. metrics: by contract name, None where undefined. counts: sparse {code: hits}, None where not measured.

    facts: what rules and views need beyond the metrics (row numbers, thresholds tried); part of the JSON only under "details".
    """

    index: int
    key: str
    codes: int
    dim: int
    dtype: str
    metrics: Mapping[str, MetricValue]
    ema_count_key: str | None = None
    ema_sum_key: str | None = None
    counts: Mapping[int, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuantizerReport:
    """One quantiser: its levels, what they do together, its largest groups, a small map for views.

    facts: what views need beyond these; not part of the JSON.
    """

    name: str
    layout: str
    evidence: str
    structure: str
    metric: str
    metric_basis: str
    levels: tuple[LevelReport, ...]
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    map: Mapping[str, Any] | None = None
    prefixes: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    container: str = ""
    translations: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """One inspected source. verdict: see contract §3."""

    source: Source
    quantizers: tuple[QuantizerReport, ...]
    findings: tuple[Finding, ...] = ()
    verdict: str = "unknown"
    sample: Sample | None = None
    unmeasured: tuple[Unmeasured, ...] = ()
    version: str = ""

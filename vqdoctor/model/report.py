"""What was found: `vqdoctor.report/1` as values (contract §3). Views render these; they measure nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
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

    def __repr__(self) -> str:
        """One line; the whole is for the views."""
        found = Counter(finding.severity for finding in self.findings)
        words = [f"{self.source.path!r}", self.verdict, *(f"{severity}={found[severity]}" for severity in SEVERITIES[::-1])]
        return f"Report({', '.join(words)}, quantizers={len(self.quantizers)})"

    def __rich__(self) -> Any:
        """The text view at the width of the console, for `rich.print` and notebooks' rich output."""
        return _face("rich_view")(self)

    def _repr_html_(self) -> str:
        """A fragment of HTML for notebooks: verdict, levels, findings; everything that the file has worded is escaped."""
        words: str = _face("fragment")(self)
        return words

    def to_dict(self) -> dict[str, Any]:
        """`vqdoctor.report/1` as JSON's own types: what `vqdoctor inspect --format json` prints."""
        found: dict[str, Any] = _face("as_object")(self)
        return found

    def to_frame(self, library: str | None = None) -> Any:
        """A row a level: where it is, its size, and every metric of it and of its quantiser in columns.

        Args:
            library: "pandas" or "polars"; None: the first of them that is installed.

        Raises:
            UsageError: neither is installed, or not the one that was named.
        """
        return _face("frame")(self, library)


def _face(name: str) -> Callable[..., Any]:
    """A view of a report for notebooks, looked up by name when it is asked for.

    The one place where a value knows of a floor above: notebooks look for these methods on the value itself. No import binds the
    floors, and who never shows a report loads no view.
    """
    found: Callable[..., Any] = getattr(import_module("vqdoctor.render.notebook"), name)
    return found

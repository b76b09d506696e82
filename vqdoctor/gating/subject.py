"""What is judged: places with their numbers, from a report or from what a log states."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.diagnosis import Case, Rule, known_rules
from vqdoctor.diagnosis.case import finite
from vqdoctor.metrics import METRICS
from vqdoctor.metrics.richness import Richness
from vqdoctor.metrics.sufficiency import ROWS_PER_CODE
from vqdoctor.model import Finding, LevelReport, QuantizerReport, Report, Unmeasured

LISTED = ("levels.gain_db", "levels.conditional_entropy_bits")
"""Metrics of a quantiser with one value a level."""
ALTERNATIVES = {"VQ405": LISTED}
"""Rules that judge by any of these; the others by what they need first."""
OF_A_BOOK = "geometry.nonfinite_rows"
"""What is known of every stored book, so that rules which read facts of the file have something to judge."""
TELLS_OF_ROWS = "VQ105"
METRIC_NAMES = frozenset(page.name for page in METRICS)


@dataclass(frozen=True, slots=True)
class Place:
    """One level, or one quantiser as a whole.

    Attributes:
        quantizer: its name. level: index, None for the quantiser as a whole.
        metrics: by contract name; None where undefined.
        codes: K, 0 where it is not known. n: rows behind the numbers, None where the source only states them.
        population: those rows are all there are. seen: how often codes were hit, None where not counted.
        stated: the numbers are a log's own: nothing is known of how they came about.
        label: how the source calls the place where a name and an index do not say it all.
    """

    quantizer: str
    level: int | None
    metrics: Mapping[str, Any]
    codes: int = 0
    n: int | None = None
    population: bool = False
    seen: Richness | None = None
    stated: bool = False
    label: str = ""

    @property
    def lacks_rows(self) -> bool:
        """True where real use was looked at on fewer than 3 rows a code, and these are not all there are."""
        return self.level is not None and self.n is not None and not self.population and self.n < ROWS_PER_CODE * self.codes

    @property
    def where(self) -> str:
        """ "quantizer.vq[1]"."""
        return self.label or (self.quantizer if self.level is None else f"{self.quantizer}[{self.level}]")

    def value(self, metric: str) -> float | None:
        """The metric as a number, None where it is undefined or missing."""
        return finite(self.metrics.get(metric))


@dataclass(frozen=True, slots=True)
class Subject:
    """One source.

    Attributes:
        kind: "log", or as Source.kind. findings: of the rules. unmeasured: what has no value, and why.
        judged: ids of the rules that had what they need; thin: of those, id → the level with too few rows for it to be silent.
        doubt: why nothing that rests on rows can be trusted, "" where it can.
    """

    path: str
    kind: str
    places: tuple[Place, ...]
    findings: tuple[Finding, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    judged: frozenset[str] = frozenset()
    thin: Mapping[str, Place] = field(default_factory=dict)
    doubt: str = ""

    def why_missing(self, metric: str) -> tuple[str, str | None]:
        """Why the metric has no value here, and the command that would give it one."""
        family = metric.partition(".")[0] + ".*"
        for each in self.unmeasured:
            if each.metric in (metric, family):
                return each.why, each.how
        if self.kind != "log":
            return "it is undefined here", None
        stated = sorted({name for place in self.places for name in place.metrics})
        close = difflib.get_close_matches(metric, stated, n=3, cutoff=0.4)
        return f"the log does not state it; it states {', '.join(close or stated[:3]) or 'no metric of a codebook'}", None


def of_report(report: Report, rules: Sequence[Rule] | None = None) -> Subject:
    """A report as something to judge."""
    population = report.sample is not None and report.sample.population
    places = tuple(place for one in report.quantizers for place in _places(one, population))
    rules = known_rules() if rules is None else rules
    judged = frozenset(rule.id for rule in rules if rule.subject is Case and _can_judge(rule, places))
    thin = {rule.id: level for rule in rules if rule.id in judged and (level := _too_few_rows(rule, places, report.findings))}
    doubt = next((each.why for each in report.unmeasured if each.metric == "verdict"), "")
    return Subject(report.source.path, report.source.kind, places, report.findings, report.unmeasured, judged, thin, doubt)


def _places(quantizer: QuantizerReport, population: bool) -> Iterator[Place]:
    for level in quantizer.levels:
        yield _level(quantizer, level, population)
    items = finite(quantizer.metrics.get("collision.items"))
    alone = {name: value for name, value in quantizer.metrics.items() if name not in LISTED}
    largest = max((level.codes for level in quantizer.levels), default=0)
    yield Place(quantizer.name, None, alone, largest, None if items is None else int(items), population)


def _level(quantizer: QuantizerReport, level: LevelReport, population: bool) -> Place:
    rows = finite(level.metrics.get("usage.n"))
    listed = {}
    for name in LISTED:
        values = quantizer.metrics.get(name)
        if isinstance(values, list | tuple) and level.index < len(values):
            listed[name] = values[level.index]
    return Place(
        quantizer.name, level.index, {**level.metrics, **listed}, level.codes, None if rows is None else int(rows), population,
        _seen(level),
    )  # fmt: skip


def _can_judge(rule: Rule, places: Sequence[Place]) -> bool:
    """Whether what the rule reads first is known anywhere. A rule that reads facts of the file needs a stored book only."""
    first = ALTERNATIVES.get(rule.id, rule.needs[:1])
    known = [name for name in first if name in METRIC_NAMES] or [OF_A_BOOK]
    return any(place.metrics.get(name) is not None for place in places for name in known)


def _too_few_rows(rule: Rule, places: Sequence[Place], findings: Sequence[Finding]) -> Place | None:
    """The level that lacks most rows for the silence of a rule on real use to mean something; None where it speaks or can."""
    if "usage.n" not in rule.needs or rule.id == TELLS_OF_ROWS:
        return None
    spoken = {finding.where for finding in findings if finding.rule == rule.id}
    lacking = [place for place in places if place.lacks_rows and place.where not in spoken]
    return max(lacking, key=lambda place: ROWS_PER_CODE * place.codes - (place.n or 0), default=None)


def _seen(level: LevelReport) -> Richness | None:
    if level.counts is None:
        return None
    hits = list(level.counts.values())
    return Richness(sum(hits), sum(hit > 0 for hit in hits), hits.count(1), hits.count(2))

"""What a rule is: an object with an id, thresholds, a page and a check. Adding one means writing it and naming it in `RULES`.

A rule says in `subject` what it judges: a :class:`~vqdoctor.diagnosis.case.Case` (a quantiser at rest) or, for rules over live
series, a :class:`~vqdoctor.diagnosis.live.LiveRun`. A fault that shows in both keeps one id, and has a check for each. The engine
hands each subject to the rules that want it; nothing else knows the difference.

Thresholds are data, never numbers in a check, so that users configure them and pages print them. "warn" and "error" are the two
that grade the main number; others are named for what they bound. Source of the defaults: the field's practice and simulations of
estimators on known truths, without external validation; each page says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.diagnosis.case import Case
from vqdoctor.model import Finding, Remedy

LEAD = ("broken rows", "precision", "sample", "collapse", "ema", "geometry", "collisions", "levels")
"""What to read first: a broken row imitates collapse, a small sample imitates dead codes, collapse explains odd geometry."""

Limits = Mapping[str, float]
Check = Callable[[Any, Limits], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A configurable number: its default, the unit it is in, and what passing it means."""

    default: float
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of judgement.

    Attributes:
        id: "VQ103", unique and stable. name: "ema-illusion". title: what is wrong, in one line.
        lead: its place in `LEAD`.
        check: (subject, limits) to findings; limits holds a number for each of `thresholds`.
        thresholds: by name; see the module.
        needs: metrics and facts that it reads.
        yields_to: rules whose finding at the same place says more: this one is then left out, unless the user configured it.
        subject: the type that `check` takes. also: checks of the same fault in subjects of other types, by type.
        page: its help as Markdown; "" where the package holds `pages/<id>.md`.
    """

    id: str
    name: str
    title: str
    lead: str
    check: Check
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    yields_to: tuple[str, ...] = ()
    subject: type = Case
    also: Mapping[type, Check] = field(default_factory=dict)
    page: str = ""

    def judges(self, subject: Any) -> Check | None:
        """The check for a subject of this type, None where the rule has none."""
        checks = {self.subject: self.check, **self.also}
        return next((check for kind, check in checks.items() if isinstance(subject, kind)), None)

    @property
    def limits(self) -> dict[str, float]:
        """The default of each threshold."""
        return {name: threshold.default for name, threshold in self.thresholds.items()}

    def finding(
        self,
        where: str,
        severity: str,
        message: str,
        *,
        evidence: Mapping[str, Any] | None = None,
        confidence: str = "certain",
        remedy: Remedy | None = None,
        next: str | None = None,
    ) -> Finding:
        """A finding of this rule."""
        remedy = remedy or Remedy(f"See: vqdoctor explain {self.id}")
        return Finding(self.id, self.name, severity, where, message, evidence or {}, confidence, remedy, next)


def grade(
    value: float | None, limits: Limits, worse: Callable[[float, float], Any], warn: str = "warn", error: str = "error"
) -> str | None:
    """The severity of `value`: "error" or "warning" where it is worse than that limit, else None.

    Args:
        worse: ``operator.gt``, ``ge`` or ``lt``: when a value has passed a limit.
        warn, error: names of the two limits; one that `limits` lacks never grades.
    """
    if value is None:
        return None
    for severity, limit in (("error", error), ("warning", warn)):
        if limit in limits and worse(value, limits[limit]):
            return severity
    return None


def gravest(*severities: str | None) -> str | None:
    """The gravest of some grades, None where there is none."""
    return next((severity for severity in ("error", "warning") if severity in severities), None)

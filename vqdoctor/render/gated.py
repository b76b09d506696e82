"""What a renderer asks of a gate's outcome, so that its checks can stand beside the findings in every format.

The border: rooms on one floor do not import each other, so the shape is a protocol; the values of `vqdoctor.gate` have it without
knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vqdoctor.render.figures import UNDEFINED, count, scalar
from vqdoctor.render.screen import GAP, SPACE

SEVERITY = {"fail": "error", "inconclusive": "warning"}
"""How grave a check that did not pass is at most; one of level "warn" or "warning" is a warning at most."""
OPERATORS = {"min": "≥", "max": "≤"}


class Check(Protocol):
    """One threshold or rule against one place (contract §6)."""

    @property
    def metric(self) -> str | None:
        """The metric; None for a rule."""

    @property
    def rule(self) -> str | None:
        """The rule's id; None for a metric."""

    @property
    def where(self) -> str:
        """The quantiser or level."""

    @property
    def level(self) -> str:
        """ "error", or what is milder."""

    @property
    def op(self) -> str | None:
        """ "min", "max", …; None for a rule."""

    @property
    def threshold(self) -> float | str | None:
        """What was asked."""

    @property
    def value(self) -> float | None:
        """What was measured; None where it is missing."""

    @property
    def n(self) -> int | None:
        """Rows behind the value."""

    @property
    def needed_n(self) -> int | None:
        """Rows that would settle an inconclusive check."""

    @property
    def status(self) -> str:
        """ "pass", "fail" or "inconclusive"; any other word is shown and counts for nothing."""


class Gate(Protocol):
    """All checks of a run and what they come to."""

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive"."""

    @property
    def checks(self) -> Sequence[Check]:
        """In the order in which they were asked."""


def check_name(check: Check) -> str:
    """The metric or rule that was checked."""
    return check.metric or check.rule or UNDEFINED


def check_words(check: Check) -> str:
    """``usage.utilization 0.004, asked ≥ 0.9; n 8 480``, with plain spaces: it goes through sinks that escape others."""
    value = scalar(check.value) if check.value is not None else "not measured" if check.metric else "found"
    told = f"{check_name(check)} {value}"
    told += f", asked {asked_words(check)}" if check.threshold is not None else ""
    told += f"; n {count(check.n)}" if check.n is not None else ""
    told += f"; {count(check.needed_n)} rows would settle it" if check.needed_n is not None else ""
    return told.replace(GAP, " ").replace(SPACE, " ")


def asked_words(check: Check, say: Callable[[object], str] = str) -> str:
    """``≥ 0.9``; a dash where nothing was asked but that a rule is silent."""
    if check.threshold is None:
        return UNDEFINED
    return f"{OPERATORS.get(check.op or '', say(check.op))} {scalar(check.threshold, say)}"


def severity_of(check: Check) -> str | None:
    """ "error" or "warning" for a check that did not pass, else None."""
    if check.status not in SEVERITY:
        return None
    return SEVERITY[check.status] if check.level == "error" else "warning"

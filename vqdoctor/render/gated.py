"""What a renderer asks of a gate's outcome, so that its checks can stand beside the findings in every format.

The border: rooms on one floor do not import each other, so the shape is a protocol; the values that a gate gives have it without
knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vqdoctor.render.figures import UNDEFINED, count, scalar
from vqdoctor.render.screen import GAP, SPACE

OPERATORS = {"min": "≥", "max": "≤"}


class Check(Protocol):
    """One threshold or rule against one place of one source (contract §6)."""

    @property
    def source(self) -> str:
        """The file."""

    @property
    def where(self) -> str:
        """The quantiser or level; "" for all of the file."""

    @property
    def metric(self) -> str | None:
        """The metric; None for a rule."""

    @property
    def rule(self) -> str | None:
        """The rule's id; None for a metric."""

    @property
    def level(self) -> str:
        """ "error", or what is milder."""

    @property
    def op(self) -> str:
        """ "min" or "max"; any other word for a rule, whose findings should be absent."""

    @property
    def threshold(self) -> float | None:
        """The number asked for; None for a rule."""

    @property
    def value(self) -> float | None:
        """What was found; None where it is not known."""

    @property
    def n(self) -> int | None:
        """Rows behind the value."""

    @property
    def needed_n(self) -> int | None:
        """Rows that would settle an inconclusive check."""

    @property
    def status(self) -> str:
        """ "pass", "fail" or "inconclusive"."""

    @property
    def known(self) -> object:
        """What a baseline holds for a failure that it accepts, so that the check passes; None elsewhere."""

    @property
    def reason(self) -> str:
        """One sentence."""


class Gate(Protocol):
    """All checks of a run and what they come to."""

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive"."""

    @property
    def checks(self) -> Sequence[Check]:
        """Gravest first."""

    @property
    def stops(self) -> bool:
        """True where a pipeline should stop."""


def check_name(check: Check) -> str:
    """The metric or rule that was checked."""
    return check.metric or check.rule or UNDEFINED


def check_place(check: Check) -> str:
    """Where, and the file where it is all of it."""
    return check.where or check.source


def check_words(check: Check) -> str:
    """``usage.utilization 0.004, asked ≥ 0.9; n 8 480. Why.``, with plain spaces: it goes through sinks that escape others."""
    told = f"{check_name(check)} {found_words(check)}, asked {asked_words(check)}"
    told += f"; n {count(check.n)}" if check.n is not None else ""
    told += f"; {count(check.needed_n)} rows would settle it" if check.needed_n is not None else ""
    told += f". {check.reason}" if check.reason else ""
    return told.replace(GAP, " ").replace(SPACE, " ")


def found_words(check: Check) -> str:
    """``0.004``; for a rule whether it found something."""
    if check.metric is not None:
        return scalar(check.value) if check.value is not None else "not known"
    if check.known is not None:
        return "found before"
    return {"pass": "none", "fail": "found"}.get(check.status, "open")


def asked_words(check: Check, say: Callable[[object], str] = str) -> str:
    """``≥ 0.9``; that a rule finds nothing."""
    if check.threshold is None:
        return "no finding" if check.metric is None else "no worse than the baseline"
    return f"{OPERATORS.get(check.op, say(check.op))} {scalar(check.threshold)}"


def severity_of(check: Check, gate: Gate) -> str | None:
    """ "error", "warning" or "info" for a check that did not pass, else None.

    One that is inconclusive is a warning, but an error where that is why the pipeline stops.
    """
    if check.status == "pass":
        return None
    if check.level != "error":
        return "info" if check.level == "info" else "warning"
    decides = check.status == "fail" or (gate.stops and gate.verdict == "inconclusive")
    return "error" if decides else "warning"


def told_checks(gate: Gate) -> tuple[list[Check], list[str]]:
    """The checks worth a row each, and the rules that were asked about and found nothing, which a line can name together."""
    quiet = [check for check in gate.checks if check.metric is None and check.status == "pass" and check.known is None]
    return [check for check in gate.checks if check not in quiet], list(dict.fromkeys(map(check_name, quiet)))

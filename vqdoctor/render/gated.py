"""A gate's outcome in words, so that its checks can stand beside the findings in every format."""

from __future__ import annotations

from collections.abc import Callable

from vqdoctor.model.gate import Check, GateResult
from vqdoctor.render.figures import UNDEFINED, count, scalar
from vqdoctor.render.screen import GAP, SPACE

OPERATORS = {"min": "≥", "max": "≤"}


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


def severity_of(check: Check, gate: GateResult) -> str | None:
    """ "error", "warning" or "info" for a check that did not pass, else None.

    One that is inconclusive is a warning, but an error where that is why the pipeline stops.
    """
    if check.status == "pass":
        return None
    if check.level != "error":
        return "info" if check.level == "info" else "warning"
    decides = check.status == "fail" or (gate.stops and gate.verdict == "inconclusive")
    return "error" if decides else "warning"


def told_checks(gate: GateResult) -> tuple[list[Check], list[str]]:
    """The checks worth a row each, and the rules that were asked about and found nothing, which a line can name together."""
    quiet = [check for check in gate.checks if check.metric is None and check.status == "pass" and check.known is None]
    return [check for check in gate.checks if check not in quiet], list(dict.fromkeys(map(check_name, quiet)))

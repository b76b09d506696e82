"""When a watch stops by itself: `--until`, `--timeout`, or because there is nothing more to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vqdoctor.app.watching.view import WatchView

OVER = ("ended", "failed")
Outcome = Literal["", "fired", "over", "timeout"]


@dataclass(frozen=True, slots=True)
class Goal:
    """When to stop.

    Attributes:
        rule: once this rule has a finding. over: once every run is over, and there is one.
        timeout: after so many seconds whatever happens; None: never.
    """

    rule: str | None = None
    over: bool = True
    timeout: float | None = None


def reached(view: WatchView, goal: Goal, seconds: float) -> Outcome:
    """Whether to stop, and why."""
    if goal.rule is not None and any(finding.rule == goal.rule for run in view.runs for finding in run.findings):
        return "fired"
    settled = all(run.state in OVER and not run.behind for run in view.runs) and not view.missing
    if goal.over and view.runs and settled:
        return "over"
    return "timeout" if goal.timeout is not None and seconds >= goal.timeout else ""

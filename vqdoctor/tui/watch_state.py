"""What the user has set on the watch screen: frozen, so that a picture depends on this, on the view and on nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.model import Finding
from vqdoctor.model.report import SEVERITIES
from vqdoctor.tui.vitals import onset

HALF_LIVES = (0, 10, 100, 1000)  # steps
TABS = ("use", "runs", "log", "numbers")
NARROW_TABS = ("findings", *TABS)
Known = tuple[str, str, str]  # run, rule, place: what an acknowledgement is of


@dataclass(frozen=True, slots=True)
class WatchState:
    """What is set.

    Attributes:
        run: path of the run in view, None for the newest. level: which of its levels, counted; None for the worst.
        half_life: of the smoothing, in steps. cursor: a step, None while it follows the end. span: steps in sight, None for all.
        page: of charts. tab: what the lower left pane shows, "" for what the room suggests.
        zoomed: id of the one pane in sight, None for all.
        compare: differences to the baseline are shown. baseline: path of the pinned run.
        filter: what the user searches for. faults: only what is wrong is shown.
        finding: the chosen one. acknowledged: those that the user has seen to.
    """

    run: str | None = None
    level: int | None = None
    half_life: int = 0
    cursor: float | None = None
    span: float | None = None
    page: int = 0
    tab: str = ""
    zoomed: str | None = None
    compare: bool = False
    baseline: str | None = None
    filter: str = ""
    faults: bool = False
    finding: Known | None = None
    acknowledged: frozenset[Known] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A finding in a run, as the list shows it."""

    run: RunView
    finding: Finding

    @property
    def known(self) -> Known:
        """By which it is recognised in the next view."""
        return (self.run.path, self.finding.rule, self.finding.where)


def run_in_view(view: WatchView, state: WatchState) -> RunView | None:
    """The run that the user chose, else the newest."""
    return next((run for run in view.runs if run.path == state.run), view.runs[0] if view.runs else None)


def baseline_of(view: WatchView, state: WatchState) -> RunView | None:
    """The pinned run, if it is still there."""
    return next((run for run in view.runs if run.path == state.baseline), None)


def found(view: WatchView, state: WatchState) -> list[Found]:
    """Findings in the order of the list: the run in view first, gravest first, then as they began; acknowledged ones last."""
    current = run_in_view(view, state)
    each = [Found(run, finding) for run in view.runs for finding in run.findings]
    kept = [
        one
        for one in each
        if matches(state.filter, one.finding.rule, one.finding.name, one.finding.where, one.finding.message, one.run.name)
        and not (state.faults and one.finding.severity == "info")
    ]
    return sorted(
        kept,
        key=lambda one: (
            one.known in state.acknowledged,
            one.run is not current,
            -SEVERITIES.index(one.finding.severity),
            onset(one.finding) or 0.0,
        ),
    )


def chosen(view: WatchView, state: WatchState) -> Found | None:
    """The finding that the user chose, if it still stands."""
    return next((one for one in found(view, state) if one.known == state.finding), None)


def matches(query: str, *words: str) -> bool:
    """Whether any of `words` holds each term of `query`, in any case; ``-term`` must not be there, ``a|b`` is either."""
    text = "\n".join(words).lower()
    return all(_holds(term, text) for term in query.lower().split())


def _holds(term: str, text: str) -> bool:
    if term.startswith("-") and len(term) > 1:
        return not any(part in text for part in re.split(r"\|", term[1:]) if part)
    return any(part in text for part in re.split(r"\|", term) if part)

"""What the rules say of a run's log, as a watch would ask for them. A rule that is not built yet cannot be asked: see `known`."""

from __future__ import annotations

from pathlib import Path

from vqdoctor.diagnosis import RULES, diagnose
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.logs import read_runs


def known(rule: str) -> bool:
    """Whether there is a rule of that id."""
    return rule in {one.id for one in RULES}


def fired(folder: Path) -> set[str]:
    """Ids of the rules, above mere remarks, that fire on the log in `folder`."""
    (run,), _ = read_runs(str(folder / "log.jsonl"), clock=lambda: 0.0)
    config = next((event.detail.get("config") for event in run.events if event.kind == "run"), None)
    subject = LiveRun(
        "run", str(folder), run.outcome or "ended", tuple(run.series()), tuple(run.events), tuple(run.usage), config=config or {}
    )
    return {finding.rule for finding in diagnose(subject) if finding.severity != "info"}

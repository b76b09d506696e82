"""From a finding to the screen that treats it, where there is one for it."""

from __future__ import annotations

import shlex

from textual.screen import Screen

from vqdoctor.app.targets import can_be_repaired
from vqdoctor.diagnosis.remedy import PLACEHOLDER
from vqdoctor.tui.watch_state import Found


def repair_screen(one: Found) -> Screen[None] | None:
    """The repair screen for a finding whose command repairs a checkpoint that is there; None where its cure is in words."""
    from vqdoctor.tui.repair_screen import RepairScreen  # loads the treatments, which watching needs none of

    path, features = _named(one.finding.remedy.command or "")
    return RepairScreen(path, features, one.finding) if path and can_be_repaired(path) else None


def _named(command: str) -> tuple[str | None, str | None]:
    """The checkpoint and the features that a command names, None where it names none."""
    try:
        words = shlex.split(command)
    except ValueError:  # no command that a shell would take
        return None, None
    if words[:2] != ["vqdoctor", "repair"] or len(words) < 3 or words[2].startswith("-"):
        return None, None
    given = words[words.index("--features") + 1 :][:1] if "--features" in words else []
    return words[2], None if given in ([], [PLACEHOLDER]) else given[0]

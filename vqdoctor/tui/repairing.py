"""From a finding to the screen that treats it, where there is one for it."""

from __future__ import annotations

from textual.screen import Screen

from vqdoctor.tui.watch_state import Found


def repair_screen(one: Found) -> Screen[None] | None:
    """The repair screen for a finding whose command repairs a checkpoint; None where its cure is in words."""
    return None

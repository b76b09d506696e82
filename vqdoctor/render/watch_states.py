"""How the state of a run looks and what it is called: glyph, word and style, as every view of a watch shows it."""

from __future__ import annotations

from vqdoctor.render.page import Cell
from vqdoctor.render.screen import Screen, State

RUN_STATES = {
    "waiting": State("○", "waiting", "dim"),
    "live": State("●", "live", "bold green"),
    "lagging": State("◐", "lagging", "bold yellow"),
    "stalled": State("◌", "stalled", "bold yellow"),
    "ended": State("■", "ended", "bold"),
    "failed": State("✗", "failed", "bold red"),
}
ASCII = {"waiting": "o", "live": "*", "lagging": "~", "stalled": "?", "ended": "=", "failed": "x"}

MEANT = {
    "waiting": "nothing of it yet",
    "live": "it grows",
    "lagging": "there is more than was read",
    "stalled": "silent for three times its usual gap and a minute",
    "ended": "it said so, or has been silent since long before",
    "failed": "it said so, or cannot be read",
}
"""What each word means, for help."""


def run_state(screen: Screen, name: str) -> Cell:
    """Glyph, word and style of a run's state."""
    look = RUN_STATES[name]
    return f"{look.glyph if screen.unicode else ASCII[name]} {look.word}", look.style

"""Use over time as strips: a row a level, a column a stretch of steps, the darker the more of the codes were used.

The shade is the lowest value of its stretch: a collapse that lasted a moment is seen. Shades are glyphs and need no colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from vqdoctor.tui.themes import Look

SHADES = "·░▒▓█"
ASCII_SHADES = "-.:*#"
STEPS = (0.02, 0.25, 0.5, 0.75)  # shares from which on the next shade is used


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One row. name: of its level. steps, shares: of each stretch, (m,) float64; ascending steps."""

    name: str
    steps: np.ndarray
    shares: np.ndarray


def strips(
    rows: Sequence[Strip], first: float, last: float, width: int, look: Look, cursor: float | None = None, label: int = 0
) -> list[Text]:
    """A line a strip. label: cells for the names, at least."""
    label = max([label, *(len(row.name) for row in rows)])
    return [_line(row, first, last, max(1, width - label - 1), label, look, cursor) for row in rows]


def key(look: Look) -> str:
    """What the shades mean."""
    shades = SHADES if look.unicode else ASCII_SHADES
    bounds = [f"{shades[0]} <2", *(f"{shade} {round(100 * step)}+" for shade, step in zip(shades[1:], STEPS, strict=True))]
    return " ".join([*bounds[:1], *bounds[1:]]) + " %"


def columns(row: Strip, first: float, last: float, width: int) -> np.ndarray:
    """Lowest share of each of `width` columns, (width,), NaN outside the points; a column without one holds the one before."""
    out = np.full(width, np.nan)
    if not len(row.steps):
        return out
    span = last - first
    places = np.clip(((row.steps - first) / span * (width - 1)).round() if span > 0 else np.zeros(len(row.steps)), 0, width - 1)
    inside = (row.steps >= first) & (row.steps <= last)
    np.fmin.at(out, places[inside].astype(int), row.shares[inside])
    known = np.flatnonzero(~np.isnan(out))
    if len(known):
        held = known[np.maximum(np.searchsorted(known, np.arange(width), side="right") - 1, 0)]
        upto = np.arange(width) <= known[-1]
        out = np.where((np.arange(width) >= known[0]) & upto, out[held], np.nan)
    return out


def _line(row: Strip, first: float, last: float, width: int, label: int, look: Look, cursor: float | None) -> Text:
    shades = SHADES if look.unicode else ASCII_SHADES
    shares = columns(row, first, last, width)
    shade = np.searchsorted(STEPS, np.nan_to_num(shares), side="right")
    text = Text(f"{row.name:<{label}} ", look.title)
    at = -1 if cursor is None or last <= first else round((cursor - first) / (last - first) * (width - 1))
    for column, (share, step) in enumerate(zip(shares, shade, strict=True)):
        character = " " if np.isnan(share) else shades[step]
        style = look.state_style("error") if step < 2 else look.state_style("warning") if step == 2 else look.real
        style = style if character != " " else ""
        text.append(character, f"{style} reverse".strip() if column == at else style)
    return text

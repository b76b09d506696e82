"""A bar with two needles: real use filled from the left, the EMA's use as a mark, so that a gap between them is seen at once."""

from __future__ import annotations

from rich.text import Text

from vqdoctor.tui.themes import Look


def needles(real: float | None, ema: float | None, width: int, look: Look, style: str = "") -> Text:
    """`width` cells between two ends.

    Args:
        real: share of codes in use, None where it is not known: then the bar holds the needle alone.
        ema: share that the EMA's counts call active, None where there is none.
        style: rich style of the filled part.
    """
    left, right, full, rest, needle = ("▕", "▏", "█", "░", "┃") if look.unicode else ("[", "]", "#", ".", "|")
    room = max(1, width - 2)
    filled = 0 if real is None else _cells(real, room)
    cells = [(full, style or look.real)] * filled + [(rest if real is not None else " ", look.dim)] * (room - filled)
    if ema is not None:
        cells[max(0, _cells(ema, room) - 1)] = (needle, f"bold {look.ema}".strip())
    return Text.assemble((left, look.dim), *cells, (right, look.dim))


def _cells(share: float, room: int) -> int:
    """Cells of a share; anything above nothing shows, and only all of it fills the bar."""
    share = min(1.0, max(0.0, share))
    cells = round(share * room)
    if 0 < share < 1:
        return min(room - 1, max(1, cells)) if room > 1 else cells
    return cells

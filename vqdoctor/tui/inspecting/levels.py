"""What the levels do together: how even each is used and what it adds to those before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from vqdoctor.model import QuantizerReport, Report
from vqdoctor.render.figures import UNDEFINED, count, share, short, unit
from vqdoctor.render.words import level_state, number_of
from vqdoctor.tui.inspecting.grid import GridColumn, grid
from vqdoctor.tui.themes import Look

WIDE = 24  # cells of an entropy bar


def level_lines(report: Report, quantizer: QuantizerReport, width: int, look: Look) -> list[Text]:
    """A line a level: entropy as a bar (an hourglass is seen), what it adds in bits and decibels, how the prefixes branch."""
    levels = quantizer.levels
    tree = quantizer.prefixes or {}

    def told(values: object, written: Callable[[float | None], str]) -> list[Text]:
        known = values if isinstance(values, Sequence) and len(values) == len(levels) else [None] * len(levels)
        return [Text(look.fold(written(value))) for value in known]

    evenness = [number_of(level.metrics, "usage.entropy_normalized") for level in levels]
    columns = [
        GridColumn("state", [look.state(level_state(report, quantizer, level)) for level in levels], left=True),
        GridColumn("level", [Text(str(level.index), "bold") for level in levels]),
        GridColumn("evenness", told(evenness, unit)),
        GridColumn("(1 = even use)", [_centred(value, look) for value in evenness], left=True, gives_way=2),
        GridColumn("adds bits", told(quantizer.metrics.get("levels.conditional_entropy_bits"), short)),
        GridColumn("adds dB", told(quantizer.metrics.get("levels.gain_db"), short)),
        GridColumn("prefixes", told(tree.get("nodes"), count)),
        GridColumn("children", told(tree.get("branching"), short), gives_way=3),
        GridColumn("only child", told(tree.get("single_child"), share), gives_way=5),
        GridColumn("share a prefix", told(tree.get("shared"), share), gives_way=4),
        GridColumn("fullest", told(tree.get("dominant_share"), share), gives_way=6),
    ]
    return grid(
        [column for column in columns if any(cell.plain.strip() not in ("", UNDEFINED, "-") for cell in column.cells)], width, look
    )


def _centred(value: float | None, look: Look) -> Text:
    """A bar about its middle, so that levels below each other draw the hourglass."""
    if value is None:
        return Text(" " * WIDE)
    filled = max(1, round(value * WIDE))
    blank = (WIDE - filled) // 2
    return Text(" " * blank).append(("█" if look.unicode else "#") * filled, look.real).append(" " * (WIDE - filled - blank))

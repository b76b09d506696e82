"""One line of bars: the use of the codes of a book, or a number over steps, at a glance.

`usage_bars`: codes are sorted by hits, most first, and cut into `width` equal slices; a bar is the mean of its slice on a log
scale, log(1 + mean) / log(1 + mean of the first slice), in eight steps. A slice that no row hits is a dot, so that the dead tail
is told from a rarely used one; a slice with any hit shows at least the lowest bar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

BARS = "·▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+o*#@"
SHADES = " ░▒▓█"
ASCII_SHADES = " .:*#"


def usage_bars(hits: Iterable[int], codes: int, width: int, unicode: bool = True) -> str:
    """`hits` of the used codes of a book of `codes`, as at most `width` bars (fewer where there are fewer codes, none of none)."""
    ranked = sorted((n for n in hits if n > 0), reverse=True)
    slices = min(width, codes)
    edges = [codes * i // slices for i in range(slices + 1)]
    means = [sum(ranked[start:stop]) / (stop - start) for start, stop in pairwise(edges)]
    bars = BARS if unicode else ASCII_BARS
    top = math.log1p(max(means, default=0)) or 1.0
    return "".join(bars[math.ceil(8 * math.log1p(mean) / top) if mean else 0] for mean in means)


def trend_bars(values: Sequence[float | None], low: float, high: float, unicode: bool = True) -> str:
    """`values` one after the other as bars from `low` to `high`; a blank where there is none."""
    bars = (BARS if unicode else ASCII_BARS)[1:]
    return "".join(" " if value is None else bars[_place(value, low, high, len(bars))] for value in values)


def shades(values: Sequence[float | None], unicode: bool = True) -> str:
    """Shares as shades, the darker the more; a dot where one is exactly 0 or there is none."""
    darker = (SHADES if unicode else ASCII_SHADES)[1:]
    return "".join(
        " " if value is None else "·" if not value and unicode else "-" if not value else darker[_place(value, 0, 1, len(darker))]
        for value in values
    )


def _place(value: float, low: float, high: float, steps: int) -> int:
    """Which of `steps` equal parts of low…high holds `value`."""
    room = high - low
    return 0 if room <= 0 else max(0, min(steps - 1, int(steps * (value - low) / room)))

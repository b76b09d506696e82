"""Use of the codes as one line of bars: the shape of a codebook at a glance.

Codes are sorted by hits, most first, and cut into `width` equal slices; a bar is the mean of its slice on a log scale,
log(1 + mean) / log(1 + mean of the first slice), in eight steps. A slice that no row hits is a dot, so that the dead tail
is told from a rarely used one; a slice with any hit shows at least the lowest bar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

BARS = "·▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+o*#@"


def usage_bars(hits: Iterable[int], codes: int, width: int, unicode: bool = True) -> str:
    """`hits` of the used codes of a book of `codes`, as at most `width` bars (fewer where there are fewer codes, none of none)."""
    ranked = sorted((n for n in hits if n > 0), reverse=True)
    slices = min(width, codes)
    edges = [codes * i // slices for i in range(slices + 1)]
    means = [sum(ranked[start:stop]) / (stop - start) for start, stop in pairwise(edges)]
    bars = BARS if unicode else ASCII_BARS
    top = math.log1p(max(means, default=0)) or 1.0
    return "".join(bars[math.ceil(8 * math.log1p(mean) / top) if mean else 0] for mean in means)

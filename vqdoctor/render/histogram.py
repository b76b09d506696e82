"""How the hits of a codebook are spread: the bins and the curve that every face draws, on paper, in a terminal or in a browser."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from vqdoctor.model.report import LevelReport
from vqdoctor.render.words import codes_of


def hit_bins(level: LevelReport) -> list[tuple[str, int]]:
    """(label, number of codes) by how often codes are hit, in powers of two; the first are those that never are."""
    bins = Counter(hits.bit_length() for hits in (level.counts or {}).values() if hits > 0)
    bins[0] = codes_of(level) - sum(bins.values())
    return [("never" if place == 0 else _hits(place), bins[place]) for place in range(max(bins) + 1)]


def _hits(bits: int) -> str:
    """``4-7`` for the counts of three binary digits."""
    low, high = 1 << (bits - 1), (1 << bits) - 1
    return str(low) if low == high else f"{low}-{high}"


def ranked_shares(counts: Iterable[float]) -> list[float]:
    """Each code's share of all hits, most used first; codes without a hit have none."""
    ranked = sorted((float(hits) for hits in counts if 0 < hits < math.inf), reverse=True)
    total = math.fsum(ranked)
    return [hits / total for hits in ranked]

"""The loop that numba compiles: scores of four codes meet a block of rows that lies turned in the first cache, row beside row.

So one instruction works on as many rows as a register holds, and a score is compared while it is still in one. Plain Python with
the same answers, for a reader and for the tests; `fused` says when it is compiled. `scan_of` makes it for a kind of table: what is
constant for all of its rows is constant for the compiler, which otherwise would leave the narrow ones at half their speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Scan = Callable[..., None]

TURNED = 8192  # floats of a block of rows, 32 KiB, which is what the first cache holds
FEWEST, MOST = 64, 256  # rows of a block: fewer leave registers empty, more gain nothing
ALONE, CHUNK = 64, 32  # columns that meet the codes at once; of more, so many at a time, of as many rows as a block has
HELD = 128  # codes whose scores so far, of such a block, are put by in the second cache


class Kind(NamedTuple):
    """What a scan is made for, from its columns: whether there are more than the last ones, whether these are four or two, and
    whether there are so many that scores are added up chunk by chunk."""

    summed: bool
    four: bool
    chunked: bool

    @classmethod
    def of(cls, columns: int) -> Kind:
        """Of a table that is `padded` to so many columns."""
        return cls(columns > 4, columns > 2, columns > ALONE)


def padded(columns: int) -> int:
    """How many columns a scan wants for so many: two, or a multiple of four."""
    return 2 if columns <= 2 else -(-columns // 4) * 4


def scan_of(kind: Kind) -> Scan:
    """The best and the next best score of each row, for tables of that kind.

    A scan takes rows (b, D) float32 and their offset (D,), codes (K″, D″) and their bias (K″,), and writes the last four, (b,):
    squared norms of rows − offset, numbers of the best codes (int32), their scores, and the next best scores.
    """
    summed, four, chunked = kind

    def scan(rows: Any, offset: Any, codes: Any, bias: Any, energy: Any, found: Any, score: Any, second: Any) -> None:
        """What is worked on is made in here, so that the compiler knows that it is nobody else's."""
        count, (size, width) = len(rows), codes.shape
        last = width - (4 if four else 2)  # from there on the columns that end with the comparison
        chunk, held = (CHUNK, HELD) if chunked else (width, size)
        lanes = max(FEWEST, min(MOST, TURNED // chunk // FEWEST * FEWEST))
        turned = aligned(width * lanes).reshape((width, lanes))
        kept = aligned(lanes * (held if chunked else 1)).reshape((held if chunked else 1, lanes))
        sums0, sums1, sums2, sums3 = aligned(lanes), aligned(lanes), aligned(lanes), aligned(lanes)
        at, best, next_best = aligned(lanes).view(np.int32), aligned(lanes), aligned(lanes)
        for start in range(0, count, lanes):
            here = min(lanes, count - start)
            turn(rows[start : start + here], offset, turned, energy[start : start + here])
            at[:], best[:], next_best[:] = 0, -np.inf, -np.inf
            for first in range(0, size, held):
                for low in range(0, max(1, last), chunk):
                    high = min(low + chunk, last)
                    for j in range(first, min(first + held, size), 4):
                        k = j - first
                        if chunked and low:
                            for r in range(lanes):
                                sums0[r], sums1[r], sums2[r], sums3[r] = kept[k, r], kept[k + 1, r], kept[k + 2, r], kept[k + 3, r]
                        elif summed:
                            add(True, sums0, sums1, sums2, sums3, turned, codes, bias, 0, j)
                        for i in range(max(4, low), high, 4):
                            add(False, sums0, sums1, sums2, sums3, turned, codes, bias, i, j)
                        if chunked and high < last:
                            for r in range(lanes):
                                kept[k, r], kept[k + 1, r], kept[k + 2, r], kept[k + 3, r] = sums0[r], sums1[r], sums2[r], sums3[r]
                        else:
                            compare(summed, four, sums0, sums1, sums2, sums3, turned, codes, bias, j, at, best, next_best)
            found[start : start + here] = at[:here]
            score[start : start + here] = best[:here]
            second[start : start + here] = next_best[:here]

    return scan


def add(
    first: bool, sums0: Any, sums1: Any, sums2: Any, sums3: Any, turned: Any, codes: Any, bias: Any, i: Any, j: Any,
) -> None:  # fmt: skip
    """Adds four columns, from `i` on, to the scores of four codes from `j` on, (rows of a block,) each; first: to the bias."""
    bias0, bias1, bias2, bias3 = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
    a, b, c, d = codes[j], codes[j + 1], codes[j + 2], codes[j + 3]
    row0, row1, row2, row3 = turned[i], turned[i + 1], turned[i + 2], turned[i + 3]
    a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
    b0, b1, b2, b3 = b[i], b[i + 1], b[i + 2], b[i + 3]
    c0, c1, c2, c3 = c[i], c[i + 1], c[i + 2], c[i + 3]
    d0, d1, d2, d3 = d[i], d[i + 1], d[i + 2], d[i + 3]
    for r in range(len(sums0)):
        x0, x1, x2, x3 = row0[r], row1[r], row2[r], row3[r]
        sums0[r] = either(first, bias0, sums0[r]) + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums1[r] = either(first, bias1, sums1[r]) + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        sums2[r] = either(first, bias2, sums2[r]) + c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
        sums3[r] = either(first, bias3, sums3[r]) + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


def compare(
    summed: bool, four: bool, sums0: Any, sums1: Any, sums2: Any, sums3: Any, turned: Any, codes: Any, bias: Any, j: Any,
    at: Any, best: Any, next_best: Any,
) -> None:  # fmt: skip
    """Adds the last four columns, or two, and lets the four codes from `j` on compete with the best and the next best so far."""
    i, k = len(turned) - (4 if four else 2), len(turned) - 2
    a, b, c, d = codes[j], codes[j + 1], codes[j + 2], codes[j + 3]
    bias0, bias1, bias2, bias3 = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
    row0, row1, row2, row3 = turned[i], turned[i + 1], turned[k], turned[k + 1]
    a0, a1, a2, a3 = a[i], a[i + 1], a[k], a[k + 1]
    b0, b1, b2, b3 = b[i], b[i + 1], b[k], b[k + 1]
    c0, c1, c2, c3 = c[i], c[i + 1], c[k], c[k + 1]
    d0, d1, d2, d3 = d[i], d[i + 1], d[k], d[k + 1]
    for r in range(len(best)):
        p, q, s, t = (sums0[r], sums1[r], sums2[r], sums3[r]) if summed else (bias0, bias1, bias2, bias3)
        x0, x1 = row0[r], row1[r]
        p, q, s, t = p + a0 * x0 + a1 * x1, q + b0 * x0 + b1 * x1, s + c0 * x0 + c1 * x1, t + d0 * x0 + d1 * x1
        if four:
            x2, x3 = row2[r], row3[r]
            p, q, s, t = p + a2 * x2 + a3 * x3, q + b2 * x2 + b3 * x3, s + c2 * x2 + c3 * x3, t + d2 * x2 + d3 * x3
        top, where, lost = knock_out(p, q, s, t, j)
        next_best[r] = max(lost, min(top, best[r]), next_best[r])
        at[r] = where if top > best[r] else at[r]
        best[r] = max(top, best[r])


def either(condition: bool, one: Any, other: Any) -> Any:
    """A choice in a function of its own, because numba warns of one in what it puts into another twice."""
    return one if condition else other


def knock_out(p: Any, q: Any, s: Any, t: Any, first: Any) -> tuple[Any, Any, Any]:
    """Of four scores the best, its number from `first` on, of equals the first, and the next best: one of the losers."""
    high, high2 = max(p, q), max(s, t)
    where = np.int32(first + 1) if q > p else np.int32(first)
    where2 = np.int32(first + 3) if t > s else np.int32(first + 2)
    return max(high, high2), where2 if high2 > high else where, max(min(high, high2), min(p, q), min(s, t))


def turn(rows: Any, offset: Any, turned: Any, energy: Any) -> None:
    """Writes rows − offset column by column, and their squared norms."""
    for r in range(len(rows)):
        squares = np.float32(0)
        for i in range(len(offset)):
            value = rows[r, i] - offset[i]
            turned[i, r] = value
            squares += value * value
        energy[r] = squares


def aligned(size: int) -> Any:
    """Zeros (size,) float32 from where a cache line begins: vectors that straddle two take twice as long."""
    room = np.zeros(size + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + size]

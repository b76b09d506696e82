"""The best and the next best score of each row in one pass, compiled: a score is compared while it is still in a register.

`scan` writes the product down and reads it twice; with few columns that takes longer than the product itself. Here four codes meet
a block of rows that lies turned in the first cache, row beside row, so that one instruction works on as many rows as a register
holds. Same answers, since what rounding leaves open is settled afterwards in both cases. numba compiles it (extra `fast`), once for
a processor; where it is not installed, or would take longer to start than it saves, nobody misses it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from vqdoctor.nearest.scan import Scanned
from vqdoctor.nearest.tiles import Desk

WORTH = 1e11  # multiply-adds asked of this process from which starting pays: numba is there in half a second, once compiled
WIDEST = 192  # columns beyond which the product takes so long that nothing is gained
COMPARED = 24  # multiply-adds that take as long as writing and comparing one score
TURNED = 8192  # floats of a block of rows, 32 KiB, which is what the first cache holds
FEWEST, MOST = 64, 256  # rows of a block: fewer leave registers empty, more gain nothing

Scan = Callable[..., None]


class Packed(NamedTuple):
    """A table of scores as :func:`scan` wants it: `codes` (K″, D″) float32 and `bias` (K″,), K″ and D″ filled up to fours.

    A score is (x − offset)·code + bias; `offset` is (D,), and what fills up has bias −inf.
    """

    codes: np.ndarray
    bias: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, bias: np.ndarray | float, offset: np.ndarray | None) -> Packed:
        """From codes (K, D), their biases (K,) or one for all, and the offset of the rows, None for 0."""
        size, width = codes.shape
        packed = np.zeros((-(-size // 4) * 4, -(-width // 4) * 4), np.float32)
        packed[:size, :width] = codes
        biases = np.full(len(packed), -np.inf, np.float32)
        biases[:size] = bias
        return cls(packed, biases, np.zeros(width, np.float32) if offset is None else offset)


def best_scores(compiled: Scan, rows: np.ndarray, packed: Packed, desk: Desk) -> Scanned:
    """The best of (rows − offset) @ codes.T + bias for rows (b, D) float32, b > 0; on the desk."""
    count = len(rows)
    found = desk.take("found", count, dtype=np.int32)
    energy, score, second = (desk.take(name, count) for name in ("energy", "score", "second"))
    compiled(np.require(rows, np.float32, ["C", "A"]), packed.offset, packed.codes, packed.bias, energy, found, score, second)
    return Scanned(energy, found, score, second)


def scan(rows: Any, offset: Any, codes: Any, bias: Any, energy: Any, found: Any, score: Any, second: Any) -> None:
    """What numba compiles, and what without it is as right and slow. The last four, (b,), are written.

    What is worked on is made in here, so that the compiler knows that it is nobody else's.
    """
    count, (size, padded) = len(rows), codes.shape
    lanes = max(FEWEST, min(MOST, TURNED // padded // FEWEST * FEWEST))
    turned = aligned(padded * lanes).reshape((padded, lanes))
    sums0, sums1, sums2, sums3 = aligned(lanes), aligned(lanes), aligned(lanes), aligned(lanes)
    at, best, next_best = aligned(lanes).view(np.int32), aligned(lanes), aligned(lanes)
    for start in range(0, count, lanes):
        here = min(lanes, count - start)
        turn(rows[start : start + here], offset, turned, energy[start : start + here])
        at[:] = 0
        best[:] = -np.inf
        next_best[:] = -np.inf
        for j in range(0, size, 4):
            sums0[:], sums1[:], sums2[:], sums3[:] = bias[j], bias[j + 1], bias[j + 2], bias[j + 3]
            a, b, c, d = codes[j], codes[j + 1], codes[j + 2], codes[j + 3]
            for i in range(0, padded - 4, 4):
                row0, row1, row2, row3 = turned[i], turned[i + 1], turned[i + 2], turned[i + 3]
                a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
                b0, b1, b2, b3 = b[i], b[i + 1], b[i + 2], b[i + 3]
                c0, c1, c2, c3 = c[i], c[i + 1], c[i + 2], c[i + 3]
                d0, d1, d2, d3 = d[i], d[i + 1], d[i + 2], d[i + 3]
                for r in range(lanes):
                    x0, x1, x2, x3 = row0[r], row1[r], row2[r], row3[r]
                    sums0[r] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                    sums1[r] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                    sums2[r] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
                    sums3[r] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
            i = padded - 4  # the last columns, and the four scores of a row: a knock-out, whose losers may be next best
            row0, row1, row2, row3 = turned[i], turned[i + 1], turned[i + 2], turned[i + 3]
            a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
            b0, b1, b2, b3 = b[i], b[i + 1], b[i + 2], b[i + 3]
            c0, c1, c2, c3 = c[i], c[i + 1], c[i + 2], c[i + 3]
            d0, d1, d2, d3 = d[i], d[i + 1], d[i + 2], d[i + 3]
            n0, n1, n2, n3 = np.int32(j), np.int32(j + 1), np.int32(j + 2), np.int32(j + 3)
            for r in range(lanes):
                x0, x1, x2, x3 = row0[r], row1[r], row2[r], row3[r]
                p = sums0[r] + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                q = sums1[r] + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                s = sums2[r] + c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
                t = sums3[r] + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
                high, high2 = max(p, q), max(s, t)
                where = n1 if q > p else n0
                where2 = n3 if t > s else n2
                where = where2 if high2 > high else where
                top = max(high, high2)
                lost = max(min(high, high2), min(p, q), min(s, t), min(top, best[r]))
                next_best[r] = max(lost, next_best[r])
                at[r] = where if top > best[r] else at[r]
                best[r] = max(top, best[r])
        found[start : start + here] = at[:here]
        score[start : start + here] = best[:here]
        second[start : start + here] = next_best[:here]


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


def compiled_scan() -> Scan | None:
    """`scan` for this processor, None where numba is not installed or does not know this numpy."""
    try:
        import numba
        import numba.extending
    except ImportError:
        return None
    fixed, fixed2 = (numba.types.Array(numba.float32, axes, "C", readonly=True) for axes in (1, 2))
    written, numbers = numba.float32[::1], numba.int32[::1]
    signature = numba.void(fixed2, fixed, fixed2, fixed, written, numbers, written, written)
    for part in (aligned, turn):
        numba.extending.register_jitable(part)
    options: Any = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return numba.njit(signature, cache=True, **options)(scan)
    except (RuntimeError, OSError):  # nowhere to keep what was compiled, or no room there
        return numba.njit(signature, **options)(scan)


class Starter:
    """Compiles once enough work has come together for that to pay; what is found never depends on it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = 0.0
        self._compiled: Scan | None = None

    def __call__(self, scores: int, width: int) -> Scan | None:
        """The compiled scan for `scores` of `width` columns each; None where numpy is to do it."""
        if width > WIDEST:
            return None
        with self._lock:
            before = self._asked
            self._asked += scores * float(width + COMPARED)
            if before < WORTH <= self._asked:
                self._compiled = compiled_scan()
            return self._compiled


compiled_for = Starter()

"""When scores are compared as they are computed, in a loop that numba compiles, instead of written down and read twice by numpy.

With few columns the writing and reading takes longer than the product, with many the loop still outruns the BLAS. Same answers,
since what rounding leaves open is settled afterwards in both cases. numba compiles it (extra `fast`), once for a processor and a
kind of table; where it is not installed, or would take longer to start than it saves, nobody misses it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from vqdoctor.nearest import kernel
from vqdoctor.nearest.kernel import Kind, Scan
from vqdoctor.nearest.scan import Scanned
from vqdoctor.nearest.tiles import Desk

WORTH = 2e11  # multiply-adds asked of this process from which starting pays: numba is there in half a second, once compiled
COMPARED = 24  # multiply-adds that take as long as writing and comparing one score


class Packed(NamedTuple):
    """A table of scores as a scan wants it: `codes` (K″, D″) float32 and `bias` (K″,), filled up to fours, D″ at least to two.

    A score is (x − offset)·code + bias; `offset` is (D,), and what fills up has bias −inf.
    """

    codes: np.ndarray
    bias: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, bias: np.ndarray | float, offset: np.ndarray | None) -> Packed:
        """From codes (K, D), their biases (K,) or one for all, and the offset of the rows, None for 0."""
        size, width = codes.shape
        packed = np.zeros((-(-size // 4) * 4, kernel.padded(width)), np.float32)
        packed[:size, :width] = codes
        biases = np.full(len(packed), -np.inf, np.float32)
        biases[:size] = bias
        return cls(packed, biases, np.zeros(width, np.float32) if offset is None else offset)


class Scans:
    """The scan of each kind of table, compiled when it is first asked for; several threads may ask at once."""

    def __init__(self, compiled: Callable[[Scan], Scan]) -> None:
        self._compiled = compiled
        self._lock = Lock()
        self._kinds: dict[Kind, Scan] = {}

    def of(self, packed: Packed) -> Scan:
        """The one for that table."""
        kind = Kind.of(packed.codes.shape[1])
        with self._lock:
            if kind not in self._kinds:
                self._kinds[kind] = self._compiled(kernel.scan_of(kind))
            return self._kinds[kind]


def best_scores(scans: Scans, rows: np.ndarray, packed: Packed, desk: Desk) -> Scanned:
    """The best of (rows − offset) @ codes.T + bias for rows (b, D) float32, b > 0; on the desk."""
    count = len(rows)
    found = desk.take("found", count, dtype=np.int32)
    energy, score, second = (desk.take(name, count) for name in ("energy", "score", "second"))
    scan = scans.of(packed)
    scan(np.require(rows, np.float32, ["C", "A"]), packed.offset, packed.codes, packed.bias, energy, found, score, second)
    return Scanned(energy, found, score, second)


def numba_scans() -> Scans | None:
    """Scans for this processor, None where numba is not installed or does not know this numpy."""
    try:
        import numba
        import numba.extending
    except ImportError:
        return None
    fixed, fixed2 = (numba.types.Array(numba.float32, axes, "C", readonly=True) for axes in (1, 2))
    written, numbers = numba.float32[::1], numba.int32[::1]
    signature = numba.void(fixed2, fixed, fixed2, fixed, written, numbers, written, written)
    for part in (kernel.aligned, kernel.turn, kernel.either, kernel.knock_out):
        numba.extending.register_jitable(part)
    for inner in (kernel.add, kernel.compare):  # a part of the scan itself, where what it has made is known to be nobody else's
        numba.extending.register_jitable(inline="always")(inner)
    options: Any = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}

    def compiled(scan: Scan) -> Scan:
        try:
            return numba.njit(signature, cache=True, **options)(scan)
        except (RuntimeError, OSError):  # nowhere to keep what was compiled, or no room there
            return numba.njit(signature, **options)(scan)

    return Scans(compiled)


class Starter:
    """Compiles once enough work has come together for that to pay; what is found never depends on it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = 0.0
        self._scans: Scans | None = None

    def __call__(self, scores: int, width: int) -> Scans | None:
        """The scans for `scores` of `width` columns each; None where numpy is to do it."""
        with self._lock:
            before = self._asked
            self._asked += scores * float(width + COMPARED)
            if before < WORTH <= self._asked:
                self._scans = numba_scans()
            return self._scans


compiled_for = Starter()

"""Which codes still are what the random start made them.

A fresh uniform codebook lies inside ±bound; a trained row of some width does so only by chance. So a row whose every entry is
inside counts as untouched, if (1) rows outside show that chance to be negligible, and (2) the entries of the rows inside are spread
like a fresh book's, or like one that weight decay has shrunk, and not like small trained values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vqdoctor.metrics.precision import epsilon
from vqdoctor.metrics.rows import row_blocks
from vqdoctor.model.quantizer import Initialisation

CHANCE = 1e-3
"""A trained row may be inside by chance with at most this probability for the test to count."""

SHAPE_GAP = 0.05
"""Largest distance between the distribution of the entries and the initial one that still counts as the same (Kolmogorov)."""

NARROW = 4
"""With fewer columns than this, single rows inside the support say nothing; a whole book inside still does."""


class Untouched(NamedTuple):
    """rows: indices of the codes still at their start, None where that cannot be told.

    why: the reason then, else how it was told.
    """

    rows: np.ndarray | None
    why: str


def untouched_rows(codes: np.ndarray, initialisation: Initialisation, dtype: str = "float32") -> Untouched:
    """Codes (K, D) still inside their family's initialisation; rows with NaN or infinities never are."""
    if initialisation.kind == "zeros":
        return Untouched(np.flatnonzero((codes == 0).all(axis=1)), "rows that are exactly zero, as the family starts")
    if initialisation.kind == "uniform" and initialisation.bound:
        return _inside_uniform(codes, initialisation.bound * (1 + max(1e-6, epsilon(dtype))))
    reasons = {
        "uniform": "the bound of this family's initialisation is not known for this book",
        "normal": "this family starts from a normal distribution, whose support holds any value",
        "frozen": "this family never trains its codes: all of them are at their start by design",
    }
    return Untouched(None, reasons.get(initialisation.kind, "how this codebook was initialised is not known"))


def looks_initial(codes: np.ndarray, initialisation: Initialisation) -> bool | None:
    """Are the entries of the whole (K, D) book spread like a fresh one's? None where the start has no known distribution.

    Suggestive only: a trained book can look normal. NaN and infinities are left out.
    """
    bound = initialisation.bound
    if not bound or initialisation.kind not in ("uniform", "normal"):
        return None
    values = _thinned(codes.ravel())
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    if initialisation.kind == "uniform":
        expected = np.clip((values / bound + 1) / 2, 0, 1)
    else:
        expected = np.array([0.5 * math.erfc(-value / (bound * math.sqrt(2))) for value in values])
    return _gap(expected) <= _allowed(values.size)


def _inside_uniform(codes: np.ndarray, bound: float) -> Untouched:
    inside = np.empty(len(codes), dtype=bool)
    entries_inside = 0  # of the rows that are not wholly inside
    for block in row_blocks(*codes.shape):
        entries = np.abs(codes[block]) <= bound  # False for NaN
        inside[block] = entries.all(axis=1) & (codes[block] != 0).any(axis=1)  # a zero row was written, not drawn
        entries_inside += int(entries[~inside[block]].sum())
    rows = np.flatnonzero(inside)
    outside, width = len(codes) - len(rows), codes.shape[1]
    if not rows.size:
        return Untouched(rows, "no row is inside the initial range")
    if outside and width < NARROW:
        return Untouched(None, f"with {width} column{'s' * (width > 1)} a trained code is inside the initial range by chance")
    if outside and (entries_inside / (outside * width)) ** width > CHANCE:
        return Untouched(None, "trained codes are so small that they fall inside the initial range by chance")
    values = _thinned(codes[rows].ravel())
    reach = float(np.abs(values).max())
    if _gap((values / reach + 1) / 2) > _allowed(values.size):
        return Untouched(None, "the codes inside the initial range are not spread like initial ones: small, but trained")
    return Untouched(rows, "every entry is inside the initial range, and they are spread like initial ones")


def _thinned(values: np.ndarray, most: int = 1 << 16) -> np.ndarray:
    """Evenly spaced entries, sorted: enough for a shape, cheap for a book of millions. An odd step visits every column."""
    return np.sort(values[:: (values.size // most) | 1].astype(np.float64))


def _gap(expected: np.ndarray) -> float:
    """Kolmogorov distance between sorted values' expected distribution function (n,) and the observed one."""
    steps = np.arange(len(expected) + 1) / len(expected)
    return float(np.maximum(np.abs(expected - steps[1:]), np.abs(expected - steps[:-1])).max())


def _allowed(n: int) -> float:
    """SHAPE_GAP, or the distance that n fair draws pass once in a thousand times."""
    return max(SHAPE_GAP, 1.95 / math.sqrt(n))

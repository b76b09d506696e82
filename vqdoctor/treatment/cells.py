"""One codebook and the rows that come to it: who uses which code, which codes are dead or broken, what a unit of length is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vqdoctor.errors import SampleError
from vqdoctor.metrics import earlier_twin, row_norms, zero_rows
from vqdoctor.nearest import assign
from vqdoctor.treatment.placement import Onto, on_sphere, themselves
from vqdoctor.treatment.request import TreatmentRequest

EVIDENCE = 3
"""Rows a code needed before an unseen one may be called dead: its rate is then under the uniform one at 95 % (theory §1.6)."""


@dataclass(frozen=True)
class Cells:
    """A level before its repair.

    Attributes:
        codes: (K, D) effective codes. rows: (n, D) float32, what the level looks up.
        fitted: (n,) bool, the rows that a repair may learn from; the others judge it.
        metric: "l2" or "cosine". emits_directions: the lookup's result is the code's direction alone.
    """

    codes: np.ndarray
    rows: np.ndarray
    fitted: np.ndarray
    metric: str
    emits_directions: bool = False

    @cached_property
    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Code (n,), −1 for none, and squared distance (n,) of each row."""
        return assign(self.rows, self.codes, self.metric)

    @cached_property
    def hits(self) -> np.ndarray:
        """Rows of each code, (K,) int64."""
        labels = self.found[0]
        return np.bincount(labels[labels >= 0], minlength=len(self.codes))

    @property
    def onto(self) -> Onto:
        """Where codes may lie, in the space in which nearest means Euclidean."""
        return on_sphere if self.metric == "cosine" else themselves

    @cached_property
    def points(self) -> np.ndarray:
        """The fitted rows (m, D) in that space."""
        return self.onto(self.rows[self.fitted])

    def placed(self, codes: np.ndarray) -> np.ndarray:
        """Which of (k, D) codes could be chosen at all, bool."""
        norms = row_norms(codes)
        return np.asarray(norms >= 1e-12) if self.metric == "cosine" else ~np.isnan(norms)

    @cached_property
    def unit_length(self) -> bool:
        """True where the family keeps its codes on the unit sphere."""
        norms = row_norms(self.codes)
        norms = norms[norms > 0]
        return self.metric == "cosine" and (not norms.size or float(np.median(np.abs(norms - 1))) < 1e-3)

    def lengthened(self, codes: np.ndarray, away: np.ndarray | None = None) -> np.ndarray:
        """Codes from the space of `points` back in the book's: directions get the length that serves their rows best.

        Args:
            codes: (m, D). away: squared distances of the points to codes that stay, None: there are none.
        """
        if self.metric != "cosine" or self.unit_length or not len(codes):
            return codes
        norms = row_norms(self.codes)
        typical = float(np.median(norms[norms > 0]))
        if self.emits_directions:
            return codes * np.float32(typical)
        labels, squared = assign(self.points, codes)
        mine = squared < (np.inf if away is None else away)
        along = np.einsum("ij,ij->i", self.rows[self.fitted], codes[labels])
        sizes = np.bincount(labels[mine], minlength=len(codes))
        sums = np.bincount(labels[mine], weights=along[mine], minlength=len(codes))
        lengths = np.where(sizes > 0, sums / np.maximum(sizes, 1), typical)
        return (codes * lengths[:, None]).astype(np.float32)


def dead_codes(hits: np.ndarray, request: TreatmentRequest) -> np.ndarray:
    """Codes (r,) that are unseen, or under the request's threshold.

    Raises:
        SampleError: too few rows to tell; says how many are missing.
    """
    n, size = int(hits.sum()), len(hits)
    if n < EVIDENCE * size:
        what = f"{n:,} rows are too few to call any of {size:,} codes dead: {EVIDENCE * size - n:,} more are needed."
        raise SampleError(what, hint=f"Capture at least {EVIDENCE} rows a code, or re-estimate all codes with --kmeans.")
    least = max(1.0, (request.threshold or 0) * n / size, request.threshold_count or 0)
    return np.flatnonzero(hits < least)


def broken_codes(codes: np.ndarray, metric: str = "l2") -> np.ndarray:
    """(K,) bool: rows with NaN or Inf, of length zero, or bit-equal to an earlier one."""
    norms = row_norms(codes)
    finite = ~np.isnan(norms)
    lost = ~finite | zero_rows(norms) | (finite & (norms < 1e-12) if metric == "cosine" else False)
    return np.asarray(lost | (earlier_twin(codes) != np.arange(len(codes))))

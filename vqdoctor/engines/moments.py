"""Mean and variance of a stream of rows, in pieces that can be put together."""

from __future__ import annotations

import numpy as np


class Moments:
    """Mean and variance of rows, in float64 about the first of them, so that a large common offset costs no digits."""

    def __init__(self) -> None:
        self.n = 0
        self._shift = self._sum = self._squares = np.zeros(0)

    def add(self, rows: np.ndarray) -> None:
        """The next rows, (b, w)."""
        if not len(rows):
            return
        if not self.n:
            self._shift = rows[0].astype(np.float64)
            self._sum, self._squares = np.zeros_like(self._shift), np.zeros_like(self._shift)
        self.n += len(rows)
        apart = rows - self._shift
        self._sum += apart.sum(axis=0)
        self._squares += np.einsum("ij,ij->j", apart, apart)

    def joined(self, other: Moments) -> Moments:
        """Those of both streams: the other's sums, moved to this one's shift."""
        if not self.n or not other.n:
            return self if self.n else other
        both = Moments()
        apart = other._shift - self._shift
        both.n, both._shift = self.n + other.n, self._shift
        both._sum = self._sum + other._sum + other.n * apart
        both._squares = self._squares + other._squares + 2 * apart * other._sum + other.n * apart**2
        return both

    @property
    def mean(self) -> np.ndarray:
        """(w,) float64."""
        return self._shift + self._sum / self.n

    @property
    def variance(self) -> np.ndarray:
        """(w,) float64, over n."""
        return np.maximum(self._squares / self.n - (self._sum / self.n) ** 2, 0)

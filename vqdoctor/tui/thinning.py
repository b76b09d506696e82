"""Curves for a chart: a low and a high a column, raw or smoothed, at a cost that does not grow with the run.

A screen draws while another thread reads, so everything is made from the frozen arrays of a `Series`, never from the store. What is
kept between two pictures (pyramid, smoothed values) only grows with the series; a series that has changed otherwise (old points
were thinned, the log was begun anew) is noticed and done again.

Smoothing is over steps, not points: an exponential mean in which a point counts half after `half_life` steps, corrected for its
start (as in Adam), so that neither the density of the log nor its length changes the curve. Each segment is smoothed by itself.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vqdoctor.logs.pyramid import Pyramid
from vqdoctor.model import Series

Piece = tuple[np.ndarray, np.ndarray]
_FAR = 500.0  # half-lives after which the weights of a block would leave the range of float64
_PROBES = 8


class Thinned:
    """One series, kept from picture to picture. half_life: in steps, 0 for the values as they are."""

    def __init__(self, half_life: float = 0.0) -> None:
        self.half_life = half_life
        self._pyramid = Pyramid()
        self._values = np.empty(0)  # as drawn: smoothed where that is asked
        self._probes: list[tuple[int, float, float]] = []
        self._sums = (0.0, 0.0)  # at the last point: weighted values, weights

    def pieces(self, series: Series, first: float, last: float, width: int) -> tuple[Piece, ...]:
        """The unbroken pieces of the curve from step `first` to `last`, at most about two points a column of `width`."""
        self._follow(series)
        starts = series.starts.tolist()
        if not len(series.steps) or not last >= first:
            return ()
        bins = self._pyramid.bins(series.steps, self._drawn(series), starts, first, last, max(1, width))
        return tuple(
            _zigzag(bins.steps[a:b], bins.lows[a:b], bins.highs[a:b]) for a, b in pairwise([*bins.starts, len(bins.steps)])
        )

    def at(self, series: Series, step: float | None) -> float | None:
        """The value at a step: of the last point that is not after it, in the newest segment that has one; None before them all."""
        if not len(series.steps):
            return None
        self._follow(series)
        values = self._drawn(series)
        if step is None:
            return float(values[-1])
        for begin, end in reversed(list(pairwise([*series.starts.tolist(), len(series.steps)]))):
            place = begin + int(np.searchsorted(series.steps[begin:end], step, side="right")) - 1
            if place >= begin:
                return float(values[place])
        return None

    def _drawn(self, series: Series) -> np.ndarray:
        return self._values if self.half_life else series.values

    def _follow(self, series: Series) -> None:
        """Take in what the series has more than at the last look."""
        n = len(series.values)
        if any(i >= n or series.steps[i] != step or series.values[i] != value for i, step, value in self._probes):
            self._pyramid.clear()
            self._values = np.empty(0)
            self._sums = (0.0, 0.0)
        self._probes = [
            (i, float(series.steps[i]), float(series.values[i])) for i in np.linspace(0, n - 1, _PROBES).astype(int).tolist() if n
        ]
        if self.half_life and len(self._values) < n:
            self._values = np.concatenate([self._values, self._smoothed(series, len(self._values))])

    def _smoothed(self, series: Series, done: int) -> np.ndarray:
        """The smoothed values from index `done` on."""
        n = len(series.values)
        inner = series.starts[(series.starts > done) & (series.starts < n)].tolist()
        out = []
        for begin, end in pairwise([done, *inner, n]):
            fresh = begin == 0 or begin in series.starts
            before = float(series.steps[begin] if fresh else series.steps[begin - 1])
            sums = (0.0, 0.0) if fresh else self._sums
            smooth, self._sums = smoothed(series.steps[begin:end], series.values[begin:end], self.half_life, before, sums)
            out.append(smooth)
        return np.concatenate(out)


def smoothed(
    steps: np.ndarray, values: np.ndarray, half_life: float, before: float, sums: tuple[float, float] = (0.0, 0.0)
) -> tuple[np.ndarray, tuple[float, float]]:
    """Exponential means: Σ w·value / Σ w over the points so far, w = 2^(−age / half_life).

    Args:
        steps, values: (n,) float64, steps never fall. half_life: in steps, above 0.
        before, sums: the step at which `sums` (of w·value, of w) held.

    Returns:
        (n,) float64, and the sums at the last step.
    """
    out = np.empty(len(values))
    done = 0
    while done < len(values):
        end = max(done + 1, int(np.searchsorted(steps, steps[done] + _FAR * half_life, side="right")))
        ages = (steps[done:end] - steps[done]) / half_life
        growth = np.exp2(ages)
        carried = np.exp2(-(steps[done] - before) / half_life)
        tops = sums[0] * carried + np.cumsum(values[done:end] * growth)
        weights = sums[1] * carried + np.cumsum(growth)
        out[done:end] = tops / weights
        before = float(steps[end - 1])
        sums = (float(tops[-1] / growth[-1]), float(weights[-1] / growth[-1]))
        done = end
    return out, sums


def _zigzag(steps: np.ndarray, lows: np.ndarray, highs: np.ndarray) -> Piece:
    """Both values of each column, one where they are the same; up in one, down in the next: the line stays short."""
    both = np.stack([lows, highs], axis=1)
    both[1::2] = both[1::2, ::-1]
    both = both.ravel()
    kept = np.stack([np.ones(len(lows), bool), highs > lows], axis=1).ravel()
    return np.repeat(steps, 2)[kept], both[kept]

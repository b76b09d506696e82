"""One codebook, made ready for search once and searched tile by tile.

With m a fixed offset (the median code), ``‖x−c‖² = ‖x−m‖² − 2·s`` where ``s = (x−m)·(c−m) − ½‖c−m‖²``: the nearest code has the
largest s, one matrix product away (the −½‖c−m‖² is a last column of the table, against a column of ones). Subtracting m changes
no distance and saves the digits that a large common mean would eat; the median, because a few blown-up codes would drag a mean
away.

Where m is small beside the codes it is left out, which saves a pass over the rows.

What float32 rounds away cannot change the answer: every s is off by at most ``γ(‖x‖‖c‖ + ½‖c‖²)``, ``γ = (D+8)·2⁻²⁴`` (Higham,
Accuracy and Stability of Numerical Algorithms, §3.1), a code that could really be nearest has ``‖c‖ ≤ ‖x‖ + d``, and the few rows
with several codes inside that window are compared again in float64.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from vqdoctor.nearest import fused
from vqdoctor.nearest.scan import Scanned, best_scores, even_parts, products
from vqdoctor.nearest.tiles import Desk

NO_DIRECTION = 1e-12  # a shorter row has no direction to compare (theory §0)
TOO_LARGE = 1e18  # the square of a longer code would not be a float32
UNDERFLOW = np.finfo(np.float32).tiny  # below it, rounding is no longer relative
SCORES = 1 << 20  # that stand in memory at a time where a row is scored against all codes at once
PAIRS = 1 << 19  # float64 elements that a second look works on at a time
OFFSET_CODES = 256  # codes that the offset is taken from
WORTH_MOVING = 0.2  # length of the offset, in typical norms, from which subtracting it saves digits worth the time


class Book:
    """A codebook ready for search.

    Args:
        codes: (K, D), any float type. Rows with NaN or Inf, or longer than 1e18, are never chosen, for "cosine" neither are rows
            shorter than 1e-12. Of bit-equal rows the first is chosen.
        metric: "l2", "cosine" or "dot".
    """

    def __init__(self, codes: np.ndarray, metric: str = "l2") -> None:
        if metric not in ("l2", "cosine", "dot"):
            raise ValueError(f"no such lookup metric: {metric!r}")
        self.codes = np.ascontiguousarray(codes, dtype=np.float32)
        self.metric = metric
        self.size, self.width = self.codes.shape
        norms = _norms(self.codes)
        usable = (norms < TOO_LARGE) & ((norms >= NO_DIRECTION) | (metric != "cosine"))
        self.kept, self.copies = _first_copies(self.codes, np.flatnonzero(usable))
        points = self.codes[self.kept]
        self._norms = norms[self.kept]
        self.offset = _middle(points, self._norms) if metric == "l2" else None
        table, self._widest = self._table(points)
        self.table = np.ascontiguousarray(table.T)  # a product with rows of D+1 that are turned on the fly costs a tenth more
        self._rounding = (self.width + 8) * 2.0**-24

    def _table(self, points: np.ndarray) -> tuple[np.ndarray, np.float32]:
        """The right-hand side of the product, code by code, (K', D) or (K', D+1), and the largest norm in it."""
        if self.metric == "cosine":
            return (points / self._norms[:, None]).astype(np.float32), np.float32(1)
        if self.metric == "dot":
            return points, np.float32(self._norms.max(initial=0))
        table = np.empty((len(points), self.width + 1), np.float32)
        table[:, :-1] = points if self.offset is None else points - self.offset
        norms = _norms(table[:, :-1])
        table[:, -1] = -0.5 * norms**2
        return table, np.float32(norms.max(initial=0))

    @cached_property
    def packed(self) -> fused.Packed:
        """The table as the compiled scan wants it."""
        if self.metric == "l2":
            return fused.Packed.of(self.table[:-1].T, self.table[-1], self.offset)
        return fused.Packed.of(self.table.T, 0, None)

    def search(self, rows: np.ndarray, desk: Desk, scans: fused.Scans | None = None) -> np.ndarray:
        """The nearest code of each row.

        Args:
            rows: (b, D) float32.
            desk: working memory, of which about ``b·D + 2²⁰`` floats are used.
            scans: what scans the scores; None: numpy does.

        Returns:
            codes (b,) int64, −1 where the row has no nearest code (not finite, too large, no direction, no usable code).
        """
        if not len(self.kept):
            return np.full(len(rows), -1, np.int64)
        energy, found, best, second = self._scan(rows, desk) if scans is None else fused.best_scores(scans, rows, self.packed, desk)
        fit = np.isfinite(energy) if self.metric != "cosine" else np.isfinite(energy) & (energy >= NO_DIRECTION**2)
        least = best - self._slack(energy, best)
        self._settle(rows, found, least, np.flatnonzero(fit & (second >= least)), desk)
        codes = self.kept[found]
        codes[~fit] = -1
        return codes

    def _scan(self, rows: np.ndarray, desk: Desk) -> Scanned:
        inputs = self._inputs(rows, desk)
        return Scanned(energies(inputs[:, : self.width]), *best_scores(inputs, self.table, desk))

    def _inputs(self, rows: np.ndarray, desk: Desk) -> np.ndarray:
        """The left-hand side of the product, (b, D) or (b, D+1), on the desk."""
        inputs = desk.take("inputs", len(rows), len(self.table))
        if self.offset is None:
            inputs[:, : self.width] = rows
        else:
            np.subtract(rows, self.offset, out=inputs[:, : self.width])
        inputs[:, self.width :] = 1
        return inputs

    def _slack(self, energy: np.ndarray, best: np.ndarray) -> np.ndarray:
        """How far below the best score (b,) the true winner's may lie, both rounded; `energy` (b,): squared row norms."""
        norm = np.sqrt(energy)
        if self.metric != "l2":
            return self._rounding * self._widest * 2 * norm + UNDERFLOW
        reach = np.minimum(norm + np.sqrt(np.maximum(energy - 2 * best, 0)), self._widest)
        return self._rounding * reach * (2 * norm + reach) + UNDERFLOW

    def _settle(self, rows: np.ndarray, found: np.ndarray, least: np.ndarray, among: np.ndarray, desk: Desk) -> None:
        """Puts the true winner into `found` for the rows `among` (r,), which rounding leaves more than one candidate.

        Their scores are worked out again: to keep those of all rows for the sake of a few would cost more.
        """
        for part in even_parts(len(among), max(1, SCORES // len(self.kept))):
            again = among[part]
            close = products(self._inputs(rows[again], desk), self.table, desk) >= least[again, None]
            widest = int(np.count_nonzero(close, axis=1).max())
            for few in even_parts(len(again), max(1, PAIRS // (self.width * widest))):
                found[again[few]] = self._second_look(rows[again[few]], close[few])

    def _second_look(self, rows: np.ndarray, close: np.ndarray) -> np.ndarray:
        """Which of the candidates `close` (r, K') is best for each row, in float64; the first of equals."""
        row, column = np.nonzero(close)
        left = rows[row].astype(np.float64)
        right = self.codes[self.kept[column]].astype(np.float64)
        if self.metric == "l2":
            left -= right
            exact = -np.einsum("ij,ij->i", left, left)
        else:
            exact = np.einsum("ij,ij->i", left, right)
            if self.metric == "cosine":
                exact /= self._norms[column]
        starts = np.searchsorted(row, np.arange(len(rows)))
        best = np.maximum.reduceat(exact, starts)
        winners = np.flatnonzero(exact == best[row])
        return column[winners[np.searchsorted(row[winners], np.arange(len(rows)))]]

    def soften(self, rows: np.ndarray, codes: np.ndarray, temperature: float, desk: Desk) -> np.ndarray:
        """Σ over rows of softmax(−d²/T), (K,) float64: what a soft lookup would use.

        d² differs from −2·score by what is the same for all codes of a row, which drops out; "dot" is softened by its own score.
        An unusable code has 0, copies of a code have equal shares, rows without a code (−1 in `codes`) are left out.
        """
        shares = np.zeros(self.size)
        usable = self.copies >= 0
        heads = np.bincount(self.copies[usable], minlength=len(self.kept)).astype(np.float32)
        assigned = rows[codes >= 0]
        for part in even_parts(len(assigned), max(1, SCORES // max(1, len(self.kept)))):
            inputs = self._inputs(assigned[part], desk)
            scores = products(inputs, self.table, desk)
            scores -= scores.max(axis=1, keepdims=True)
            scores *= 2 / temperature
            if self.metric == "cosine":
                scores /= np.sqrt(energies(inputs))[:, None]
            np.exp(scores, out=scores)
            shares[usable] += ((1 / (scores @ heads)) @ scores)[self.copies[usable]]
        return shares


def energies(rows: np.ndarray) -> np.ndarray:
    """Squared norms (n,) of rows (n, D): a product of each row with itself, which the BLAS does faster than `einsum`."""
    return np.matmul(rows[:, None, :], rows[:, :, None])[:, 0, 0]


def _norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean norms (n,) float64 of (n, D) rows, without a float64 copy of them all; inf or NaN where a row is not finite."""
    norms = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            norms[start : start + 1024] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return norms


def _middle(points: np.ndarray, norms: np.ndarray) -> np.ndarray | None:
    """The coordinate-wise median (D,) float32 of up to OFFSET_CODES evenly spaced rows; None if small beside their norms."""
    if not len(points):
        return None
    step = -(-len(points) // OFFSET_CODES)
    middle = np.median(points[::step], axis=0).astype(np.float32)
    return middle if _norms(middle[None])[0] > WORTH_MOVING * np.median(norms[::step]) else None


def _all_begin_differently(columns: np.ndarray) -> bool:
    """Whether no two rows of (n, 1 or 2) float32 have the same bits, which is quick to tell: a row is one number."""
    rows = np.sort(np.ascontiguousarray(columns).view(f"u{columns[:1].nbytes or 4}"), axis=None)
    return not (rows[1:] == rows[:-1]).any()


def _first_copies(codes: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of bit-equal `usable` rows only the first is searched.

    Returns:
        kept (K',) int64, ascending row numbers; copies (K,) int64, where in `kept` each row's first copy is, −1 for unusable rows.
    """
    copies = np.full(len(codes), -1, np.int64)
    if _all_begin_differently(codes[usable, :2]):
        copies[usable] = np.arange(len(usable))
        return usable, copies
    whole = np.ascontiguousarray(codes[usable]).view(np.dtype((np.void, codes.shape[1] * codes.itemsize)))[:, 0]
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    copies[usable] = rank[inverse]
    return usable[first[order]], copies

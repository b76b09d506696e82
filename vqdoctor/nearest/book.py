"""One codebook, made ready for search once and searched tile by tile.

With m a fixed offset (the median code), ``‖x−c‖² = ‖x−m‖² − 2·s`` where ``s = (x−m)·(c−m) − ½‖c−m‖²``: the nearest code has the
largest s, one matrix product away (the −½‖c−m‖² is a last column of the table, against a column of ones). Subtracting m changes
no distance and saves the digits that a large common mean would eat; the median, because a few blown-up codes would drag a mean
away.

What float32 rounds away cannot change the answer: every s is off by at most ``γ(‖x‖‖c‖ + ½‖c‖²)``, ``γ = (D+8)·2⁻²⁴`` (Higham,
Accuracy and Stability of Numerical Algorithms, §3.1), a code that could really be nearest has ``‖c‖ ≤ ‖x‖ + d``, and the few rows
with several codes inside that window are compared again in float64.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.nearest.tiles import Desk

NO_DIRECTION = 1e-12  # a shorter row has no direction to compare (theory §0)
TOO_LARGE = 1e18  # the square of a longer code would not be a float32
UNDERFLOW = np.finfo(np.float32).tiny  # below it, rounding is no longer relative
PAIRS = 1 << 19  # float64 elements that a second look works on at a time
OFFSET_CODES = 256  # codes that the offset is taken from


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
        self.offset = _middle(points) if metric == "l2" and len(points) else None
        self._norms = norms[self.kept]
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
        if self.offset is not None:
            np.subtract(points, self.offset, out=table[:, :-1])
        norms = _norms(table[:, :-1])
        table[:, -1] = -0.5 * norms**2
        return table, np.float32(norms.max(initial=0))

    def search(self, rows: np.ndarray, desk: Desk) -> np.ndarray:
        """The nearest code of each row.

        Args:
            rows: (b, D) float32.
            desk: keeps the scores, for :meth:`soften`.

        Returns:
            codes (b,) int64, −1 where the row has no nearest code (not finite, too large, no direction, no usable code).
        """
        count = len(rows)
        if not len(self.kept):
            return np.full(count, -1, np.int64)
        inputs = desk.take("inputs", count, len(self.table))
        points = inputs[:, : self.width]
        if self.offset is None:
            points[:] = rows
        else:
            np.subtract(rows, self.offset, out=points)
            inputs[:, -1] = 1
        energy = np.einsum("ij,ij->i", points, points)
        fit = np.isfinite(energy) if self.metric != "cosine" else np.isfinite(energy) & (energy >= NO_DIRECTION**2)
        scores = np.matmul(inputs, self.table, out=desk.take("scores", count, len(self.kept)))
        found = scores.argmax(axis=1)
        self._settle(rows, scores, found, energy, fit)
        codes = self.kept[found]
        codes[~fit] = -1
        return codes

    def _settle(self, rows: np.ndarray, scores: np.ndarray, found: np.ndarray, energy: np.ndarray, fit: np.ndarray) -> None:
        """Puts the true winner into `found` wherever rounding leaves a `fit` row more than one candidate."""
        flat, firsts = scores.reshape(-1), np.arange(0, scores.size, scores.shape[1])
        winners = firsts + found
        best = flat[winners]
        flat[winners] = -np.inf  # so that the next best is one more pass over scores that are in the cache
        second = flat[firsts + scores.argmax(axis=1)]
        flat[winners] = best
        norm = np.sqrt(energy)
        if self.metric == "l2":
            reach = np.minimum(norm + np.sqrt(np.maximum(energy - 2 * best, 0)), self._widest)
            slack = self._rounding * reach * (2 * norm + reach)
        else:
            slack = self._rounding * self._widest * 2 * norm
        least = best - (slack + UNDERFLOW)
        open_rows = np.flatnonzero(fit & (second >= least))
        if not len(open_rows):
            return
        close = scores[open_rows] >= least[open_rows, None]
        step = max(1, PAIRS // (self.width * int(np.count_nonzero(close, axis=1).max())))
        for start in range(0, len(open_rows), step):
            part = open_rows[start : start + step]
            found[part] = self._second_look(rows[part], close[start : start + step])

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
        """Σ over rows of softmax(−d²/T), (K,) float64: what a soft lookup would use. To be called right after :meth:`search`.

        d² differs from −2·score by what is the same for all codes of a row, which drops out; "dot" is softened by its own score.
        An unusable code has 0, copies of a code have equal shares, unassigned rows are left out.
        """
        shares = np.zeros(self.size)
        here = codes >= 0
        if not here.any():
            return shares
        scores = desk.take("scores", len(rows), len(self.kept))[here]
        scores -= scores.max(axis=1, keepdims=True)
        scores *= 2 / temperature
        if self.metric == "cosine":
            scores /= np.sqrt(np.einsum("ij,ij->i", rows[here], rows[here]))[:, None]
        np.exp(scores, out=scores)
        usable = self.copies >= 0
        heads = np.bincount(self.copies[usable], minlength=len(self.kept)).astype(np.float32)
        shares[usable] = ((1 / (scores @ heads)) @ scores)[self.copies[usable]]
        return shares


def _norms(rows: np.ndarray) -> np.ndarray:
    """Euclidean norms (n,) float64 of (n, D) rows, without a float64 copy of them all; inf or NaN where a row is not finite."""
    norms = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            norms[start : start + 1024] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return norms


def _middle(points: np.ndarray) -> np.ndarray:
    """The coordinate-wise median (D,) float32 of up to OFFSET_CODES evenly spaced rows."""
    return np.median(points[:: -(-len(points) // OFFSET_CODES)], axis=0).astype(np.float32)


def _first_copies(codes: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of bit-equal `usable` rows only the first is searched.

    Returns:
        kept (K',) int64, ascending row numbers; copies (K,) int64, where in `kept` each row's first copy is, −1 for unusable rows.
    """
    copies = np.full(len(codes), -1, np.int64)
    if not len(usable):
        return usable, copies
    whole = np.ascontiguousarray(codes[usable]).view(np.dtype((np.void, codes.shape[1] * codes.itemsize)))[:, 0]
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    copies[usable] = rank[inverse]
    return usable[first[order]], copies

"""Where k-means starts: greedy k-means++ (Arthur, Vassilvitskii 2007), each seed the best of a few rows drawn ∝ their squared
distance to the seeds so far.

Seeds decide the result, and the textbook spends its time on thin products, a few candidates against all rows at a time. But a
candidate can only improve rows that are nearer to it than to every seed: all of them at first, about n/s when s seeds stand. So
after the first seeds one pass over all pairs keeps those that can still matter, and every later step touches a few hundred
numbers. What is drawn and chosen is the same, and more can be tried.
"""

from __future__ import annotations

import math

import numpy as np

FIRST = 32  # seeds before the pairs are listed
MOST_PAIRS = 4 << 20  # that are listed, about 150 MiB at most; until so few are left, more seeds are chosen the long way
BLOCK = 1 << 22  # products at a time, 16 MiB
MORE_TRIALS = 6  # times the textbook's candidates a step, once they cost next to nothing: 4 % less inertia at 16 rows a centre
SAMPLED = 128  # rows whose pairs are counted to foretell all


class Seeding:
    """Greedy k-means++ under way.

    Args:
        points: (n, D) float32, finite. trials: candidates a step, MORE_TRIALS times as many once pairs are listed.

    Attributes:
        chosen: row numbers of the seeds so far. left: (n,) float32, squared distance of each row to the nearest of them.
    """

    def __init__(self, points: np.ndarray, trials: int, rng: np.random.Generator) -> None:
        self._points, self._trials, self._rng = points, trials, rng
        self._energy = np.einsum("ij,ij->i", points, points)
        self._near: Near | None = None
        self.chosen = [int(rng.integers(len(points)))]
        self.left = self._distances(np.array(self.chosen))[0]
        self.left[self.chosen] = 0

    def grow(self, k: int) -> None:
        """Chooses until there are k seeds. Fewer different rows than that: any others."""
        check = FIRST
        while len(self.chosen) < k:
            drawn = self._drawn()
            if drawn is None:
                others = np.setdiff1d(np.arange(len(self._points)), self.chosen)
                self.chosen += self._rng.choice(others, k - len(self.chosen), replace=False).tolist()
                return
            if self._near is None and len(self.chosen) >= check and self._worth_listing(k):
                check *= 2
                self._near = near_pairs(self._points, self._energy, self.left)
            best = self._step(drawn)
            self.left[best] = 0
            self.chosen.append(best)

    def _worth_listing(self, k: int) -> bool:
        """Whether all pairs are fewer products than the candidates that are still to come."""
        return len(self._points) < 2 * self._trials * (k - len(self.chosen))

    def _drawn(self) -> np.ndarray | None:
        """Candidates (t,), rows drawn ∝ what is left of them; None where nothing is."""
        mass = np.cumsum(self.left, dtype=np.float64)
        if mass[-1] <= 0:
            return None
        trials = self._trials * (1 if self._near is None else MORE_TRIALS)
        return np.minimum(np.searchsorted(mass, self._rng.random(trials) * mass[-1], side="right"), len(mass) - 1)

    def _step(self, drawn: np.ndarray) -> int:
        """The best of the candidates, after which less is left."""
        if self._near is not None:
            return self._near.step(drawn, self.left)
        after = np.minimum(self.left, self._distances(drawn))
        best = int(after.sum(axis=1, dtype=np.float64).argmin())
        self.left = after[best]
        return int(drawn[best])

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        """Squared distances (t, n) of rows (t,) to all."""
        table = self._points[rows] @ self._points.T
        table *= -2
        table += self._energy
        table += self._energy[rows, None]
        return np.maximum(table, 0, out=table)


class Near:
    """The pairs of a candidate and a row that is nearer to it than to every seed, candidate by candidate.

    Args:
        counts: (n,) pairs of each candidate. rows: (p,) int32. squared: (p,) float32, their distances.
    """

    def __init__(self, counts: np.ndarray, rows: np.ndarray, squared: np.ndarray) -> None:
        self._ends = np.cumsum(counts)
        self._counts, self._rows, self._squared = counts, rows, squared

    def step(self, drawn: np.ndarray, left: np.ndarray) -> int:
        """The candidate that leaves least; its rows' part of `left` is lowered."""
        counts = self._counts[drawn]
        stops = np.cumsum(counts)
        at = np.arange(stops[-1]) + np.repeat(self._ends[drawn] - stops, counts)
        gains = np.maximum(left[self._rows[at]] - self._squared[at], 0)
        total = np.add.reduceat(np.append(gains, np.float32(0)), stops - counts, dtype=np.float64)
        best = int(drawn[np.where(counts, total, 0).argmax()])
        mine = slice(self._ends[best] - self._counts[best], self._ends[best])
        rows = self._rows[mine]
        left[rows] = np.minimum(left[rows], self._squared[mine])
        return best


def near_pairs(points: np.ndarray, energy: np.ndarray, left: np.ndarray) -> Near | None:
    """All pairs (c, x) with ‖c−x‖² < left(x); None where a sample foretells more than MOST_PAIRS."""
    n, halves, ones = len(points), (-0.5 * energy)[:, None], np.ones((len(points), 1), np.float32)
    ahead, behind = np.hstack([points, ones, halves]), np.hstack([points, halves, ones])  # their product is −½‖c−x‖²
    least = -0.5 * left
    sample = ahead[:: max(1, n // SAMPLED)]
    if np.count_nonzero(sample @ behind.T > least) * n > MOST_PAIRS * len(sample):
        return None
    parts = []
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        stop = min(start + step, n)  # a distance is the same both ways: those to earlier rows are known from their own block
        scores = ahead[start:stop] @ behind[start:].T
        close = scores > least[start:]
        close |= scores > least[start:stop, None]
        at = np.flatnonzero(close)
        first, second = np.divmod(at, n - start)
        first, second, found = (first + start).astype(np.int32), (second + start).astype(np.int32), scores.reshape(-1)[at]
        there, back = found > least[second], (found > least[first]) & (second >= stop)
        parts.append((first[there], second[there], found[there]))
        parts.append((second[back], first[back], found[back]))
    candidates, rows, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(candidates, kind="stable")
    return Near(np.bincount(candidates, minlength=n), rows[order], np.maximum(-2 * scores[order], 0))


def draw_seeds(points: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers (k,) of k seeds among points (n, D) float32, finite, n ≥ k."""
    seeding = Seeding(points, 2 + int(math.log(k)), rng)
    seeding.grow(k)
    return np.array(seeding.chosen)

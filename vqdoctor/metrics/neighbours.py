"""Which codes lie so close together that they are one code in all but name.

The nearest other code of each code is found exactly: candidates by float32 products in blocks, each pair of codes multiplied once,
distances in float64, and a second search in float64 for the rows whose distance is so small beside their norm that float32 could
have misled it. Memory stays under 64 MiB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np

from vqdoctor.metrics.rows import median, row_blocks

Share = Callable[[int, int, Callable[[slice], None]], None]
"""How a loop over rows is gone through: (rows, rows a run, work on one run). With threads, as long as BLAS has only one."""

MOST_WORK = 32768**2 * (256 + 32)
"""Pairs × (D + 32), seconds of work. A larger book is not searched: its near-duplicates are unmeasured, and that is said."""

CLOSENESS = 0.1
"""ρ: codes nearer than this share of the typical nearest distance are near-duplicates."""

_ROWS, _SCORES = 256, 1 << 20  # most rows and scores of one product: 4 MiB in float32, so that maxima are taken while in cache
_COLUMNS = 8192  # most rows on the other side of one product in float64
_WORTH_SHARING = 1 << 26  # multiply-adds below which threads cost more than they save
_SAMPLED = 1024  # rows whose pairwise distances give the typical distance
_DOUBTFUL = 1e-4  # squared distance over squared norm below which float32 products may pick the wrong neighbour


class Neighbours(NamedTuple):
    """Nearest other row of each row: nearest (m,) int64, −1 where there is none, and distance (m,) float64, NaN there."""

    nearest: np.ndarray
    distance: np.ndarray


class Closeness(NamedTuple):
    """components: groups of rows linked by distances under `link`.

    scale: the typical nearest distance. labels: (m,) the first row of a row's group.
    """

    components: int
    scale: float
    link: float
    labels: np.ndarray


def in_turn(count: int, step: int, work: Callable[[slice], None]) -> None:
    """The Share without threads: one run after the other."""
    for start in range(0, count, step):
        work(slice(start, min(start + step, count)))


def nearest_others(rows: np.ndarray, share: Share = in_turn) -> Neighbours:
    """Nearest other row of each of (m, D) finite rows, Euclidean."""
    count = len(rows)
    if count < 2:
        return Neighbours(np.full(count, -1), np.full(count, np.nan))
    every = np.arange(count)
    centre = rows.mean(axis=0, dtype=np.float64)
    radius = distances(rows, every, centre)
    unit = float(radius.max()) or 1.0  # in this unit no square over- or underflows
    share = share if count * rows.size > _WORTH_SHARING else in_turn
    index = _search_all(_lifted(rows, centre, unit, np.float32), share)
    distance = distances(rows, every, index)
    doubtful = np.flatnonzero(distance**2 < _DOUBTFUL * radius**2)
    if doubtful.size:
        index[doubtful] = _search_some(rows, doubtful, centre, unit, share)
        distance[doubtful] = distances(rows, doubtful, index[doubtful])
    return Neighbours(index, distance)


def searchable(codes: int, dim: int) -> bool:
    """Is the search over all pairs a matter of seconds? Every book up to 32768 × 256 is."""
    return codes**2 * (dim + 32) <= MOST_WORK


def distances(rows: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Distance of rows[here] from rows[there] (indices), or from one point `there` (D,) float: (len(here),) float64."""
    result = np.empty(len(here))
    for block in row_blocks(len(here), rows.shape[1]):
        target = rows[there[block]] if there.dtype.kind == "i" else there
        gap = rows[here[block]].astype(np.float64) - target
        result[block] = np.sqrt(np.einsum("kd,kd->k", gap, gap))
    return result


def near_duplicates(rows: np.ndarray, nearest: Neighbours) -> Closeness:
    """Groups of (m, D) rows linked by distances below ρ × the typical nearest distance.

    The typical distance is the median over rows that have no copy (distance above 1e-6 × the median pairwise distance): the plain
    median is 0 once half the rows coincide. The median pairwise distance is taken over at most 1024 evenly spaced rows.
    """
    count = len(rows)
    if count < 2:
        return Closeness(count, 0.0, 0.0, np.arange(count))
    typical = _median_pairwise(rows)
    apart = nearest.distance[nearest.distance > 1e-6 * typical]
    scale = median(apart) if apart.size else typical
    link = max(CLOSENESS * scale, 1e-6 * max(typical, 1e-30))
    labels = np.arange(count)
    close = np.flatnonzero(nearest.distance < link)
    labels[close] = close[_linked(rows[close], link)]
    return Closeness(int((labels == np.arange(count)).sum()), scale, link, labels)


def _median_pairwise(rows: np.ndarray) -> float:
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLED)).astype(np.int64)].astype(np.float64)
    chosen -= chosen.mean(axis=0)
    squared = _squared_distances(chosen, chosen)
    return math.sqrt(median(squared[~np.tri(len(chosen), dtype=bool)]))


def _squared_distances(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    squared = here @ there.T
    squared *= -2
    squared += np.einsum("kd,kd->k", here, here)[:, None]
    squared += np.einsum("kd,kd->k", there, there)
    return np.maximum(squared, 0, out=squared)


def _lifted(rows: np.ndarray, centre: np.ndarray, unit: float, dtype: type) -> np.ndarray:
    """(m, D+2): the centred rows x in `unit`, then −½‖x‖² and 1. With these two swapped on one side, a product of two is −½d²."""
    points = np.ones((len(rows), rows.shape[1] + 2), dtype=dtype)
    for block in row_blocks(*rows.shape):
        points[block, :-2] = (rows[block] - centre) / unit
    points[:, -2] = -0.5 * np.einsum("kd,kd->k", points[:, :-2], points[:, :-2])
    return points


def _swapped(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points[:, :-2], points[:, :-3:-1]], axis=1)


def _rows_a_run(columns: int) -> int:
    return max(1, min(_ROWS, _SCORES // columns))


def _search_all(points: np.ndarray, share: Share) -> np.ndarray:
    """Index of the nearest other of each of the (m, D+2) points, every pair multiplied once.

    A run of rows is multiplied with itself and all that follow. Along the scores lies the nearest of a row's own run and later
    ones. Across them only the largest score is taken, with the run it is from (a position would cost a copy of the scores): that
    run is multiplied again with the rows whose nearest is in it. Of equally near points the first wins.
    """
    count = len(points)
    step = _rows_a_run(count)
    score, index = np.empty(count, points.dtype), np.empty(count, np.int64)
    before, run = np.full(count, -np.inf, points.dtype), np.full(count, count)  # best of earlier runs, and where that run begins
    lock = Lock()

    def work(part: slice) -> None:
        products = _swapped(points[part]) @ points[part.start :].T
        own = np.arange(len(products))
        products[own, own] = -np.inf
        found = products.argmax(axis=1)
        score[part], index[part] = products[own, found], found + part.start
        across = products[:, len(own) :].max(axis=0)
        later = slice(part.stop, count)
        with lock:
            better = (across > before[later]) | ((across == before[later]) & (part.start < run[later]))
            before[later][better], run[later][better] = across[better], part.start

    share(count, step, work)
    run[before < score] = count
    for start in range(0, count, step):
        rows = np.flatnonzero(run == start)
        if rows.size:
            index[rows] = start + (points[rows] @ _swapped(points[start : start + step]).T).argmax(axis=1)
    return index


def _search_some(rows: np.ndarray, asked: np.ndarray, centre: np.ndarray, unit: float, share: Share) -> np.ndarray:
    """Index of the nearest other of each of rows[asked], among all (m, D) rows, by float64 products."""
    best, index = np.full(len(asked), -np.inf), np.full(len(asked), -1)
    for left in range(0, len(rows), _COLUMNS):
        others = _lifted(rows[left : left + _COLUMNS], centre, unit, np.float64)

        def work(part: slice, left: int = left, others: np.ndarray = others) -> None:
            here = asked[part]
            products = _swapped(_lifted(rows[here], centre, unit, np.float64)) @ others.T
            own = np.flatnonzero((here >= left) & (here < left + len(others)))
            products[own, here[own] - left] = -np.inf
            found = products.argmax(axis=1)
            score = products[np.arange(len(here)), found]
            better = score > best[part]
            best[part][better], index[part][better] = score[better], found[better] + left

        share(len(asked), _rows_a_run(len(others)), work)
    return index


def _linked(rows: np.ndarray, link: float) -> np.ndarray:
    """For each of (m, D) rows the lowest row number of its group, where rows closer than `link` are in one group."""
    points = rows.astype(np.float64)
    points -= points.mean(axis=0) if len(points) else 0
    labels = np.arange(len(points))
    for start in range(0, len(points), _ROWS):
        near = _squared_distances(points[start : start + _ROWS], points) < link * link
        for row in near:
            groups = labels[row]
            if (groups != groups[0]).any():
                labels[np.isin(labels, groups)] = groups.min()
    return labels

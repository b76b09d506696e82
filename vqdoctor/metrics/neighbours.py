"""Which codes lie so close together that they are one code in all but name.

The nearest other code of each code is found exactly: candidates by float32 products in blocks, distances in float64, and a second
search in float64 for the rows whose distance is so small beside their norm that float32 could have misled it. Memory stays under 64
MiB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vqdoctor.metrics.rows import row_blocks

MOST_WORK = 32768**2 * (256 + 32)
"""Pairs × (D + 32), seconds of work. A larger book is not searched: its near-duplicates are unmeasured, and that is said."""

CLOSENESS = 0.1
"""ρ: codes nearer than this share of the typical nearest distance are near-duplicates."""

_ROWS, _COLUMNS = 256, 8192  # of one block of products: 8 MiB in float32, so that the maximum is taken while it is in cache
_SAMPLED = 1024  # rows whose pairwise distances give the typical distance
_DOUBTFUL = 1e-4  # squared distance over squared norm below which float32 products may pick the wrong neighbour


class Neighbours(NamedTuple):
    """Nearest other row of each row: nearest (m,) int64, −1 where there is none, and distance (m,) float64, NaN there."""

    nearest: np.ndarray
    distance: np.ndarray


class Closeness(NamedTuple):
    """components: groups of rows linked by distances under `link`.

    scale: the typical nearest distance. labels: (m,) group of a row.
    """

    components: int
    scale: float
    link: float
    labels: np.ndarray


def nearest_others(rows: np.ndarray) -> Neighbours:
    """Nearest other row of each of (m, D) finite rows, Euclidean."""
    count = len(rows)
    index = np.full(count, -1)
    if count < 2:
        return Neighbours(index, np.full(count, np.nan))
    every = np.arange(count)
    centre = rows.mean(axis=0, dtype=np.float64)
    radius = distances(rows, every, centre)
    unit = float(radius.max()) or 1.0  # in this unit no square over- or underflows
    index = _search(rows, every, centre, unit, np.float32)
    distance = distances(rows, every, index)
    doubtful = distance**2 < _DOUBTFUL * radius**2
    if doubtful.any():
        index[doubtful] = _search(rows, every[doubtful], centre, unit, np.float64)
        distance[doubtful] = distances(rows, every[doubtful], index[doubtful])
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
    scale = float(np.median(apart)) if apart.size else typical
    link = max(CLOSENESS * scale, 1e-6 * max(typical, 1e-30))
    labels = np.arange(count)
    close = np.flatnonzero(nearest.distance < link)
    labels[close] = close[_linked(rows[close], link)]
    return Closeness(len(np.unique(labels)), scale, link, labels)


def _median_pairwise(rows: np.ndarray) -> float:
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLED)).astype(np.int64)].astype(np.float64)
    squared = _squared_distances(chosen - chosen.mean(axis=0), chosen - chosen.mean(axis=0))
    return float(np.sqrt(np.median(squared[np.triu_indices(len(chosen), 1)])))


def _squared_distances(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    squared = np.einsum("kd,kd->k", here, here)[:, None] - 2 * here @ there.T + np.einsum("kd,kd->k", there, there)
    return np.maximum(squared, 0)


def _search(rows: np.ndarray, queries: np.ndarray, centre: np.ndarray, unit: float, dtype: type) -> np.ndarray:
    """Index of the nearest other row for rows[queries]: the largest x·y − ½‖y‖², block against block, in `dtype`."""
    best: np.ndarray = np.full(len(queries), -np.inf, dtype=dtype)
    index = np.full(len(queries), -1)
    for left in range(0, len(rows), _COLUMNS):
        others = ((rows[left : left + _COLUMNS] - centre) / unit).astype(dtype)
        lifted = np.column_stack([others, -0.5 * np.einsum("kd,kd->k", others, others)]).T  # one product gives the whole score
        for top in range(0, len(queries), _ROWS):
            asked = queries[top : top + _ROWS]
            points: np.ndarray = np.ones((len(asked), len(lifted)), dtype=dtype)
            points[:, :-1] = (rows[asked] - centre) / unit
            scores = points @ lifted
            own = np.flatnonzero((asked >= left) & (asked < left + _COLUMNS))
            scores[own, asked[own] - left] = -np.inf
            found = scores.argmax(axis=1)
            score = scores[np.arange(len(asked)), found]
            better = score > best[top : top + _ROWS]
            best[top : top + _ROWS][better] = score[better]
            index[top : top + _ROWS][better] = found[better] + left
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

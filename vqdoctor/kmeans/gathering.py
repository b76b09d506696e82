"""Lloyd's iterations over rows that no one process holds: each gathers what its rows say, the sums are joined, the centres move.

A part of the rows leaves sums and counts a centre and its farthest rows (for centres that nobody chose), a few megabytes however
many rows there were. Joined in a fixed order the sums are the same whoever worked them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vqdoctor.kmeans.lloyd import Effort, Onto, inertia, totals

FARTHEST = 64
"""Rows that are remembered for empty centres: more of those than that wait for the next step where they are."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What rows say of k centres.

    Attributes:
        sums: (k, D) float64 of the rows nearest to each. sizes: (k,) int64, how many they are. inertia: Σ‖x − centre‖².
        far: (m, D) float32, the rows farthest from their centres, farthest first; distances: (m,) float32, squared.
    """

    sums: np.ndarray
    sizes: np.ndarray
    inertia: float
    far: np.ndarray
    distances: np.ndarray


def gather(rows: np.ndarray, labels: np.ndarray, squared: np.ndarray, k: int) -> Gathered:
    """Rows (n, D) float32 with their nearest centres (n,) and squared distances (n,)."""
    sums, sizes = totals(rows, labels, k)
    order = np.argsort(-squared, kind="stable")[:FARTHEST]
    return Gathered(sums, sizes, inertia(squared), rows[order], squared[order])


def join(one: Gathered, other: Gathered) -> Gathered:
    """What the rows of both say; of equally far rows those of `one` come first."""
    far, distances = np.concatenate([one.far, other.far]), np.concatenate([one.distances, other.distances])
    order = np.argsort(-distances, kind="stable")[:FARTHEST]
    return Gathered(one.sums + other.sums, one.sizes + other.sizes, one.inertia + other.inertia, far[order], distances[order])


def moved(said: Gathered, centres: np.ndarray) -> np.ndarray:
    """The centres (k, D) float32 at the means of their rows; empty ones at rows that are farthest from theirs."""
    now = centres.copy()
    full = said.sizes > 0
    now[full] = said.sums[full] / said.sizes[full, None]
    empty = np.flatnonzero(~full)[: len(said.far)]
    now[empty] = said.far[: len(empty)]
    return now


def refine_gathered(
    centres: np.ndarray, said_of: Callable[[np.ndarray], Gathered], *, onto: Onto, iterations: int
) -> tuple[np.ndarray, Gathered]:
    """As :func:`vqdoctor.kmeans.lloyd.refine`, of rows that are asked by `said_of`, which takes the centres.

    Returns:
        centres (k, D) float32, and what all rows say of them.
    """
    said, effort = said_of(centres), Effort()
    rows = int(said.sizes.sum())
    effort.add(rows, centres)
    for _ in range(iterations):
        now = onto(moved(said, centres))
        after = said_of(now)
        effort.add(rows, now)
        gain = said.inertia - after.inertia
        if gain < 0:
            break
        centres, said = now, after
        if effort.suffices(gain, said.inertia):
            break
    return centres, said

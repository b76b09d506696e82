"""Out of poor optima: centres are added beside those that serve their rows worst, all settle, and as many are taken away that few
would miss (breathing k-means, Fritzke 2020). What is not better is forgotten, and fewer are tried.

Lloyd's iterations only move centres to where their neighbours let them. Where many rows crowd and a few lie far out, as in the
residuals of embeddings, seeds go to the few and stay there: a third of the codes serves most rows. Moving them by breaths gives
less inertia than ten runs of k-means, at a fraction of their time, and codes that share the rows evenly.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vqdoctor.kmeans.lloyd import Assign, Effort, Onto, Placed, refine

SHARE, ROWS = 2, 32  # the first breath moves one centre in so many, or one for so many rows if that is less
STEPS = 1  # Lloyd iterations before it, after breathing in and after breathing out
NUDGE = 0.1  # part of the way from a centre to one of its rows at which another is added
ROUNDING = 1e-6  # relative gain that may be none: squared distances are float32
PAIRS = 1 << 22  # distances between centres worked out at a time


def breathe(points: np.ndarray, placed: Placed, *, rng: np.random.Generator, assign: Assign, onto: Onto, effort: Effort) -> Placed:
    """Better places for centres (k, D): one breath, and more while effort is free. None of them has settled."""
    settle = partial(refine, points, assign=assign, onto=onto, iterations=STEPS, effort=effort)
    placed = settle(placed)
    count = min(len(placed.centres) // SHARE, -(-len(points) // ROWS))
    while count and placed.inertia > 0:
        full = settle(inhaled(points, placed, count, rng=rng, assign=assign, onto=onto))
        then = settle(exhaled(points, full, count, assign=assign))
        if then.inertia < (1 - ROUNDING) * placed.inertia:
            placed = then
        else:
            count //= 2
        if not effort.free:
            break
    return placed


def inhaled(points: np.ndarray, placed: Placed, count: int, *, rng: np.random.Generator, assign: Assign, onto: Onto) -> Placed:
    """With `count` centres more, each beside one of those whose rows have most of the inertia."""
    centres, labels, squared = placed
    worst = np.argsort(-np.bincount(labels, weights=squared, minlength=len(centres)), kind="stable")[:count]
    order = rng.permutation(len(points))
    towards = np.zeros(len(centres), np.int64)
    towards[labels[order]] = order  # one row of each centre
    added = onto(centres[worst] + np.float32(NUDGE) * (points[towards[worst]] - centres[worst]))
    found, near = assign(points, added)
    won = near < squared
    return Placed(np.concatenate([centres, added]), np.where(won, found + len(centres), labels), np.where(won, near, squared))


def exhaled(points: np.ndarray, placed: Placed, count: int, *, assign: Assign) -> Placed:
    """Without the `count` centres whose rows lose least by going to the next; of two neighbours one stays."""
    gone = dispensable(placed, count)
    stay = np.ones(len(placed.centres), bool)
    stay[gone] = False
    centres = placed.centres[stay]
    labels, squared = (np.cumsum(stay) - 1)[placed.labels], placed.squared.copy()
    homeless = ~stay[placed.labels]
    if homeless.any():
        labels[homeless], squared[homeless] = assign(points[homeless], centres)
    return Placed(centres, labels, squared)


def dispensable(placed: Placed, count: int) -> np.ndarray:
    """The numbers (count,) of those centres.

    What it costs to unite two clusters at their common mean is n·m/(n+m)·‖a−b‖² (Ward 1963).
    """
    nearest, away = neighbours(placed.centres)
    sizes = np.bincount(placed.labels, minlength=len(placed.centres))
    cost = sizes * (sizes[nearest] / np.maximum(sizes + sizes[nearest], 1)) * away
    order = np.argsort(cost, kind="stable").tolist()
    gone: set[int] = set()
    kept: set[int] = set()
    for centre in order:
        if centre not in kept and len(gone) < count:
            gone.add(centre)
            kept.add(int(nearest[centre]))
    others = [centre for centre in order if centre not in gone]
    return np.array([*gone, *others[: count - len(gone)]])


def neighbours(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each centre (k, D) the nearest other (k,) and the squared distance to it (k,) float32; k ≥ 2."""
    energy = np.einsum("ij,ij->i", centres, centres)
    nearest, away = np.empty(len(centres), np.int64), np.empty(len(centres), np.float32)
    height = max(1, PAIRS // len(centres))
    for start in range(0, len(centres), height):
        part = np.arange(start, min(start + height, len(centres)))
        table = energy + energy[part, None]
        products = centres[part] @ centres.T
        products *= 2
        table -= products
        table[part - start, part] = np.inf
        nearest[part] = table.argmin(axis=1)
        away[part] = np.maximum(table[part - start, nearest[part]], 0)
    return nearest, away

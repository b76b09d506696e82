"""The treatments themselves, on one book: from cells to the rows to be rewritten and what they become. No files, no state.

Codes in use keep their rows in all of these but `reestimate`, and the donors of `split`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vqdoctor.kmeans import fit
from vqdoctor.nearest import assign
from vqdoctor.treatment.cells import Cells, dead_codes
from vqdoctor.treatment.matching import match_codes
from vqdoctor.treatment.placement import beside, cell_means, fed, relocate, settle, split_cells, tries
from vqdoctor.treatment.request import TreatmentRequest


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What becomes of a book.

    Attributes:
        rows: (r,) codes to rewrite. values: (r, D) what they become.
        shares: (r,) part of `donors`' running count that each gets, None: the mean count. donors: (r,) codes.
        why: what was not done, or why nothing was.
    """

    rows: np.ndarray
    values: np.ndarray
    shares: np.ndarray | None = None
    donors: np.ndarray | None = None
    why: str | None = None


def nothing(cells: Cells, why: str) -> Rewritten:
    """No row is rewritten."""
    return Rewritten(np.zeros(0, np.int64), np.zeros((0, cells.codes.shape[1]), np.float32), why=why)


def rewrite(cells: Cells, request: TreatmentRequest, rng: np.random.Generator) -> Rewritten:
    """The treatment of one book that `request` asks for, by features.

    Raises:
        SampleError: too few rows.
    """
    if request.method == "kmeans" and not request.selective:
        return reestimate(cells, rng, match=request.match_ids is not False)
    dead = dead_codes(cells.hits, request)
    if not len(dead):
        return nothing(cells, "every code is in use")
    if request.method == "split":
        return split(cells, dead, rng)
    return revive(cells, dead, rng, lloyd_start=request.method == "kmeans")


def reestimate(cells: Cells, rng: np.random.Generator, *, match: bool = True) -> Rewritten:
    """All codes anew by k-means; with `match` each takes the number of an old code near it, the most used first served."""
    size = len(cells.codes)
    centres = fresh(cells, rng)
    if match:
        centres = centres[match_codes(cells.onto(cells.codes), centres, cells.hits)]
    return Rewritten(np.arange(size), cells.lengthened(centres))


def fresh(cells: Cells, rng: np.random.Generator) -> np.ndarray:
    """As many codes as the book has by k-means, (K, D) in the space of the points: the best of a few runs where they are cheap, and
    none left to serve a handful of odd rows where that costs nothing.
    """
    runs = (
        fit(cells.points, len(cells.codes), rng=rng, assign=assign, metric=cells.metric)
        for _ in range(tries(cells.points, len(cells.codes)))
    )
    return fed(cells.points, min(runs, key=lambda run: run.inertia).centres, rng=rng, onto=cells.onto)


def revive(cells: Cells, dead: np.ndarray, rng: np.random.Generator, *, lloyd_start: bool = False) -> Rewritten:
    """Moves `dead` codes to where the others serve badly.

    Args:
        lloyd_start: codes that have rows begin at their mean instead of elsewhere. A code without rows has no mean: a plain Lloyd
            step could not revive it.
    """
    keep = np.ones(len(cells.codes), bool)
    keep[dead] = False
    keep &= cells.placed(cells.codes)
    fixed = cells.onto(cells.codes[keep])
    start, order = None, dead
    if lloyd_start:
        labels = cells.found[0][cells.fitted]
        sizes = np.bincount(labels[labels >= 0], minlength=len(keep))[dead]
        means = cell_means(cells.points[labels >= 0], labels[labels >= 0], len(keep))[dead]
        start, order = cells.onto(means[sizes > 0]), np.concatenate([dead[sizes > 0], dead[sizes == 0]])
    codes = relocate(cells.points, fixed, len(dead), rng=rng, onto=cells.onto, start=start)
    away = assign(cells.points, fixed)[1] if len(fixed) else None
    short = len(dead) - len(codes)
    why = f"{short} codes were left: no more rows differ from every code" if short else None
    return Rewritten(order[: len(codes)], cells.lengthened(codes, away), why=why)


def split(cells: Cells, dead: np.ndarray, rng: np.random.Generator) -> Rewritten:
    """Gives `dead` codes half of the cells with the largest distortion; the donors move to the other half."""
    labels = cells.found[0][cells.fitted].astype(np.int64)
    usable = (labels >= 0) & ~np.isin(labels, dead)
    if not usable.any():
        return nothing(cells, "no code in use has a cell to split")
    donors, places, shares = split_cells(cells.points[usable], labels[usable], cells.onto(cells.codes), len(dead), rng=rng)
    parents = np.unique(donors)
    made = len(donors) - len(parents)
    if not made:
        return nothing(cells, "no cell has two different rows")
    rows = np.concatenate([parents, dead[:made]])
    keep = cells.placed(cells.codes)
    keep[rows] = False
    keep[dead] = False
    fixed = cells.onto(cells.codes[keep])
    away = assign(cells.points, fixed)[1] if len(fixed) else np.full(len(cells.points), np.inf, np.float32)
    codes, _ = settle(cells.points, cells.onto(places), away, rng=rng, onto=cells.onto)
    why = f"{len(dead) - made} codes were left: no cell has two different rows" if made < len(dead) else None
    return Rewritten(rows, cells.lengthened(codes, away), shares, donors, why)


def nudge(
    codes: np.ndarray, broken: np.ndarray, use: np.ndarray | None, rng: np.random.Generator, *, unit_length: bool = False
) -> np.ndarray | None:
    """Codes (r, D) for `broken` rows (r,) without any data: near the codes in use, which stay. None where all rows are broken.

    Args:
        use: (K,) running counts, to begin with the most used; None: at random.
    """
    sound = np.setdiff1d(np.arange(len(codes)), broken)
    if not len(sound):
        return None
    order = rng.permutation(len(sound)) if use is None else np.argsort(-use[sound], kind="stable")
    values = beside(codes[sound], order, len(broken), rng)
    return values / np.linalg.norm(values, axis=1, keepdims=True) if unit_length else values

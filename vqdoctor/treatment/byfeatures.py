"""Repair by features: book after book from the top, each on what the repaired levels above leave over, state written with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vqdoctor.errors import printable
from vqdoctor.layouts import codes, copies, ema_counts, lookup, stored_rows
from vqdoctor.metrics.precision import epsilon
from vqdoctor.model import Codebook, Quantizer, TensorSource
from vqdoctor.nearest import Searcher, assign
from vqdoctor.treatment.books import Rewritten, fresh, nothing, revive, rewrite
from vqdoctor.treatment.cells import Cells, broken_codes
from vqdoctor.treatment.descent import Descent
from vqdoctor.treatment.patched import Patched
from vqdoctor.treatment.preflight import FeatureSample, check_amount, check_belonging
from vqdoctor.treatment.request import TreatmentRequest
from vqdoctor.treatment.state import changing, eps_of, moment_writes, running_counts, writes_for

SHARED_ROUNDS = 3
"""Times a book that several residual levels share is fitted: what the later ones look up depends on it."""
DEAR = 1.10
"""Error over that of a full k-means, above which a selective repair's price is said."""
REACHED = 1e-3
"""Relative distance between the code that was meant and the code that is read back, above which it is said."""


@dataclass(frozen=True, slots=True)
class Book:
    """What was done to one book.

    Attributes:
        rows: (r,) codes written. revived: those of them that were not in use. why, unreached: see LevelPlan.
        live: share of the codes in use before, None where not measured.
        kmeans_ratio: held-out error over that of a k-means of all codes on the same rows, None where that was not fitted.
        refused: nothing was written, and the book is not as the treatment would leave it: `why` says what stands in the way.
    """

    rows: np.ndarray
    revived: np.ndarray
    why: str | None = None
    live: float | None = None
    unreached: float | None = None
    kmeans_ratio: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Repaired:
    """A quantiser after its treatment: the checkpoint as it will read, books by their first level, sentences for the user."""

    patched: Patched
    books: dict[int, Book]
    warnings: tuple[str, ...] = ()


Made = tuple[Patched, Book, list[str]]  # the checkpoint with a book written, what was done to it, sentences for the user


def owners(quantizer: Quantizer, wanted: tuple[int, ...]) -> dict[int, list[int]]:
    """The books to treat, by first level, and all levels that look into each."""
    of = {level.index: level.index if level.shared_with is None else level.shared_with for level in quantizer.levels}
    chosen = sorted({of[index] for index in wanted})
    return {owner: [index for index, mine in of.items() if mine == owner] for owner in chosen}


def repair_by_features(
    source: TensorSource, quantizer: Quantizer, sample: FeatureSample, wanted: tuple[int, ...], request: TreatmentRequest,
    rng: np.random.Generator,
) -> Repaired:  # fmt: skip
    """The quantiser with the books of the `wanted` levels treated.

    Raises:
        SampleError: too few rows, or rows that are not this model's.
    """
    patched, said = Patched(source), list[str]()
    books: dict[int, Book] = {}
    descent = Descent(patched, quantizer, sample.rows)
    for owner, levels in owners(quantizer, wanted).items():
        # Only a first level, or a group, is given what the user gave; what deeper ones get depends on those above.
        judge = not books or quantizer.structure == "product"
        if len(levels) > 1:
            patched, books[owner], notes = _repair_shared(patched, quantizer, sample, levels, request, rng, judge=judge)
            descent = Descent(patched, quantizer, sample.rows)
        else:
            cells = _cells(patched, quantizer, sample, [descent.inputs(patched, owner)], owner)
            patched, books[owner], notes = _repair_book(patched, quantizer, owner, cells, request, rng, judge=judge)
        said += notes
    return Repaired(patched, books, tuple(dict.fromkeys(said)))


def _repair_shared(
    patched: Patched, quantizer: Quantizer, sample: FeatureSample, levels: list[int], request: TreatmentRequest,
    rng: np.random.Generator, *, judge: bool,
) -> Made:  # fmt: skip
    """One book for several levels, fitted to all that they look up; which depends on the book: the best of a few rounds."""
    rounds = SHARED_ROUNDS if quantizer.structure == "residual" and not request.selective else 1
    tried: list[tuple[float, Made]] = []
    current = patched
    for turn in range(rounds):
        descent = Descent(current, quantizer, sample.rows)
        cells = _cells(patched, quantizer, sample, [descent.inputs(current, index) for index in levels], levels[0])
        made = _repair_book(patched, quantizer, levels[0], cells, request, rng, judge=judge and not turn)
        current = made[0]
        tried.append((_error(current, quantizer, sample) if rounds > 1 else 0.0, made))
    return min(tried, key=lambda one: one[0])[1]


def _repair_book(
    patched: Patched, quantizer: Quantizer, index: int, cells: Cells, request: TreatmentRequest, rng: np.random.Generator, *,
    judge: bool,
) -> Made:  # fmt: skip
    """The checkpoint with one book treated. judge: first see whether rows and book belong together."""
    level = quantizer.levels[index]
    counts = running_counts(patched, quantizer, level)
    said = check_belonging(cells, quantizer, level, counts, request) if judge else []
    said += check_amount(cells, request, printable(level.key))
    treated = _treat(patched, quantizer, level, cells, request, rng)
    written, book, notes = _write(patched, quantizer, level, cells, treated, request)
    said += notes
    if request.selective and request.method != "sanitize" and len(book.rows):
        book = replace(book, kmeans_ratio=_against_kmeans(written, quantizer, level, cells, rng))
        said += _cost(level, book)
    return written, book, said


def _cells(patched: Patched, quantizer: Quantizer, sample: FeatureSample, rows: list[np.ndarray], index: int) -> Cells:
    """A book beside what the levels that look into it are given, one array (n, d) each."""
    return Cells(
        codes(patched, quantizer.levels[index], eps=eps_of(quantizer)), rows[0] if len(rows) == 1 else np.concatenate(rows),
        np.tile(sample.fitted, len(rows)), "cosine" if quantizer.metric == "cosine" else "l2", quantizer.emits == "normalised",
    )  # fmt: skip


def _treat(
    source: TensorSource, quantizer: Quantizer, level: Codebook, cells: Cells, request: TreatmentRequest, rng: np.random.Generator
) -> Rewritten:
    if request.method != "sanitize":
        return rewrite(cells, request, rng)
    broken = np.flatnonzero(broken_codes(cells.codes, cells.metric) | broken_state(source, quantizer, level))
    return revive(cells, broken, rng) if len(broken) else nothing(cells, "no row is broken, zero or a copy")


def broken_state(source: TensorSource, quantizer: Quantizer, level: Codebook) -> np.ndarray:
    """(K,) bool: codes whose stored row, count or sum is not a number that can be worked with."""
    broken = ~np.isfinite(stored_rows(source, level)).all(axis=1)
    counts = running_counts(source, quantizer, level)
    if counts is not None:
        broken |= ~np.isfinite(counts) | (counts < 0)
    if level.ema_sum is not None and quantizer.ema is not None and quantizer.ema.relation != "none":
        broken |= ~np.isfinite(level.ema_sum.view(source.read(level.ema_sum.name)).astype(np.float64)).all(axis=1)
    return np.asarray(broken)


def _write(
    patched: Patched, quantizer: Quantizer, level: Codebook, cells: Cells, treated: Rewritten, request: TreatmentRequest
) -> Made:
    """The checkpoint with the book, its state and the optimiser's memory written."""
    live = np.flatnonzero(cells.hits)
    share = len(live) / level.codes
    if not len(treated.rows):
        return patched, Book(treated.rows, treated.rows, treated.why, share), []
    masses = _masses(patched, quantizer, level, treated)
    writes, notes = writes_for(patched, quantizer, level.index, treated.rows, treated.values, masses)
    if not request.keep_optimizer:
        writes += moment_writes(patched, quantizer, level.index, treated.rows, live if len(live) else treated.rows)
    written = patched.with_writes(writes)
    now = codes(written, level, eps=eps_of(quantizer))
    if not np.isfinite(now).all() or not now.any(axis=1).all():  # a book that is still broken is not an initialised one
        flags = changing(writes, *(copy.levels[level.index].flag for copy in copies(quantizer)))
        written = patched.with_writes([write for write in writes if all(write is not one for one in flags)])
    unreached = _missed(now[treated.rows], treated.values, level.dtype)
    if unreached is not None:
        notes.append(
            f"{printable(level.key)}: the stored form cannot hold the codes that were meant: up to "
            f"{100 * unreached:.1f} % are missing."
        )
    return written, Book(treated.rows, np.setdiff1d(treated.rows, live), treated.why, share, unreached), notes


def _masses(source: TensorSource, quantizer: Quantizer, level: Codebook, treated: Rewritten) -> np.ndarray | None:
    """Running counts of the halves of split cells; None where each gets the mean."""
    if treated.shares is None or treated.donors is None or running_counts(source, quantizer, level) is None:
        return None
    counts = ema_counts(source, level)
    return None if counts is None else np.maximum(counts[treated.donors], 0) * treated.shares


def _missed(now: np.ndarray, meant: np.ndarray, dtype: str) -> float | None:
    distance = np.linalg.norm(now - meant, axis=1) / np.maximum(np.linalg.norm(meant, axis=1), 1e-12)
    worst = float(distance.max(initial=0))
    return worst if worst > max(REACHED, epsilon(dtype)) else None


def _against_kmeans(
    patched: Patched, quantizer: Quantizer, level: Codebook, cells: Cells, rng: np.random.Generator
) -> float | None:
    """Held-out error of the repaired book over that of a k-means of as many codes; None with too few rows for one."""
    held = cells.rows[~cells.fitted]
    if len(cells.points) <= level.codes or not len(held):
        return None
    best = float(assign(held, fresh(cells, rng), cells.metric)[1].mean(dtype=np.float64))
    now = codes(patched, level, eps=eps_of(quantizer))
    return float(assign(held, now, cells.metric)[1].mean(dtype=np.float64)) / best if best > 0 else None


def _cost(level: Codebook, book: Book) -> list[str]:
    if book.kmeans_ratio is None or book.kmeans_ratio <= DEAR:
        return []
    return [
        f"{printable(level.key)}: keeping the codes in use costs {100 * (book.kmeans_ratio - 1):.0f} % more error than "
        "--kmeans would leave."
    ]


def _error(patched: Patched, quantizer: Quantizer, sample: FeatureSample) -> float:
    """Mean squared error of the whole quantiser on the fitted rows."""
    left = Searcher(lookup(patched, quantizer)).encode(sample.rows[sample.fitted]).residuals
    return float((left.sum(axis=1) if quantizer.structure == "product" else left[:, -1]).mean(dtype=np.float64))


def levels_of(repaired: Repaired, quantizer: Quantizer) -> Iterator[tuple[int, Book]]:
    """Every level whose book was treated, with that book."""
    for level in quantizer.levels:
        book = repaired.books.get(level.index if level.shared_with is None else level.shared_with)
        if book is not None:
            yield level.index, book

"""Repairs that need no data: broken rows replaced from the book itself, sums made to agree with codes, flags set."""

from __future__ import annotations

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts import Write, codes, copies, ema_sums, flag, state_for, stored_rows
from vqdoctor.model import Codebook, Quantizer, TensorSource
from vqdoctor.treatment.books import nudge
from vqdoctor.treatment.byfeatures import Book, Repaired, broken_state, owners
from vqdoctor.treatment.cells import broken_codes
from vqdoctor.treatment.patched import Patched
from vqdoctor.treatment.request import TreatmentRequest
from vqdoctor.treatment.state import allowed_drift, changing, drift, eps_of, moment_writes, running_counts, writes_for

SYNCED = 1e-4  # relative disagreement of code and sum that counts, as in ema.inconsistent_rows
NONE = np.zeros(0, np.int64)
Done = tuple[Book, list[Write], list[str]]


def repair_file_alone(
    source: TensorSource, quantizer: Quantizer, wanted: tuple[int, ...], request: TreatmentRequest, rng: np.random.Generator
) -> Repaired:
    """The quantiser after --sanitize, --sync-ema or --freeze-init on the `wanted` levels.

    Raises:
        UsageError: all rows of a book are broken, so that nothing is left to copy.
    """
    patched, said = Patched(source), list[str]()
    books: dict[int, Book] = {}
    for owner in owners(quantizer, wanted):
        if quantizer.levels[owner].data_dependent and request.method != "freeze-init":
            books[owner] = Book(NONE, NONE, "its codes come out of a network: there is no book to write", refused=True)
            continue
        if request.method == "sanitize":
            book, writes, notes = _sanitize(patched, quantizer, owner, request, rng)
        elif request.method == "sync-ema":
            book, writes, notes = _sync(patched, quantizer, owner)
        else:
            book, writes, notes = _freeze(patched, quantizer, owner)
        patched, books[owner] = patched.with_writes(writes), book
        said += notes
    return Repaired(patched, books, tuple(dict.fromkeys(said)))


def _sanitize(source: TensorSource, quantizer: Quantizer, index: int, request: TreatmentRequest, rng: np.random.Generator) -> Done:
    level = quantizer.levels[index]
    book = codes(source, level, eps=eps_of(quantizer))
    bad = broken_codes(book, quantizer.metric) | broken_state(source, quantizer, level)
    rows = np.flatnonzero(bad)
    if not len(rows):
        return _left("no row is broken, zero or a copy")
    counts = running_counts(source, quantizer, level)
    unit = quantizer.metric == "cosine" and bool(np.abs(np.linalg.norm(book[~bad], axis=1) - 1).max(initial=0) < 1e-3)
    values = nudge(book, rows, counts, rng, unit_length=unit)
    if values is None:
        what = f"{printable(level.key)}: every row is broken, zero or a copy: nothing is left to begin from."
        raise UsageError(what, hint="Give features, and --sanitize or --kmeans.")
    writes, notes = writes_for(source, quantizer, index, rows, values)
    if not request.keep_optimizer:
        writes += moment_writes(source, quantizer, index, rows, np.flatnonzero(~bad))
    notes.append(
        f"{printable(level.key)}: without features {'1 code was' if len(rows) == 1 else f'{len(rows)} codes were'} put beside "
        "others, where rows were served already. With --features codes go where they are wanting."
    )
    return Book(rows, rows), writes, notes


def _sync(source: TensorSource, quantizer: Quantizer, index: int) -> Done:
    """sum := code × (smoothed) count, in the book and its copies, where they disagree. Codes and sound counts stay bit for bit."""
    done, writes, notes, known, unsound = NONE, [], [], 0, 0
    for copy in copies(quantizer):
        level = copy.levels[index]
        moved = drift(source, copy, level)
        counts = running_counts(source, copy, level)
        if moved is None or counts is None:
            continue
        sound = np.isfinite(stored_rows(source, level)).all(axis=1)
        known, unsound = known + 1, max(unsound, int((~sound).sum()))
        if not sound.all():
            notes.append(f"{printable(level.key)}: {int((~sound).sum())} rows are not finite and were left: --sanitize first.")
        agree = (moved <= allowed_drift(source, level, SYNCED)) | _unwritten(source, level)
        rows = np.flatnonzero(sound & ~agree)
        writes += _sums(source, copy, index, rows, counts)
        done = np.union1d(done, rows)
    if len(done):
        return Book(done, NONE), writes, notes
    if not known:
        return _left("the file keeps no running sums that codes follow from: none can disagree")
    if unsound:
        size = quantizer.levels[index].codes
        return _left(f"{unsound} of {size} rows are not finite: --sanitize mends them first; the others agree", refused=True)
    return _left("codes and sums agree")


def _left(why: str, *, refused: bool = False) -> Done:
    """A book as it was."""
    return Book(NONE, NONE, why, refused=refused), [], []


def _unwritten(source: TensorSource, level: Codebook) -> np.ndarray:
    """(K,) bool: codes and sums that are both zero. They agree, whatever their counts: 0/0 would not say so."""
    sums = ema_sums(source, level)
    written = stored_rows(source, level).any(axis=1)
    return np.asarray(~written if sums is None else ~written & ~sums.any(axis=1))


def _sums(source: TensorSource, quantizer: Quantizer, index: int, rows: np.ndarray, counts: np.ndarray) -> list[Write]:
    level = quantizer.levels[index]
    known = counts[np.isfinite(counts) & (counts > 0)]
    mean = float(known.mean()) if known.size else 1.0
    usable = np.isfinite(counts) & (counts > 0 if quantizer.ema and quantizer.ema.relation == "ratio" else counts >= 0)
    wrong = np.flatnonzero(~usable)
    mended = np.where(usable, counts, mean)
    if len(wrong) and len(rows):  # a smoothed divisor knows all counts: the broken ones are mended in the book first
        counted = state_for(source, quantizer, level, wrong, stored_rows(source, level)[wrong], mended[wrong])
        source = Patched(source).with_writes(changing(counted, level.ema_count))
    writes = state_for(source, quantizer, level, rows, codes(source, level, eps=eps_of(quantizer))[rows], mended[rows])
    places = [level.ema_sum] if not np.isin(rows, wrong).any() else [level.ema_sum, level.ema_count]
    return changing(writes, *places)


def _freeze(source: TensorSource, quantizer: Quantizer, index: int) -> Done:
    """Flags of the book and its copies set, unless the book is not one that should be kept."""
    level = quantizer.levels[index]
    flags = [copy.levels[index].flag for copy in copies(quantizer)]
    places = [place for place in flags if place is not None]
    if not places:
        why = "the file has no initialised flag: where training begins with k-means, build the model with that switched off"
        return _left(why, refused=True)
    unset = [place for place, copy in zip(flags, copies(quantizer), strict=True) if place and not flag(source, copy.levels[index])]
    if not unset:
        return _left("the flag is set already")
    rows = stored_rows(source, level)
    broken = int((~np.isfinite(rows).all(axis=1) | ~rows.any(axis=1)).sum())
    if broken:
        how = "start it in training, or by --kmeans" if broken == len(rows) else "--sanitize mends them, then set the flag"
        return _left(f"{broken} of {len(rows)} rows are zero or not finite: {how}", refused=True)
    return Book(NONE, NONE), [Write(place, ..., np.ones(())) for place in dict.fromkeys(unset)], []

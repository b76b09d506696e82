"""What a plan cannot promise but can foresee: whether the codes that it revives live on.

Three things are told apart. The family's own averaging and replacement, simulated with the encoder held still (`survival`). How
far the encoder's outputs may move before the codes have followed, worked out by moving held-out rows: in the trials of
`benchmarks/repair.py` that number, at the distance that the outputs then really moved, was the use that was found. And whether they
are likely to move, judged by what training has made of the book before; no more than that can be known from one checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vqdoctor.errors import printable
from vqdoctor.layouts import codes, lookup
from vqdoctor.layouts.optimizer import never_selected
from vqdoctor.model import Codebook, EmaFacts, Quantizer, TensorSource
from vqdoctor.nearest import Searcher
from vqdoctor.treatment.byfeatures import Book, Repaired, levels_of
from vqdoctor.treatment.descent import Descent
from vqdoctor.treatment.patched import Patched
from vqdoctor.treatment.state import eps_of, never_hit, running_counts
from vqdoctor.treatment.survival import MOST_ROWS, simulate, tokens_per_step

FEW_LIVE = 0.10
"""Under this share of codes in use a book has collapsed: moving the dead codes around the few live ones is second to starting anew,
and the training that led there leads there again."""
RELAPSE = 0.05
"""Share of the codes whose loss counts as one."""
DRIFTS = (0.1, 1.0)
"""How far the encoder's outputs are moved, all alike, in units of their spread √(Σ variances)."""
DIRECTIONS = 4


def outlook(
    source: TensorSource, quantizer: Quantizer, rows: np.ndarray, repaired: Repaired, rng: np.random.Generator
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """What becomes of revived codes, by level, on rows (m, width) that the repair has not seen; and sentences for the user."""
    found: dict[int, dict[str, Any]] = {}
    said: list[str] = []
    patched = repaired.patched
    descent = Descent(patched, quantizer, rows)
    moved: np.ndarray | None = None
    for index, book in levels_of(repaired, quantizer):
        if not len(book.revived):
            continue
        level = quantizer.levels[index]
        tokens = tokens_per_step(running_counts(source, quantizer, level), quantizer.ema or EmaFacts())
        told = _simulated(patched, quantizer, level, book.revived, descent.inputs(patched, index), tokens, rng)
        moved = _used_after_drift(patched, quantizer, rows, rng) if moved is None else moved
        told["in_use"], told["drift"] = int(moved[0, index]), dict(zip(map(str, DRIFTS), moved[1:, index].tolist(), strict=True))
        told["never_used"] = _never_used(source, quantizer, level, book)
        told["because"] = list(_reasons(book, told, level.codes))
        told["relapse_expected"] = bool(told["because"])
        found[index] = told
        said += _warnings(level, told, quantizer.ema, book)
    return found, said


def _used_after_drift(source: TensorSource, quantizer: Quantizer, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes of each level with a row, (1 + drifts, L): of the rows as they are, then moved; the mean over a few directions."""
    rows = rows if len(rows) <= MOST_ROWS else rows[rng.choice(len(rows), MOST_ROWS, replace=False)]
    search, spread = Searcher(lookup(source, quantizer)), float(np.sqrt(rows.var(axis=0, dtype=np.float64).sum()))

    def used(given: np.ndarray) -> np.ndarray:
        columns = search.encode(given.astype(np.float32)).codes.T
        return np.array([len(np.unique(column[column >= 0])) for column in columns], np.float64)

    ways = rng.standard_normal((DIRECTIONS, rows.shape[1]))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    moved = [np.mean([used(rows + drift * spread * way) for way in ways], axis=0) for drift in DRIFTS]
    return np.stack([used(rows), *moved])


def _simulated(
    patched: Patched, quantizer: Quantizer, level: Codebook, revived: np.ndarray, inputs: np.ndarray, tokens: float,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    counts = running_counts(patched, quantizer, level)
    ema = quantizer.ema if quantizer.ema is not None and counts is not None else EmaFacts()
    book = codes(patched, level, eps=eps_of(quantizer)).astype(np.float64)
    metric = "cosine" if quantizer.metric == "cosine" else "l2"
    started = np.ones(level.codes) if counts is None else counts
    return simulate(book, started, revived, inputs, ema, metric=metric, tokens=tokens, rng=rng)


def _never_used(source: TensorSource, quantizer: Quantizer, level: Codebook, book: Book) -> int | None:
    """Of the codes revived those that no step of training ever used, by their counts or the optimiser's memory; None: not told."""
    counts = running_counts(source, quantizer, level)
    never = None if counts is None or quantizer.ema is None else never_hit(counts, quantizer.ema)
    never = never_selected(source, level) if never is None else never
    return None if never is None else int(never[book.revived].sum())


def _reasons(book: Book, told: dict[str, Any], size: int) -> Iterator[str]:
    """Why a relapse is expected: "collapsed", "replaced" by the family's rule, "unused" by the rows; none: it is not."""
    if book.live is not None and book.live < FEW_LIVE:
        yield "collapsed"
    if len(told["die_again"]) > RELAPSE * size:
        yield "replaced"
    if len(told["without_hits"]) > RELAPSE * size:
        yield "unused"


def _warnings(level: Codebook, told: dict[str, Any], ema: EmaFacts | None, book: Book) -> Iterator[str]:
    name = printable(level.key)
    yield from _replaced(name, told)
    if told["without_hits"]:
        yield f"{name}: {len(told['without_hits'])} of {told['revived']} revived codes get none of the rows held out."
    if "collapsed" in told["because"]:
        yield _again(name, told, book)
    elif told["in_use"] - told["drift"][str(DRIFTS[0])] > RELAPSE * level.codes:
        yield f"{name}: {_drifting(told)}. A settled encoder moves less; the simulation holds it still."
    if ema is not None and ema.revival == "undone":
        yield (
            f"{name}: in training this family's own replacement of dead codes is undone by its stale sums (VQ306); "
            "this repair writes sums and counts, so the codes stay where they are put."
        )


def _replaced(name: str, told: dict[str, Any]) -> Iterator[str]:
    """What the family's rule, or the one that it may have, does to revived codes."""
    if told["die_again"]:
        what = "" if told["feasible"] else " The threshold is above what even evenly used codes would hold: lower it (VQ302)."
        yield (
            f"{name}: {len(told['die_again'])} of {told['revived']} revived codes fall under {told['rule']} again "
            f"within {told['steps']} steps of {told['tokens']:,} tokens, the first after {told['first_death']}.{what}"
        )
    supposed = told.get("supposed")
    if supposed and supposed["die_again"]:
        even = "" if supposed["feasible"] else f" Even evenly used codes would not hold it with {told['tokens']:,} tokens a step."
        yield (
            f"{name}: the file does not state {supposed['option']}. If it is {supposed['threshold']:g}, "
            f"{len(supposed['at_once'])} of {told['revived']} revived codes are replaced in the first step and "
            f"{len(supposed['die_again'])} within {told['steps']}.{even} Set it to 0, or low, when training goes on."
        )


def _again(name: str, told: dict[str, Any], book: Book) -> str:
    """Of a book that training had brought down."""
    never, how = told["never_used"], ""
    if never is not None:
        lost = told["revived"] - never
        how = f" {never} of the revived codes were used by no step before"
        how += ": the start put them out of reach." if not lost else f", {lost} {'was' if lost == 1 else 'were'} in use once."
    return (
        f"{name}: training as it was set left {100 * (book.live or 0):.1f} % of this book's codes in use, and loses codes again "
        f"unless its cause is changed: vqdoctor inspect names the likeliest under VQ101.{how} {_drifting(told)}."
    )


def _drifting(told: dict[str, Any]) -> str:
    near, far = (told["drift"][str(drift)] for drift in DRIFTS)
    return (
        f"If the encoder's outputs all move by a tenth of their spread before the codes follow, {near:.0f} of the {told['in_use']} "
        f"codes in use keep rows; after a whole spread {far:.0f}"
    )

"""What a plan cannot promise but can foresee: whether the codes that it revives live on."""

from __future__ import annotations

from typing import Any

import numpy as np

from vqdoctor.errors import printable
from vqdoctor.layouts import codes
from vqdoctor.model import Codebook, EmaFacts, Quantizer, TensorSource
from vqdoctor.treatment.byfeatures import Repaired, levels_of
from vqdoctor.treatment.descent import Descent
from vqdoctor.treatment.patched import Patched
from vqdoctor.treatment.state import eps_of, running_counts
from vqdoctor.treatment.survival import simulate, tokens_per_step

FEW_LIVE = 0.10
"""Under this share of codes in use a book has collapsed: moving the dead codes around the few live ones is second to starting anew,
and the training that led there leads there again."""


def outlook(
    source: TensorSource, quantizer: Quantizer, rows: np.ndarray, repaired: Repaired, rng: np.random.Generator
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """What becomes of revived codes, by level, on rows (m, width) that the repair has not seen; and sentences for the user."""
    found: dict[int, dict[str, Any]] = {}
    said: list[str] = []
    patched = repaired.patched
    descent = Descent(patched, quantizer, rows)
    for index, book in levels_of(repaired, quantizer):
        if not len(book.revived):
            continue
        level = quantizer.levels[index]
        tokens = tokens_per_step(running_counts(source, quantizer, level), quantizer.ema or EmaFacts())
        found[index] = _simulated(patched, quantizer, level, book.revived, descent.inputs(patched, index), tokens, rng)
        said += _warnings(level, found[index], quantizer.ema)
        # The simulation holds the encoder still, and a collapse is as often the encoder's: what was seen once counts more.
        found[index]["relapse_expected"] = book.live is not None and book.live < FEW_LIVE
        if found[index]["relapse_expected"]:
            said.append(
                f"{printable(level.key)}: training as it was set brought this book to {book.live:.1%} of its codes, and will again "
                "unless its cause is changed: vqdoctor inspect names the likeliest under VQ101."
            )
    return found, said


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


def _warnings(level: Codebook, survival: dict[str, Any], ema: EmaFacts | None) -> list[str]:
    said, name = [], printable(level.key)
    if survival["die_again"]:
        what = "" if survival["feasible"] else " The threshold is above what even evenly used codes would hold: lower it (VQ302)."
        said.append(
            f"{name}: {len(survival['die_again'])} of {survival['revived']} revived codes fall under {survival['rule']} again "
            f"within {survival['steps']} steps of {survival['tokens']:,} tokens, the first after {survival['first_death']}.{what}"
        )
    if survival["without_hits"]:
        said.append(
            f"{name}: {len(survival['without_hits'])} of {survival['revived']} revived codes get none of the rows held out."
        )
    if ema is not None and ema.revival == "undone":
        said.append(
            f"{name}: in training this family's own replacement of dead codes is undone by its stale sums (VQ306); "
            "this repair writes sums and counts, so the codes stay where they are put."
        )
    return said

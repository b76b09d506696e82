"""Why a book collapsed: causes before resets, the likeliest first, and the cheapest test that separates them.

Collapse is often a bug of wiring or scale and no matter of the book; a reset then hides it for a few hundred steps. What the
checkpoint and the features already show about a cause is said first, with its number. Sources: RSTnet#2 (straight-through copy
forgotten), RQ-VAE-Recommender#66 (reconstruction averaged, quantisation summed), magvit2-pytorch#4 (book not in the optimiser),
LC-Rec#8 (learning rate), vector-quantize-pytorch#19 (scale of the initialisation).
"""

from __future__ import annotations

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.words import number, percent, plural

GENERAL = (
    "a straight-through gradient that is missing (nothing reaches the encoder)",
    "loss terms of different scale (one averaged, the other summed)",
    "a learning rate that is too high",
    "codes initialised far from the encoder's outputs",
)
TREATMENT = (
    "Only then re-estimate the codes by k-means on features. In training: k-means start, replacement of dead codes with their EMA "
    "state, a commitment warm-up, an entropy or code-diversity loss, a higher temperature (2.5, up to 3.0), a lower EMA decay "
    "(0.7, down to 0.5), a smaller book (K 64, then 32), a larger batch (128), and no expansion of the book while it is collapsed."
)


def advice(level: Level) -> str:
    """The remedy of collapse: what the numbers at hand point at, what to rule out beside it, then the treatment."""
    shown = _shown_causes(level)
    likely = f"The numbers point at {'; '.join(shown)}. " if shown else ""
    return f"{likely}Rule out first: {'; '.join(GENERAL)}. {TREATMENT}"


def _shown_causes(level: Level) -> tuple[str, ...]:
    """Causes that this level's own numbers show, the most certain first."""
    candidates = (_broken(level), _never_trained(level), _flat_features(level), _far_away(level))
    return tuple(cause for cause in candidates if cause)


def _broken(level: Level) -> str | None:
    count = level.value("geometry.nonfinite_rows")
    if not count:
        return None
    return f"{number(count)} code rows with NaN or Inf (VQ201), which make a plain argmin choose one code for every row"


def _never_trained(level: Level) -> str | None:
    share = level.share("geometry.untouched_rows")
    if share is None or share <= 0.5:
        return None
    return f"{percent(share)} of the codes never trained (VQ204): not given to the optimiser, or never hit since the start"


def _flat_features(level: Level) -> str | None:
    spread = level.amount("features.participation_ratio")
    if spread is None or spread >= 2:
        return None
    return f"encoder outputs that vary along {plural(spread, 'direction')} only: the encoder collapsed, not the book"


def _far_away(level: Level) -> str | None:
    ratio = level.value("match.scale_ratio")
    if ratio is None or 0.5 <= ratio <= 2 or level.case.report.metric != "l2":
        return None
    return f"codes at {number(ratio)} × the scale of the encoder's outputs (VQ206): initialisation"


def probe(case: Case) -> str:
    """The cheapest test that separates the causes."""
    if case.quantizer is None:
        return "Inspect the checkpoint that wrote these IDs with --features: is the book at fault, or the encoder's outputs?"
    return (
        "On one batch print the spread of the encoder's outputs and the norm of the gradient that reaches the encoder. No "
        "gradient: straight-through missing. Gradient, but constant outputs: loss scale or learning rate. Spread outputs far from "
        "the codes: initialisation."
    )

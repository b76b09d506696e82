"""What a log itself shows of why a codebook fell: what happened or changed shortly before, and what the run was told to do.

Only what is written there, with its number and step, the nearest to the fall first. What no log can show (a straight-through copy
that is missing in the code) is in `causes`, as what to rule out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vqdoctor.diagnosis.causes import GENERAL, TREATMENT
from vqdoctor.diagnosis.curves import LiveLevel, settings
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.diagnosis.words import number
from vqdoctor.model import Series

BEFORE = {
    "kmeans-reinit": "the re-initialisation at step {}",
    "expanded": "the expansion of the book at step {}",
    "dead-reset": "the replacement of dead codes at step {}",
    "non-finite": "values that are not finite at step {}",
}
"""Events that can bring a book down."""

RISE = 1.5  # × its value before: a change of the learning rate or the commitment loss worth naming


def live_advice(run: LiveRun, level: LiveLevel, onset: float | None, span: float) -> str:
    """The remedy of collapse in a run: what the log shows, what to rule out beside it, then the treatment.

    Args:
        onset: the step at which it began, None for a book that never lived. span: how many steps before it count as shortly before.
    """
    shown = list(_shown(run, level, onset, span))
    likely = f"The log shows {'; '.join(shown)}. " if shown else ""
    return f"{likely}Rule out first: {'; '.join(GENERAL)}. {TREATMENT}"


def _shown(run: LiveRun, level: LiveLevel, onset: float | None, span: float) -> Iterator[str]:
    if onset is not None:
        yield from _happened(level, onset, span)
        for name, words in (("lr", "the learning rate"), ("loss.commitment", "the commitment loss")):
            if (rise := _rise(run.scalar(name), onset, span)) is not None:
                yield f"{words} rising from {number(rise[0])} to {number(rise[1])} around step {number(onset)}"
    yield from _configured(run)


def _happened(level: LiveLevel, onset: float, span: float) -> Iterator[str]:
    near = [event for event in level.events if event.kind in BEFORE and event.step is not None and 0 <= onset - event.step <= span]
    for kind in dict.fromkeys(event.kind for event in reversed(near)):
        last = max(event.step or 0.0 for event in near if event.kind == kind)
        yield BEFORE[kind].format(number(last))


def _rise(series: Series | None, onset: float, span: float) -> tuple[float, float] | None:
    """The median of a term before the onset and its highest around it, where that is clearly more."""
    if series is None:
        return None
    before = series.values[(series.steps >= onset - 3 * span) & (series.steps < onset - span)]
    around = series.values[(series.steps >= onset - span) & (series.steps <= onset + span)]
    if not len(before) or not len(around):
        return None
    low, high = float(np.median(before)), float(np.max(around))
    return (low, high) if low > 0 and high > RISE * low else None


def _configured(run: LiveRun) -> Iterator[str]:
    """Settings that starve a book, as the run itself states them."""
    if _is(run, "straight_through", False):
        yield "straight_through = false in the run's settings: no gradient of the reconstruction reaches the encoder"
    if _is(run, "frozen", True):
        yield "frozen = true in the run's settings: the book does not learn"
    scales = [next(iter(settings(run.config, {name})), None) for name in ("reconstruction_scale", "quantization_scale")]
    if {"mean", "sum"} == {scale for scale in scales if isinstance(scale, str)}:
        yield f"the reconstruction loss as a {scales[0]} beside a quantisation loss as a {scales[1]}"


def _is(run: LiveRun, name: str, value: Any) -> bool:
    return any(found is value for found in settings(run.config, {name}))

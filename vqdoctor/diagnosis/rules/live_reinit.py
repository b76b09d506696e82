"""VQ502, VQ508, VQ509: re-initialisations that were skipped, that never ran, or that come too often.

All from what the log says of them; nothing is inferred from a curve that moved. Sources: the k-means re-estimation of VQFR
(quantizer_arch.py), which skips where it has fewer samples than codes and says so in one line that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from vqdoctor.diagnosis.case import finite
from vqdoctor.diagnosis.curves import of_level, settings
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold
from vqdoctor.diagnosis.words import number, percent, plural
from vqdoctor.errors import printable
from vqdoctor.model import Event, Finding, Remedy, Series

Place = tuple[str | None, int | None]


def check_skipped(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """Re-initialisations that did not happen, per codebook; graver where none has happened since."""
    for place in _places(run.happened("skipped")):
        events = [event for event in of_level(run.events, *place) if event.kind in ("skipped", "kmeans-reinit")]
        skipped = [event for event in events if event.kind == "skipped" and _was_needed(event)]
        if len(skipped) < limits["times"]:
            continue
        last = skipped[-1]
        since = events[events.index(last) + 1 :]
        done = any(event.kind == "kmeans-reinit" for event in since)
        yield SKIPPED.finding(
            _where(run, place),
            "info" if done else "warning",
            f"The re-initialisation{_at(last)} was skipped: {_reason(last)}{_times(skipped)}. "
            + ("A later one ran." if done else "The codes stayed as they were."),
            evidence=when(skipped[0].step, last.step) | _numbers(last) | {"skipped": len(skipped)},
            remedy=Remedy(
                "Collect more rows before it is due: a larger reservoir, a later start, a longer interval, or rows of all ranks. "
                "k-means "
                "needs more rows than codes, and some 10 to 40 for each. A smaller book needs fewer. If use is sound without it, "
                "switch "
                "it off."
            ),
            next="Count the rows that the reservoir holds when it is due: is it emptied, or filled on one rank only?",
        )


def _was_needed(event: Event) -> bool:
    """Not a refused expansion, nor one that found nothing to do."""
    return event.detail.get("action") != "expansion" and event.detail.get("reason") != "no code is under the threshold"


def _reason(event: Event) -> str:
    samples, codes = (finite(event.detail.get(name)) for name in ("samples", "codes"))
    if samples is not None and codes is not None and samples <= codes:
        return f"{number(samples).replace(' ', '')} < {number(codes).replace(' ', '')} samples, too few for k-means"
    reason = event.detail.get("reason")
    return printable(reason) if isinstance(reason, str) and reason.strip() else "the log does not say why"


def _times(skipped: list[Event]) -> str:
    return f" ({len(skipped)} times so far)" if len(skipped) > 1 else ""


def _at(event: Event) -> str:
    return "" if event.step is None else f" at step {number(event.step)}"


def _numbers(event: Event) -> dict[str, float]:
    known = {name: finite(event.detail.get(name)) for name in ("samples", "codes")}
    return {name: value for name, value in known.items() if value is not None}


def _places(events: tuple[Event, ...]) -> list[Place]:
    """The codebooks that events name, in their order."""
    found: dict[Place, None] = {}
    for event in events:
        quantizer, level = event.detail.get("quantizer"), event.detail.get("level")
        found[(quantizer if isinstance(quantizer, str) else None, level if isinstance(level, int) else None)] = None
    return list(found)


def _where(run: LiveRun, place: Place) -> str:
    """As the codebook's curve is called, where there is one."""
    quantizer, index = place
    named = [level for level in run.levels if index in (None, level.index) and quantizer in (None, level.quantizer)]
    if named and index is not None:
        return named[0].where
    name = printable(quantizer or (named[0].quantizer if named else None) or "codebook")
    return name if index is None else f"{name}[{index}]"


SKIPPED = Rule(
    id="VQ502",
    name="reinit-skipped",
    title="A re-initialisation of a codebook was due and was skipped.",
    lead="collapse",
    subject=LiveRun,
    check=check_skipped,
    thresholds={"times": Threshold(1, "times skipped", "at or above: warning; info once one has run after it")},
    needs=("samples", "codes"),
)


def check_never(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """Re-initialisation is switched on, its time has passed, and the log has neither one nor a reason."""
    last, interval = run.last_step, _interval(run)
    if last is None or interval is None or run.happened("kmeans-reinit", "skipped"):
        return
    first = max(interval, _setting(run, "reinit_start") or 0.0, _setting(run, "warmup_steps") or 0.0)
    stop = _setting(run, "reinit_stop")
    if last < first + limits["grace"] * interval or (stop is not None and stop < first):
        return
    begun = run.happened("kmeans-begin")
    yield NEVER.finding(
        _where(run, (None, None)),
        "warning",
        f"Re-initialisation every {plural(interval, 'step')} is switched on, and by step {number(last)} "
        + ("one had begun and none had ended." if begun else "none has run, nor has one been skipped."),
        evidence=when(first, last) | {"interval": interval},
        remedy=Remedy(
            "Look at what calls it: a hook that the training loop never reaches, steps counted in another unit (epochs, "
            "optimiser steps "
            "under accumulation), a guard on the rank or on train mode, an exception that is swallowed. Write a line each time "
            "it runs "
            "or is skipped."
        ),
        next="Set the interval to 1 for ten steps: a re-initialisation that works shows at once, as a jump of perplexity.",
    )


def _interval(run: LiveRun) -> float | None:
    enabled = run.happened("kmeans-enabled")
    stated = finite(enabled[-1].detail.get("interval")) if enabled else None
    interval = stated if stated is not None else _setting(run, "reinit_interval")
    return interval if interval is not None and interval > 0 else None


def _setting(run: LiveRun, name: str) -> float | None:
    return next((value for value in map(finite, settings(run.config, {name})) if value is not None), None)


NEVER = Rule(
    id="VQ508",
    name="reinit-never-ran",
    title="Re-initialisation is switched on and never ran.",
    lead="collapse",
    subject=LiveRun,
    check=check_never,
    thresholds={"grace": Threshold(0.5, "intervals", "after it was first due, without a trace in the log: warning")},
    needs=("interval",),
)


def check_often(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """Most intervals between re-initialisations end before the loss is back where it was before them."""
    loss = run.scalar("loss.reconstruction") or run.scalar("loss")
    if loss is None or len(loss.starts) > 1:
        return
    for place in _places(run.happened("kmeans-reinit")):
        own = (event.step for event in of_level(run.happened("kmeans-reinit"), *place) if event.step is not None)
        steps = np.unique(np.fromiter(own, float))
        known = [back for step, following in pairwise(steps) if (back := _regained(loss, step, following)) is not None]
        lost = known.count(False)
        if lost < limits["times"] or lost < limits["share"] * len(known):
            continue
        interval = float(np.median(np.diff(steps)))
        yield OFTEN.finding(
            _where(run, place),
            "warning",
            f"Re-initialised every {plural(interval, 'step')}, and after {lost} of {len(known)} times "
            f"({percent(lost / len(known))}) the loss was not yet back where it had been when the next one came.",
            evidence=when(float(steps[0]), float(steps[-1])) | {"interval": interval, "count": lost},
            remedy=Remedy(
                "Lengthen the interval until the loss recovers within half of it, stop re-initialising after the early phase "
                "(reinit_stop), or replace only the codes that starve. A cure that has to be repeated hides its cause: look at "
                "VQ503."
            ),
            next="Let one interval run four times as long: where the loss comes back tells the interval.",
        )


_FEW = 3  # points of a loss that its level is read from


def _regained(loss: Series, step: float, following: float) -> bool | None:
    """Whether a loss was, before `following`, as low as before `step`; None where too few points lie on either side."""
    at, end = np.searchsorted(loss.steps, [step, following], side="right")
    before, after = loss.values[max(0, at - _FEW) : at], loss.values[at:end]
    if len(before) < _FEW or len(after) < 2 * _FEW:
        return None
    return bool(np.median(after[-_FEW:]) <= 1.1 * np.median(before))


OFTEN = Rule(
    id="VQ509",
    name="reinit-too-often",
    title="Re-initialisations come before the loss has recovered from the last.",
    lead="collapse",
    subject=LiveRun,
    check=check_often,
    thresholds={
        "times": Threshold(3, "intervals", "without recovery, at least"),
        "share": Threshold(2 / 3, "share of intervals", "without recovery, at or above: warning"),
    },
    needs=("interval", "count"),
)

"""VQ501, VQ503, VQ506: a codebook that falls while training goes on, falls again after each re-initialisation, or is made larger
while it is down.

Judged from one curve a codebook (`diagnosis.curves`) by the detector in `diagnosis.drift`. A re-initialisation is no alarm, a
relapse is. Source: simulations of theory §8, reproduced by `benchmarks/live_rules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from operator import lt

import numpy as np

from vqdoctor.diagnosis.curves import Curve, LiveLevel
from vqdoctor.diagnosis.drift import WINDOW, Drift, Segment, judge_curve
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.live_causes import live_advice
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent, plural, sentences
from vqdoctor.model import Event, Finding, Remedy

FALLS = {
    "drop": Threshold(math.log(2), "nats of perplexity", "a fall of the median of 5 points from the best of its segment: an alarm"),
    "jump": Threshold(0.5, "nats of perplexity", "one step up by this much begins a new segment, like a re-initialisation"),
    "noise": Threshold(0.18, "nats, sd of a point", "above: points are pooled before they are judged"),
    "noise_sigmas": Threshold(7.0, "sd of the pooled noise", "a fall must be this large too"),
}


def check_onset(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """Use fell from its own best and is still down, or is down to a few codes, or never rose from there."""
    for level in run.levels:
        if level.curve is not None:
            finding = _down(run, level, level.curve, limits) or _fallen(run, level, level.curve, limits)
            if finding is not None:
                yield finding


def _down(run: LiveRun, level: LiveLevel, curve: Curve, limits: Limits) -> Finding | None:
    """The absolute state: under a few codes, or a small share of those that could be."""
    bound = _bound(level, limits)
    if bound is None or len(curve.values) < WINDOW or not (curve.values[-WINDOW:] < math.log(bound)).all():
        return None
    above = np.flatnonzero(curve.values >= math.log(bound))
    at = int(above[-1]) + 1 if len(above) else 0
    never = not len(above) or above[-1] < WINDOW
    if never and len(curve.values) < max(WINDOW, limits["stuck"]):
        return None
    onset, alarm = (at, at) if never else _before(curve, at, limits)
    best = float(np.exp(curve.values[: at + 1].max()))
    began = "and has been so from the start" if never else f"and has been under {number(bound)} since step {_step(curve, at)}"
    message = f"{_stands(level, curve)} {began}: collapsed."
    if not never:
        message = f"{message} It began to fall at step {_step(curve, onset)}, from {number(best)}."
    return _told(run, level, curve, "error", message, onset, alarm, {"best": best, "bound": bound}, None if never else onset)


def _before(curve: Curve, at: int, limits: Limits) -> tuple[int, int]:
    """Where the fall that ended in collapse at point `at` began, and where it was certain."""
    drift = judge_curve(curve.values, curve.starts, limits)
    if drift is None or drift.segments[-1].alarm is None:
        return at, at
    segment = drift.segments[-1]
    return min(at, int(drift.firsts[_onset(drift, segment)])), min(at, int(drift.firsts[segment.alarm or 0]))


def _bound(level: LiveLevel, limits: Limits) -> float | None:
    """Perplexity under which a book is collapsed; None where K is not known. Of K only what the rows of a measurement can show
    counts, and never more than half of a tiny book."""
    if level.codes is None or level.codes < 2 or level.curve is None or not level.curve.absolute:
        return None
    batch = ".batch_" in level.curve.metric
    attainable = level.codes if not batch and level.rows is None else min(level.codes, level.rows or 0)
    return min(max(limits["perplexity"], limits["perplexity_share"] * attainable), level.codes / 2)


def _fallen(run: LiveRun, level: LiveLevel, curve: Curve, limits: Limits) -> Finding | None:
    """The newest segment has had its alarm, and use has not come back since."""
    drift = judge_curve(curve.values, curve.starts, limits)
    if drift is None or drift.segments[-1].alarm is None:
        return None
    segment = drift.segments[-1]
    fall = segment.best - segment.last
    if fall < drift.limit / 2:
        return None
    onset, alarm = int(drift.firsts[_onset(drift, segment)]), int(drift.firsts[segment.alarm or 0])
    message = (
        f"Perplexity fell from {number(math.exp(segment.best))} to {number(math.exp(segment.last))}{_of(level)}, beginning at "
        f"step "
        f"{_step(curve, onset)}; it was certain at step {_step(curve, alarm)}."
    )
    if curve.metric.endswith(("used", "utilization")):
        message = message.replace("Perplexity", f"Use ({curve.metric})", 1)
    severity = "error" if fall >= limits["error"] else "warning"
    best = math.exp(segment.best)
    return _told(run, level, curve, severity, message, onset, alarm, {"best": best, "pooled": drift.group * curve.group}, onset)


def _told(
    run: LiveRun, level: LiveLevel, curve: Curve, severity: str, message: str, onset: int, alarm: int, more: dict[str, float],
    fell: int | None,
) -> Finding:  # fmt: skip
    first = float(curve.steps[onset])
    shortly = max(float(curve.steps[alarm]) - first, _gap(curve) * WINDOW)
    advice = live_advice(run, level, None if fell is None else first, shortly)
    evidence = when(first, float(curve.steps[-1])) | {"alarm_step": float(curve.steps[alarm])}
    return ONSET.finding(
        level.where,
        severity,
        sentences(message, _basis(curve)),
        evidence=evidence | _facts(level, curve) | more,
        remedy=run.repair(advice, "--kmeans", level=level),
        next="Compare the checkpoints before and after that step (vqdoctor compare A B): which codes died, and what moved: the "
        "codes or the encoder's outputs?",
    )


def _facts(level: LiveLevel, curve: Curve) -> dict[str, object]:
    known = {"basis": curve.metric, "now": _now(curve), "codes": level.codes}
    return {name: value for name, value in known.items() if value is not None}


def _now(curve: Curve) -> float:
    return float(np.exp(np.median(curve.values[-WINDOW:])))


def _stands(level: LiveLevel, curve: Curve) -> str:
    return f"Perplexity is {number(_now(curve))}{_of(level)}"


def _of(level: LiveLevel) -> str:
    return f" of {plural(level.codes, 'code')}" if level.codes else ""


def _basis(curve: Curve) -> str | None:
    """What a reader has to know of the curve where it is not plain perplexity of many rows."""
    if curve.metric.endswith(("used", "utilization")):
        return f"The log tells only {curve.metric}: codes that are hit, however rarely."
    return f"From {curve.metric}: one batch a point." if ".batch_" in curve.metric else None


def _step(curve: Curve, at: int) -> str:
    return number(float(curve.steps[at]))


def _gap(curve: Curve) -> float:
    return float(np.median(np.abs(np.diff(curve.steps)))) if len(curve.steps) > 1 else 0.0


def _onset(drift: Drift, segment: Segment) -> int:
    """Where the fall began: the last point before the alarm that stood near the best."""
    end = segment.end if segment.alarm is None else segment.alarm
    near = np.flatnonzero(drift.curve[segment.start : end] >= segment.best - drift.limit / 4)
    return segment.start + (int(near[-1]) if len(near) else 0)


ONSET = Rule(
    id="VQ501",
    name="collapse-onset",
    title="Real use of a codebook falls and stays down, or never rose.",
    lead="collapse",
    subject=LiveRun,
    check=check_onset,
    thresholds={
        **FALLS,
        "error": Threshold(math.log(10), "nats of perplexity", "a fall at or above: error, else warning"),
        "perplexity": Threshold(2.0, "codes", "perplexity below for 5 points: collapsed, error"),
        "perplexity_share": Threshold(0.05, "share of K", "below for 5 points: collapsed, error; of the rows where fewer"),
        "stuck": Threshold(10, "points", "a book that never rose is judged from here on"),
    },
    needs=tuple(f"usage.{name}" for name in ("perplexity", "batch_perplexity", "entropy_bits", "batch_entropy_bits",
          "entropy_normalized", "batch_entropy_normalized", "used", "batch_used", "utilization", "batch_utilization", "n")),
)  # fmt: skip


def check_relapse(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """Segments that follow each other and each end in an alarm, or a newest one that did not get near an earlier best."""
    for level in run.levels:
        curve = level.curve
        drift = judge_curve(curve.values, curve.starts, limits) if curve is not None else None
        if curve is None or drift is None:
            continue
        alarmed = _relapses(drift, limits)
        if alarmed:
            yield _relapse(run, level, curve, drift, alarmed)
        elif (earlier := _unrecovered(drift, limits)) is not None:
            yield _short(run, level, curve, drift, earlier)


def _relapses(drift: Drift, limits: Limits) -> list[Segment]:
    """The last such row of segments, unless the one after it has by now held for longer than any of them."""
    rows = [list(row) for fell, row in groupby(drift.segments, key=lambda segment: segment.alarm is not None) if fell]
    if not rows or len(rows[-1]) < limits["segments"]:
        return []
    newest, row = drift.segments[-1], rows[-1]
    held = newest.end - newest.start if newest.alarm is None else 0
    return [] if held > max((segment.alarm or 0) - segment.start for segment in row) else row


def _unrecovered(drift: Drift, limits: Limits) -> Segment | None:
    """The earlier segment that the newest, once it has a reference, stays far below."""
    newest, earlier = drift.segments[-1], drift.segments[:-1]
    if not earlier or newest.end - newest.start <= 2 * WINDOW:
        return None
    best = max(earlier, key=lambda segment: segment.best)
    return best if best.alarm is not None and newest.best < best.best - max(limits["drop"], drift.limit) else None


def _relapse(run: LiveRun, level: LiveLevel, curve: Curve, drift: Drift, row: list[Segment]) -> Finding:
    alarms = [_at(curve, drift, segment.alarm or 0) for segment in row]
    troughs = ", ".join(number(math.exp(segment.lowest)) for segment in row[-5:])
    onset = _at(curve, drift, _onset(drift, row[0]))
    return RELAPSE.finding(
        level.where,
        "error",
        f"Use came back {plural(len(row) - 1, 'time')} and fell each time: {len(row)} falls in a row, the last at step "
        f"{number(alarms[-1])}, down to perplexity {troughs}. Each revival only hides a cause that persists.",
        evidence=when(onset, float(curve.steps[-1])) | {"alarms": alarms, "basis": curve.metric},
        remedy=Remedy(live_advice(run, level, onset, _gap(curve) * WINDOW)),
        next="Stop re-initialising for one run and find what pulls the codes together: the gradient of the encoder first.",
    )


def _short(run: LiveRun, level: LiveLevel, curve: Curve, drift: Drift, earlier: Segment) -> Finding:
    newest = drift.segments[-1]
    onset = _at(curve, drift, newest.start)
    return RELAPSE.finding(
        level.where,
        "warning",
        f"Since step {number(onset)} perplexity reached {number(math.exp(newest.best))} at most, after "
        f"{number(math.exp(earlier.best))} "
        "before it fell: the re-initialisation did not bring the use back.",
        evidence=when(onset, float(curve.steps[-1]))
        | {"best": math.exp(earlier.best), "now": math.exp(newest.last), "basis": curve.metric},
        remedy=Remedy(live_advice(run, level, onset, _gap(curve) * WINDOW)),
    )  # fmt: skip


def _at(curve: Curve, drift: Drift, point: int) -> float:
    return float(curve.steps[drift.firsts[point]])


RELAPSE = Rule(
    id="VQ503",
    name="reinit-relapse",
    title="Use falls again after each re-initialisation, or does not come back.",
    lead="collapse",
    subject=LiveRun,
    check=check_relapse,
    thresholds={**FALLS, "segments": Threshold(2, "segments", "this many in a row that end in a fall: error")},
    needs=ONSET.needs,
)


def check_expansion(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The book was made larger while few of its codes were in use."""
    for level in run.levels:
        for event in level.events:
            if event.kind == "expanded" and (use := _use_at(level, event, limits)) is not None and use < limits["warn"]:
                yield _expanded(level, event, use, grade(use, limits, lt) or "warning")
                break


def _use_at(level: LiveLevel, event: Event, limits: Limits) -> float | None:
    """Share of the codes in real use when it happened: as the event says, else the last that was logged before."""
    stated = event.detail.get("utilization")
    if isinstance(stated, int | float) and 0 <= stated <= 1:
        return float(stated)
    step = math.inf if event.step is None else event.step
    if (use := level.latest("usage.utilization", step)) is not None:
        return use
    batch, before = level.latest("usage.batch_used", step), event.detail.get("codes_before")
    if batch is None or level.rows is None or not isinstance(before, int) or before < 1:
        return None
    return batch / min(before, level.rows)


def _expanded(level: LiveLevel, event: Event, use: float, severity: str) -> Finding:
    before, after = (event.detail.get(name) for name in ("codes_before", "codes"))
    sizes = f" from {number(before)} to {number(after)}" if isinstance(before, int) and isinstance(after, int) else ""
    claimed = level.latest("ema.utilization", math.inf if event.step is None else event.step)
    seen = f" The running counts said {percent(claimed)}." if claimed is not None and claimed > 2 * use else ""
    return EXPANSION.finding(
        level.where,
        severity,
        f"The book was enlarged{sizes} while {percent(use)} of it was in use.{seen} More codes cure no collapse.",
        evidence=when(event.step) | {"usage.utilization": use} | ({"ema.utilization": claimed} if claimed is not None else {}),
        remedy=Remedy(
            "Go back to the checkpoint before it. Expand only while real use (not the running count) is above a half, and find "
            "first "
            "why the codes at hand were not used (VQ501, VQ103)."
        ),
    )


EXPANSION = Rule(
    id="VQ506",
    name="expansion-while-collapsed",
    title="A codebook was enlarged while few of its codes were in use.",
    lead="collapse",
    subject=LiveRun,
    check=check_expansion,
    thresholds={
        "warn": Threshold(0.5, "share of K in real use", "below when it was enlarged: warning"),
        "error": Threshold(0.1, "share of K in real use", "below when it was enlarged: error"),
    },
    needs=("usage.utilization", "usage.batch_used", "ema.utilization"),
)

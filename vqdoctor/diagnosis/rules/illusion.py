"""VQ103: the run's own counter says "in use" of codes that no row uses.

A running count decays slowly and, under Laplace smoothing, never reaches zero, so the tracker that most code bases print reads 100
% for hundreds of steps into a total collapse. What is compared is conservative: the tracker's own share against the upper end of
what the sample leaves possible, and only from 3·K rows on. Source: N ← γN + (1−γ)·hits solved for N < threshold; see
vqdoctor.metrics.ema.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import ge

import numpy as np

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.curves import LiveLevel
from vqdoctor.diagnosis.drift import WINDOW
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent, plural, sentences
from vqdoctor.metrics.ema import ema_life
from vqdoctor.model import EmaFacts, Finding, Remedy


def check_illusion(case: Case, limits: Limits) -> Iterator[Finding]:
    """The run's own counter says "in use" of codes that no row uses."""
    for level in case.levels:
        severity = grade(level.value("ema.illusion_gap_conservative"), limits, ge)
        if severity is None or not level.sampled(limits["rows_per_code"]):
            continue
        yield ILLUSION.finding(
            level.where,
            severity,
            sentences(_counted(level), _lingering(level), "The run's own monitor cannot see what is not used."),
            evidence=level.evidence(*ILLUSION.needs),
            confidence=case.trust,
            remedy=Remedy(_ILLUSION_REMEDY),
            next="Count the distinct codes of one fresh batch (usage.batch_used) beside the tracker's number: they must agree.",
        )


_ILLUSION_REMEDY = (
    "Judge by real use (usage.utilization, usage.perplexity), not by ema.utilization: log the codes that each batch really hits. "
    "Then treat what real use shows (VQ101, VQ102). A lower decay only shortens the delay; subtracting the starting mass m·γ^t "
    "removes it."
)


def _counted(level: Level) -> str:
    active, used = level.value("ema.active"), level.value("usage.used")
    how_many = f"{number(active)} of {number(level.codes)} codes" if active is not None else "codes"
    counted = f"EMA counts {how_many} active"
    rows = f"{number(level.rows)} real {level.case.unit}"
    return f"{counted}; {rows} use {number(used)}." if used is not None else f"{counted} that {rows} do not use."


def _lingering(level: Level) -> str | None:
    """How long a count outlives its last hit, at the family's decay."""
    facts = level.case.quantizer.ema if level.case.quantizer else None
    threshold = level.value("ema.threshold")
    if facts is None or threshold is None or facts.counts == "countdown":
        return None
    if facts.counts == "cumulative":
        return "Its counts never decay: one hit, ever, is enough."
    mass = _mass(level, facts)
    if not facts.decay or not 0 < facts.decay < 1 or mass is None or not 0 < threshold < mass:
        return None
    life = ema_life(mass, threshold, facts.decay)
    if life is None:
        return None
    stock = "" if facts.basis == "stated" else " (the family's stock decay: --ema-decay states yours)"
    start = "A count of 1" if mass == 1 else f"A code at the mean count of {number(mass)}"
    return f"{start} that is never hit again stays over {threshold:g} for {number(life)} steps at decay {facts.decay:g}{stock}."


def _mass(level: Level, facts: EmaFacts) -> float | None:
    """What an unused code's count plausibly fell from: 1 where a threshold below it is used, else the mean count."""
    threshold, total = level.value("ema.threshold") or 0, level.value("ema.total")
    if threshold < 1 and facts.counts == "ema" and facts.threshold_unit == "absolute":
        return 1.0
    return total / level.codes if total and level.codes else None


def check_live_illusion(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The same in a log: the newest running count beside the newest real use. One batch is weak evidence and has a limit of its
    own. A codebook of which several parts of a run tell the same is told of once."""
    told: dict[tuple[str | None, int | None], str] = {}
    for level in run.levels:
        seen = _pooled_use(level, limits) or _batch_use(level, limits)
        if seen is None:
            continue
        real, metric = seen
        claimed = _claimed(level, float(level.series[metric].steps[-1]))
        if claimed is None:
            continue
        batch, codes = ".batch_" in metric, _codes(level) or 0
        severity = grade(claimed - real, limits, ge, "batch" if batch else "warn", "batch_error" if batch else "error")
        place = (level.quantizer, level.index)
        if severity is None or told.get(place) in (severity, "error"):
            continue
        told[place] = severity
        onset, last = _apart(level, limits)
        yield ILLUSION.finding(
            level.where,
            severity,
            f"The running counts call {percent(claimed)} of {'' if level.codes else 'at least '}{plural(codes, 'code')} active; "
            f"real {_reached(level, real, limits) if batch else f'rows use {percent(real)}'}. The run's own monitor cannot see "
            "what is not used.",
            evidence=when(onset, last) | {"ema.utilization": claimed, metric: level.latest(metric), "codes": codes},
            confidence="likely" if batch else "certain",
            remedy=Remedy(_ILLUSION_REMEDY),
            next="Count the distinct codes of one fresh batch (usage.batch_used) beside the tracker's number: they must agree.",
        )


def _codes(level: LiveLevel) -> int | None:
    """K, or the most codes that the running counts ever called active, which a book has at least; None where neither is told."""
    active = level.series.get("ema.active")
    least = float(active.values.max()) if active is not None and len(active.values) else 0.0
    return level.codes or (int(least) if 1 < least < 1 << 40 else None)


def _claimed(level: LiveLevel, step: float) -> float | None:
    """The share of codes that the running counts call active, at the step at which real use was seen."""
    share, active, codes = level.latest("ema.utilization", step), level.latest("ema.active", step), _codes(level)
    if codes is None or codes < 2:
        return None
    return share if share is not None else None if active is None else active / codes


def _pooled_use(level: LiveLevel, limits: Limits) -> tuple[float, str] | None:
    """Real use of a sample that can judge: of which the log tells no size, or one of at least `rows_per_code`·K."""
    rows, use = level.latest("usage.n"), level.latest("usage.utilization")
    if use is None or level.codes is None or (rows is not None and rows < limits["rows_per_code"] * level.codes):
        return None
    reach = level.latest("usage.reachable_high")
    return (max(use, reach / level.codes) if reach is not None else use), "usage.utilization"


def _batch_use(level: LiveLevel, limits: Limits) -> tuple[float, str] | None:
    """The codes of a batch as a share of those that so many even rows would hit; the median of the newest five."""
    metric = next((name for name in ("usage.batch_used", "usage.batch_utilization") if name in level.series), None)
    codes = level.codes if metric == "usage.batch_utilization" else _codes(level)
    if metric is None or len(level.series[metric].values) < WINDOW or codes is None or codes < 2:
        return None
    newest = float(np.median(level.series[metric].values[-WINDOW:]))
    used = newest if metric == "usage.batch_used" else newest * codes
    rows = level.rows or limits["batch_rows"]
    expected = codes * -math.expm1(rows * math.log1p(-1 / codes))
    return min(1.0, used / expected), metric


def _reached(level: LiveLevel, share: float, limits: Limits) -> str:
    """What batches show, and of which size they are taken to be."""
    if level.rows:
        return f"batches reach {percent(share)} of what their size allows"
    rows = plural(limits["batch_rows"], "row")
    return f"batches reach {percent(share)} of what {rows} would allow (their size is not in the log)"


def _apart(level: LiveLevel, limits: Limits) -> tuple[float | None, float | None]:
    """From where on the running counts and the use of the same steps have been apart by `warn`, and the last such step."""
    claims = level.series.get("ema.utilization") or level.series.get("ema.active")
    real = next((level.series[name] for name in ("usage.utilization", "usage.batch_utilization") if name in level.series), None)
    if claims is None or real is None or level.codes is None:
        return None, None
    scale = 1 if claims.meaning.metric == "ema.utilization" else level.codes
    at = np.searchsorted(claims.steps, real.steps, side="right") - 1
    gap = np.where(at >= 0, claims.values[np.maximum(at, 0)] / scale - real.values, 0.0)
    together = np.flatnonzero(gap < limits["warn"])
    first = min(int(together[-1]) + 1 if len(together) else 0, len(real.steps) - 1)
    return float(real.steps[first]), float(real.steps[-1])


ILLUSION = Rule(
    id="VQ103",
    name="ema-illusion",
    title="The running counts call codes active that real rows do not use.",
    lead="ema",
    check=check_illusion,
    also={LiveRun: check_live_illusion},
    thresholds={
        "warn": Threshold(0.1, "share of K", "ema.illusion_gap_conservative at or above: warning"),
        "error": Threshold(0.5, "share of K", "ema.illusion_gap_conservative at or above: error"),
        "rows_per_code": Threshold(3.0, "rows per code", "fewer, and not a population: not judged"),
        "batch": Threshold(0.75, "share of K", "ema.utilization over a batch's share of what its size allows: warning (logs)"),
        "batch_error": Threshold(0.9, "share of K", "the same: error (logs)"),
        "batch_rows": Threshold(16, "rows", "that a batch is taken to have at least, where a log does not say (logs)"),
    },
    needs=("ema.illusion_gap_conservative", "ema.illusion_gap", "ema.active", "ema.utilization", "ema.threshold", "ema.total",
           "ema.thresholds", "usage.n", "usage.used", "usage.batch_used", "usage.batch_utilization",
           "usage.utilization", "usage.reachable_high"),
)  # fmt: skip

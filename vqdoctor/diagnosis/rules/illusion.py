"""VQ103: the run's own counter says "in use" of codes that no row uses.

A running count decays slowly and, under Laplace smoothing, never reaches zero, so the tracker that most code bases print reads 100
% for hundreds of steps into a total collapse. What is compared is conservative: the tracker's own share against the upper end of
what the sample leaves possible, and only from 3·K rows on. Source: N ← γN + (1−γ)·hits solved for N < threshold; see
vqdoctor.metrics.ema.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import ge

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, sentences
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


ILLUSION = Rule(
    id="VQ103",
    name="ema-illusion",
    title="The running counts call codes active that real rows do not use.",
    lead="ema",
    check=check_illusion,
    thresholds={
        "warn": Threshold(0.1, "share of K", "ema.illusion_gap_conservative at or above: warning"),
        "error": Threshold(0.5, "share of K", "ema.illusion_gap_conservative at or above: error"),
        "rows_per_code": Threshold(3.0, "rows per code", "fewer, and not a population: not judged"),
    },
    needs=("ema.illusion_gap_conservative", "ema.illusion_gap", "ema.active", "ema.utilization", "ema.threshold", "ema.total",
           "ema.thresholds", "usage.n", "usage.used", "usage.utilization", "usage.reachable_high"),
)  # fmt: skip

"""VQ301–VQ306: the running state beside the book, and what it will do to the book in the next training step.

An EMA codebook is a cache: the codes follow from sums and counts, so whatever writes one without the others is undone one step
later, and a start flag that is missing lets k-means write over trained codes. All of it shows in one checkpoint. What only the
family's stock code would do is said as likely or possible, since a file cannot prove which code wrote it. Sources:
facebookresearch/encodec and audiocraft core_vq.py, lucidrains/vector-quantize-pytorch, espnet#6284,
facebookresearch/multimodal#235, WavTokenizer#82.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import gt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.remedy import refit, repair
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent, plural, rows, sentences
from vqdoctor.metrics.ema import CHURN, chance_below, threshold_feasibility
from vqdoctor.metrics.precision import EPSILON
from vqdoctor.model import EmaFacts, Finding, Remedy

_HALF_ULP = {kind: gap / 4 for kind, gap in EPSILON.items() if gap > EPSILON["float32"]}
"""Of the coarse types, at the end of an octave: a smaller relative step rounds back to where it started."""


def _facts(case: Case) -> EmaFacts:
    """What the family's counts mean; of an unknown family nothing."""
    return (case.quantizer.ema if case.quantizer else None) or EmaFacts()


def check_consistency(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes that are not what their sums and counts say."""
    facts = _facts(case)
    for level in case.books:
        apart = level.value("ema.inconsistent_rows") or 0
        replaced = level.amount("ema.inconsistent_dead") == apart
        if apart < limits["rows"] or level.codes < 1 or (replaced and facts.revival == "late"):
            continue
        yield INCONSISTENT.finding(
            level.where,
            grade(apart / level.codes, limits, gt) or "warning",
            sentences(
                f"{plural(apart, 'code')} of {number(level.codes)} ({percent(apart / level.codes)}) differ from sum / count"
                f"{rows(level.listed('inconsistent'), apart)}: the next training step writes the old codes back.",
                "All of them are under the dead-code threshold: replaced codes whose sums were not reset." if replaced else None,
            ),
            evidence=level.evidence(*INCONSISTENT.needs),
            remedy=repair(
                "Causes first: a repair or reset that wrote codes without their sums and counts, sums kept in lower precision "
                "(VQ304), codes that also get a gradient. For inference nothing is lost; before training on, write sum = code × "
                "count.",
                case,
                "--sync-ema",
                level=level,
            ),
            next="Run one training step and compare the rows: back at their old place means the sums still hold them.",
        )


def check_feasible(case: Case, limits: Limits) -> Iterator[Finding]:
    """A dead-code threshold that even uniform use cannot meet."""
    facts = _facts(case)
    if facts.counts not in ("ema", "smoothed") or not facts.threshold or facts.threshold <= 0 or facts.revival == "none":
        return
    for level in case.books:
        mean, threshold, needed = _bar(level, facts, limits)
        chance = _chance(mean or 0.0, threshold, facts)
        if mean is None or mean >= needed or chance <= limits["churn"]:
            continue
        yield INFEASIBLE.finding(
            level.where,
            _infeasible(mean, threshold, facts),
            _flags(level, mean, threshold, needed, chance, facts),
            evidence=level.evidence(*INFEASIBLE.needs),
            confidence="certain" if facts.basis == "stated" else "likely",
            remedy=Remedy(
                f"More rows a step{_rows_needed(level, needed, facts)}. Do not read these codes as dead, and reset nothing on this "
                "count."
            ),
            next="Count how many codes the run replaces in one step: if it is most of the book every time, this is why.",
        )


def _bar(level: Level, facts: EmaFacts, limits: Limits) -> tuple[float | None, float, float]:
    """Mean count, threshold, and the mean count that keeps evenly used codes over it; in a steady state the counts add up to a
    step's rows."""
    total, threshold = level.value("ema.total"), level.value("ema.threshold")
    if not total or total < 0 or threshold is None or level.codes < 2:
        return None, 0.0, 0.0
    even = threshold_feasibility(total, level.codes, min(max(facts.decay or 0.0, 0.0), 1.0), threshold)
    return even["mean"], threshold, threshold + limits["deviations"] * even["deviation"]


def _is_relative(facts: EmaFacts) -> bool:
    return facts.threshold_unit == "uniform"


def _chance(mean: float, threshold: float, facts: EmaFacts) -> float:
    """Share of evenly used codes that a relative threshold takes at any time, at most; 1 where only deviations can be judged."""
    return chance_below(mean, min(max(facts.decay or 0.0, 0.0), 1.0), threshold) if _is_relative(facts) else 1.0


def _rows_needed(level: Level, needed: float, facts: EmaFacts) -> str:
    """How many, and what else helps."""
    if _is_relative(facts):
        return ", a slower decay, a smaller K, or a lower share of the mean count"
    return (
        f" (at least {number(math.ceil(needed * level.codes))}), a smaller K, or a threshold relative to uniform use (0.1 × the "
        "mean count, as Moshi does)"
    )


def _infeasible(mean: float, threshold: float, facts: EmaFacts) -> str:
    """Churn for certain is an error; where a family undoes its own replacement it changes nothing."""
    if facts.revival == "undone":
        return "info"
    return "error" if mean < threshold and facts.basis == "stated" else "warning"


def _flags(level: Level, mean: float, threshold: float, needed: float, chance: float, facts: EmaFacts) -> str:
    stock = "" if facts.basis == "stated" else ", this family's stock value"
    told = f"The mean count is {number(mean)}; the dead-code test is count < {threshold:g}{stock}."
    if mean < threshold:
        told += " Even evenly used codes fail it: most of the book is called dead and replaced at every check."
    elif _is_relative(facts):
        told += (
            f" Up to {percent(chance)} of evenly used codes fail it by chance at any check: codes in good use keep being replaced."
        )
    else:
        told += f" Evenly used codes fail it by chance until the mean is {number(needed)}: codes in good use keep being replaced."
    active, used = level.value("ema.active"), level.value("usage.used")
    if active is not None and used is not None and used > active:
        told += f" Indeed {number(used)} codes are in real use where the counts admit {number(active)}."
    return told + (
        " This family's stock code undoes the replacement in the same step (VQ306)." if facts.revival == "undone" else ""
    )


def check_initialised(case: Case, limits: Limits) -> Iterator[Finding]:
    """Never initialised, or about to be initialised again."""
    for level in case.books:
        state = _state(level)
        if state is None:
            continue
        severity, confidence, message = state
        yield UNINITIALISED.finding(
            level.where,
            severity,
            message,
            evidence=level.evidence(*UNINITIALISED.needs),
            confidence=confidence,
            remedy=_start(level),
            next=None
            if level.fact("all_zero")
            else "Load it, run one forward pass in training mode, and compare the codes before and after.",
        )


def _start(level: Level) -> Remedy:
    if level.fact("all_zero"):
        return Remedy(
            "Run a pass in training mode before saving or evaluating, so that the k-means start can happen; there is nothing here "
            "to repair."
        )
    text = (
        "Before training on, set the flag in the file, or build the model with its k-means start switched off when a checkpoint is "
        "loaded. Evaluation is not affected."
    )
    return repair(text, level.case, "--freeze-init", level=level) if level.fact("flag") is not None else Remedy(text)


def _state(level: Level) -> tuple[str, str, str] | None:
    """(severity, confidence, message), None where nothing is amiss."""
    kmeans = level.case.quantizer is not None and level.case.quantizer.kmeans_start
    if level.fact("all_zero"):
        return "error", "certain", f"All {number(level.codes)} codes are exactly zero: the book was never initialised."
    if "flag" in level.report.facts:
        return _flagged(level.fact("flag"), kmeans)
    if kmeans and level.case.quantizer and UNINITIALISED.id not in level.case.quantizer.defects:
        return (
            "info",
            "possible",
            "This family may start its codes by k-means and keeps no flag for it in the file: if training is resumed with that "
            "start switched on, the first batch writes over these codes.",
        )
    return None


def _flagged(flag: object, kmeans: bool) -> tuple[str, str, str] | None:
    if flag is None:
        return "warning", "likely", "The initialised flag is missing beside trained codes: the next step may start them anew."
    if flag:
        return None
    beside = "The initialised flag is 0 beside non-zero codes: the next training step"
    if kmeans:
        return "error", "certain", f"{beside} writes over them by k-means."
    return "warning", "likely", f"{beside} may start them anew."


def check_precision(case: Case, limits: Limits) -> Iterator[Finding]:
    """Counts, sums or codes in half precision, or less."""
    for level in case.books:
        kept, stored = level.fact("ema.dtype"), level.report.dtype
        if isinstance(kept, str) and kept in _HALF_ULP:
            severity, message = _rounded(level, kept)
        elif stored in _HALF_ULP:
            severity, message = "info", f"The codes are stored as {stored}: too coarse to train on or to compare distances in."
        else:
            continue
        yield PRECISION.finding(
            level.where,
            severity,
            message,
            evidence={"dtype": stored, **level.evidence("ema.dtype", "ema.total")},
            remedy=Remedy(
                "Keep the quantiser in float32 (its buffers too; exclude it from .half() and autocast) and assign in float32 after "
                "subtracting the features' mean. A checkpoint that was only exported in half precision is fine for inference in "
                "float32."
            ),
            next="Encode the same rows in float32 and in half precision: if codes flip, the model's own assignments are wrong too.",
        )


def _rounded(level: Level, kept: str) -> tuple[str, str]:
    """Severity and message for running counts of a coarse type."""
    decay = _facts(level.case).decay
    if decay is not None and 0 < 1 - decay < _HALF_ULP[kept]:
        return "error", f"Counts and sums are {kept}: at decay {decay:g} a step rounds to nothing, so every code stays active."
    return (
        "warning",
        f"Counts and sums are {kept}: counts over {2 / EPSILON[kept]:.0f} lose single hits, and small updates round away.",
    )


def check_shrunken(case: Case, limits: Limits) -> Iterator[Finding]:
    """A k-means start that stored centroids as sums beside counts of more than one."""
    facts = _facts(case)
    for level in case.books:
        found = level.amount("ema.shrunken") or 0
        severity = grade(found / level.codes, limits, gt) if level.codes > 0 else None
        if severity:
            yield _shrunken(
                level,
                severity,
                "certain",
                f"For {plural(found, 'code')} of {number(level.codes)} the sum equals the code while the count is not 1: the next "
                "step divides these codes by their count and pulls them to the origin.",
            )
        elif facts.centroid_start and (level.value("match.scale_ratio") or math.inf) < limits["scale"]:
            yield _shrunken(
                level,
                "warning",
                "possible",
                f"Codes at {number(level.value('match.scale_ratio') or 0)} × the scale of the features, in a family whose stock "
                "k-means start stores centroids where sums belong: the first EMA step then divides each by its count.",
            )


def _shrunken(level: Level, severity: str, confidence: str, message: str) -> Finding:
    return SHRUNKEN.finding(
        level.where,
        severity,
        message,
        evidence=level.evidence(*SHRUNKEN.needs),
        confidence=confidence,
        remedy=repair(
            "In the code: after k-means store sum = centroid × count (lucidrains and Moshi do). In this file: re-synchronise sums "
            "with codes.",
            level.case,
            "--sync-ema",
            level=level,
        ),
        next="Compare the median code norm right after k-means with that one step later: a fall by about the count is this defect.",
    )


def check_revival(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes that the family's own replacement should have moved, and cannot."""
    facts = _facts(case)
    for level in case.books if facts.revival == "undone" else ():
        active = level.value("ema.active")
        if active is None or level.codes < 1 or active >= level.codes:
            continue
        waiting = level.codes - active
        yield UNDONE.finding(
            level.where,
            grade(waiting / level.codes, limits, gt) or "info",
            sentences(f"{plural(waiting, 'code')} of {number(level.codes)} under the dead-code threshold.", _undoing(case)),
            evidence=level.evidence(*UNDONE.needs),
            confidence="likely",
            remedy=refit(
                "In the code: when a code is replaced, write its count and sum too (as lucidrains does; espnet#6284), after the "
                "EMA update. In this file: move the dead codes onto features together with their EMA state.",
                case,
                "--reset-dead",
                level=level,
            ),
            next="Compare two checkpoints (vqdoctor compare A B): codes under the threshold that do not move while others do "
            "prove it.",
        )


def _undoing(case: Case) -> str | None:
    """How the family undoes it, unless its layout says so itself."""
    if case.quantizer and UNDONE.id in case.quantizer.defects:
        return None
    return (
        "If trained with this family's stock code, replacement writes the code and the same step overwrites it from its old sum "
        "and count: these codes cannot come back."
    )


INCONSISTENT = Rule(
    id="VQ301",
    name="ema-inconsistent",
    title="Codes that their own sums and counts contradict.",
    lead="ema",
    check=check_consistency,
    thresholds={
        "rows": Threshold(1, "rows", "at or above: warning"),
        "error": Threshold(0.5, "share of K", "above: error"),
    },
    needs=("ema.inconsistent_rows", "ema.inconsistent_dead", "ema.total"),
    yields_to=("VQ303", "VQ305"),
)

INFEASIBLE = Rule(
    id="VQ302",
    name="ema-threshold-infeasible",
    title="A dead-code threshold that even uniform use cannot meet.",
    lead="ema",
    check=check_feasible,
    thresholds={
        "deviations": Threshold(
            4.0, "standard deviations", "mean count less than this above the threshold: warning; below it: error"
        ),
        "churn": Threshold(
            CHURN, "share of evenly used codes", "at most this under a threshold relative to the mean count: feasible all the same"
        ),
    },
    needs=("ema.total", "ema.threshold", "ema.active", "usage.used"),
)

UNINITIALISED = Rule(
    id="VQ303",
    name="uninitialised",
    title="Never initialised, or about to be initialised over trained codes.",
    lead="broken rows",
    check=check_initialised,
    needs=("flag", "all_zero"),
)

PRECISION = Rule(
    id="VQ304",
    name="low-precision-state",
    title="Counts, sums or codes kept in half precision.",
    lead="precision",
    check=check_precision,
    needs=("ema.dtype", "ema.total"),
)

SHRUNKEN = Rule(
    id="VQ305",
    name="shrunken-start",
    title="A k-means start whose next step divides the codes by their counts.",
    lead="ema",
    check=check_shrunken,
    thresholds={
        "warn": Threshold(0.05, "share of K", "above: warning"),
        "error": Threshold(0.5, "share of K", "above: error"),
        "scale": Threshold(0.5, "match.scale_ratio", "below, in a family with this start: warning"),
    },
    needs=("ema.shrunken", "match.scale_ratio"),
)

UNDONE = Rule(
    id="VQ306",
    name="undone-revival",
    title="Dead codes that the family's replacement revives and overwrites in one step.",
    lead="ema",
    check=check_revival,
    thresholds={"warn": Threshold(0.05, "share of K", "codes under the threshold above: warning (fewer: info)")},
    needs=("ema.active", "ema.threshold", "ema.total"),
)

"""VQ101, VQ102, VQ104, VQ105: how much of the book is in real use, and whether the sample can tell.

Collapse is provable from few rows (two codes for a thousand rows cannot be chance); the death of one code is not (an unseen code
may be rare). So VQ101 judges from 100 rows on, VQ102 only by verdicts that the sample's size has already been put into, and VQ105
says what the sample leaves open. Source: Chao & Jost 2012; Grassberger 2003; "rule of three" for the rate of what was not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt, lt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.causes import advice, probe
from vqdoctor.diagnosis.remedy import refit
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade, gravest
from vqdoctor.diagnosis.words import number, percent, plural, sentences
from vqdoctor.model import Finding, Remedy


def check_collapse(case: Case, limits: Limits) -> Iterator[Finding]:
    """A few codes take all the rows."""
    for level in case.levels:
        severity = _collapsed(level, limits)
        if severity is None:
            continue
        yield COLLAPSE.finding(
            level.where,
            severity,
            sentences(_takes(level), _spread(level)),
            evidence=level.evidence(*COLLAPSE.needs),
            confidence=case.trust,
            remedy=refit(advice(level), case, "--kmeans", level=level),
            next=probe(case),
        )


def _collapsed(level: Level, limits: Limits) -> str | None:
    if level.rows < limits["rows"] or level.codes < 2:
        return None
    adjusted = grade(level.value("usage.adjusted"), limits, lt)
    if adjusted == "error" or _narrow(level, limits) or _dominated(level, limits):
        return "error"
    return adjusted if level.rows >= level.codes else None


def _narrow(level: Level, limits: Limits) -> bool:
    """Perplexity, at the upper end of its interval, under a few codes or a small share of K; never more than half of a tiny
    book."""
    perplexity = level.value("usage.perplexity_high")
    if perplexity is None:
        perplexity = level.value("usage.perplexity")
    bound = max(limits["perplexity"], limits["perplexity_share"] * level.codes)
    return perplexity is not None and perplexity < min(bound, level.codes / 2)


def _dominated(level: Level, limits: Limits) -> bool:
    share = level.value("usage.max_share")
    return share is not None and share > limits["dominant"] and share * level.codes > 10


def _takes(level: Level) -> str:
    """ "2 of 512 codes take all 65 533 rows (attainable at this n: 512)."."""
    used, ceiling = level.value("usage.used"), level.value("usage.ceiling")
    if used is None:
        return f"A few of {number(level.codes)} codes take nearly all {number(level.rows)} {level.case.unit}."
    attainable = f" (attainable at this n: {number(round(ceiling * level.codes))})" if ceiling is not None else ""
    verb = "takes" if used == 1 else "take"
    return f"{number(used)} of {number(level.codes)} codes {verb} all {number(level.rows)} {level.case.unit}{attainable}."


def _spread(level: Level) -> str | None:
    perplexity, share = level.value("usage.perplexity"), level.value("usage.max_share")
    parts = [
        f"perplexity {number(perplexity)} of {number(level.codes)}" if perplexity is not None else None,
        f"the most used code takes {percent(share)}" if share is not None else None,
    ]
    told = "; ".join(part for part in parts if part)
    return f"{told[0].upper()}{told[1:]}." if told else None


def check_dead(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes proven dead, or proven to be at least rare."""
    for level in case.levels:
        dead, unproven = _unused(level)
        known = level.rows > 0 and level.codes > 0 and dead + unproven > 0
        severity = gravest(
            grade(dead / level.codes, limits, gt) if known else None,
            grade((dead + unproven) / level.codes, limits, gt, warn="unproven") if known else None,
        )
        if severity is None:
            continue
        yield DEAD.finding(
            level.where,
            severity,
            sentences(_deaths(level, dead), _doubts(level, unproven)),
            evidence=level.evidence(*DEAD.needs),
            confidence=case.trust,
            remedy=refit(_DEAD_REMEDY, case, "--reset-dead", level=level),
            next=_where_they_lie(level),
        )


def _unused(level: Level) -> tuple[float, float]:
    """Dead codes beyond those that N items cannot but leave unused, and codes that are rare or dead."""
    unavoidable = max(0.0, level.codes - level.rows) if level.case.population else 0.0
    dead = level.value("usage.dead") or 0
    return max(0.0, dead - unavoidable), level.value("usage.rare_or_dead") or 0


def _deaths(level: Level, dead: float) -> str | None:
    if not dead:
        return None
    counted = f"{number(dead)} of {plural(level.codes, 'code')} ({percent(dead / level.codes)})"
    if level.case.population:
        known = f"{number(level.rows)} {level.case.unit}"
        few = f" Those that {known} cannot but leave unused are not among them." if level.rows < level.codes else ""
        return f"{counted}: dead, used less than 1 % of the uniform rate in all {known} there are.{few}"
    return f"{counted}: dead, used less than 1 % of the uniform rate (95 % confidence, {number(level.rows)} rows)."


def _doubts(level: Level, unproven: float) -> str | None:
    if not unproven:
        return None
    needed = level.value("usage.samples_needed")
    settle = f"; {number(needed)} more rows tell which" if needed else ""
    return (
        f"{plural(unproven, 'code')} ({percent(unproven / level.codes)}) without a hit in {number(level.rows)} rows: "
        f"rare or dead, under 10 % of the uniform rate{settle}."
    )


def _where_they_lie(level: Level) -> str:
    orphans, shadowed = level.value("match.orphans"), level.value("match.shadowed")
    if not orphans and not shadowed:
        return "Compare an earlier checkpoint (vqdoctor compare A B): codes that died in training moved once; others never lived."
    return (
        f"{number(orphans or 0)} lie far from all features (relocate them: --reset-dead), {number(shadowed or 0)} in another "
        "code's shadow (split them: --split). Compare an earlier checkpoint: died in training, or never lived?"
    )


_DEAD_REMEDY = (
    "Causes first: replacement of dead codes switched off (threshold 0) or undone by the same step (VQ306), a threshold that "
    "cannot be met (VQ302), an encoder that moved away from a fixed book, K larger than the data needs. Then move the dead codes "
    "onto features, with their EMA and optimiser state."
)


def check_skew(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes are alive and a few of them carry most of the rows."""
    for level in case.levels:
        severity = _skewed(level, limits)
        if severity is None:
            continue
        yield SKEW.finding(
            level.where,
            severity,
            sentences(_spread(level), _inequality(level)),
            evidence=level.evidence(*SKEW.needs),
            confidence=case.trust,
            remedy=Remedy(_SKEW_REMEDY),
            next="Look at reconstruction by code (--details): if the heavy codes reconstruct as well as the rest, the skew is the "
            "data's.",
        )


_SKEW_REMEDY = (
    "Often the data's own skew (silence, background), and harmless where reconstruction is good. Where it is not: an entropy or "
    "balance term on the average assignment, Sinkhorn assignment in training, a larger commitment weight only after those; "
    "splitting the heaviest codes (vqdoctor repair --split) helps once the book is otherwise sound."
)


def _skewed(level: Level, limits: Limits) -> str | None:
    if level.rows < limits["rows"] or level.codes < 2:
        return None
    share = level.value("usage.max_share")
    heavy = grade(share, limits, gt, "share_warn", "share_error") if share and share * level.codes > 10 else None
    if level.rows < level.codes:
        return heavy
    perplexity = level.value("usage.perplexity_high")
    narrow = perplexity is not None and perplexity / level.codes < limits["perplexity_share"]
    return gravest(heavy, grade(level.value("usage.gini_excess"), limits, gt), "warning" if narrow else None)


def _inequality(level: Level) -> str | None:
    excess = level.value("usage.gini_excess")
    return None if excess is None else f"Gini is {excess:.2f} above what even use shows at this n."


def check_sample(case: Case, limits: Limits) -> Iterator[Finding]:
    """The sample is too small for K, or too small to say what its unseen codes are."""
    for level in case.levels:
        if case.population or level.codes < 2 or level.value("usage.n") is None:
            continue
        message = _too_few(level, limits) or _left_open(level, limits)
        if message is None:
            continue
        yield SAMPLE.finding(
            level.where,
            "info",
            message,
            evidence=level.evidence(*SAMPLE.needs),
            remedy=Remedy(
                "Give more rows (--features with several shards), or say --population where these are all the rows there are. "
                "Repair nothing on this evidence."
            ),
        )


def _too_few(level: Level, limits: Limits) -> str | None:
    enough = limits["rows_per_code"] * level.codes
    if level.rows >= enough:
        return None
    ceiling = level.value("usage.ceiling")
    shows = f": even a uniform source would show only {number(round(ceiling * level.codes))} of them" if ceiling is not None else ""
    return (
        f"{plural(level.rows, 'row')} say too little about {number(level.codes)} codes{shows}. Use is judged from {number(enough)} "
        f"rows on ({number(limits['rows_per_code'])} × K); no code is called dead here."
    )


def _left_open(level: Level, limits: Limits) -> str | None:
    """Unseen codes of which not even "under 10 % of the uniform rate" is shown, where they are many."""
    unseen, needed = level.value("usage.unseen") or 0, level.value("usage.samples_needed")
    judged = (level.value("usage.dead") or 0) + (level.value("usage.rare_or_dead") or 0)
    if judged or unseen <= limits["unseen"] * level.codes:
        return None
    settle = f" {number(needed)} more rows would show one of them dead." if needed else ""
    return f"{plural(unseen, 'code')} of {number(level.codes)} unseen in {number(level.rows)} rows may be rare or dead.{settle}"


COLLAPSE = Rule(
    id="VQ101",
    name="codebook-collapse",
    title="A few codes take all the rows; the rest of the book is wasted.",
    lead="collapse",
    check=check_collapse,
    thresholds={
        "warn": Threshold(0.5, "usage.adjusted", "below: warning, from K rows on"),
        "error": Threshold(0.1, "usage.adjusted", "below: error"),
        "perplexity": Threshold(2.0, "codes", "perplexity (upper end of its interval) below: error"),
        "perplexity_share": Threshold(0.05, "share of K", "perplexity (upper end of its interval) below: error"),
        "dominant": Threshold(0.9, "share of rows", "one code above, and above 10 × uniform: error"),
        "rows": Threshold(100, "rows", "fewer: not judged"),
    },
    needs=(
        "usage.n", "usage.used", "usage.utilization", "usage.ceiling", "usage.adjusted", "usage.perplexity",
        "usage.perplexity_high", "usage.max_share",
    ),
)  # fmt: skip

DEAD = Rule(
    id="VQ102",
    name="dead-codes",
    title="Codes that no row uses, proven by enough rows.",
    lead="collapse",
    check=check_dead,
    thresholds={
        "warn": Threshold(0.05, "share of K", "dead codes above: warning"),
        "error": Threshold(0.5, "share of K", "dead, or dead and rare-or-dead together, above: error"),
        "unproven": Threshold(0.1, "share of K", "dead and rare-or-dead together above: warning"),
    },
    needs=(
        "usage.n",
        "usage.unseen",
        "usage.dead",
        "usage.rare_or_dead",
        "usage.samples_needed",
        "match.orphans",
        "match.shadowed",
    ),
    yields_to=("VQ101",),
)

SKEW = Rule(
    id="VQ104",
    name="skewed-usage",
    title="All alive, but a few codes carry most of the rows.",
    lead="collapse",
    check=check_skew,
    thresholds={
        "warn": Threshold(0.5, "usage.gini_excess", "above: warning, from K rows on"),
        "error": Threshold(0.8, "usage.gini_excess", "above: error, from K rows on"),
        "perplexity_share": Threshold(0.25, "share of K", "perplexity (upper end of its interval) below: warning, from K rows on"),
        "share_warn": Threshold(0.1, "share of rows", "one code above, and above 10 × uniform: warning"),
        "share_error": Threshold(0.5, "share of rows", "one code above, and above 10 × uniform: error"),
        "rows": Threshold(100, "rows", "fewer: not judged"),
    },
    needs=("usage.n", "usage.perplexity", "usage.perplexity_high", "usage.gini", "usage.gini_excess", "usage.max_share"),
    yields_to=("VQ101",),
)

SAMPLE = Rule(
    id="VQ105",
    name="insufficient-sample",
    title="Too few rows to judge this book, or to tell rare codes from dead ones.",
    lead="sample",
    check=check_sample,
    thresholds={
        "rows_per_code": Threshold(3.0, "rows per code", "fewer: use is not judged"),
        "unseen": Threshold(0.05, "share of K", "more unseen codes of unknown state than this: said"),
    },
    needs=("usage.n", "usage.used", "usage.ceiling", "usage.unseen", "usage.dead", "usage.rare_or_dead", "usage.samples_needed"),
    yields_to=("VQ101",),
)

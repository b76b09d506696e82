"""VQ205–VQ208: where the codes lie, by themselves and against the features they should stand for.

A book is judged against what it has to code: a low-rank book of low-rank features is right, so without features its rank is only
told. Sources: Roy & Vetterli 2007 (effective rank); Zador 1982 (what distortion a K allows); Huh et al. 2023 (book and encoder
drift apart).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import ge, gt, lt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.remedy import refit
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent, plural, sentences
from vqdoctor.model import Finding, Remedy

LINE = 1.1
"""Participation ratio of codes that all but lie on a line, in however many dimensions."""
EVEN = 0.5
"""usage.adjusted from which on nobody can say that a few codes win every row (VQ101 warns below it)."""


def check_rank(case: Case, limits: Limits) -> Iterator[Finding]:
    """The codes span fewer directions than what they code."""
    for level in case.books:
        alone = level.value("geometry.participation_ratio")
        if alone is None or level.codes < 3:
            continue
        against, judged = _attainable_rank(level, limits)
        # Features count by row: against them, so do codes. By code, a few that lie far out and take few rows decide the ratio.
        spanned = max(alone, level.amount("codes.participation_ratio") or 0) if judged else alone
        if against <= 0:
            continue
        share = spanned / against
        flat = share < limits["info"] or (alone < LINE and against > 2)
        severity = grade(share, limits, lt) if judged else ("info" if flat else None)
        if severity is None:
            continue
        yield RANK.finding(
            level.where,
            severity,
            _spans(level, spanned, against, judged),
            evidence=level.evidence(*RANK.needs),
            confidence=case.trust if judged else "possible",
            remedy=refit(_RANK_REMEDY, case, "--kmeans", level=level) if judged else Remedy(_RANK_REMEDY),
            next="Fit a reference (inspect --fit): if k-means reaches a much lower distortion, the flat book is at fault."
            if judged
            else "Give --features: a book is low-rank only against the features it codes.",
        )


_RANK_REMEDY = (
    "Causes first: encoder outputs that lie along few directions (warm the autoencoder up without quantisation), many codes that "
    "repeat others (VQ202) or never left a small ball (VQ204), a code dimension far above what the data needs (project to 8–32 "
    "before the lookup)."
)


def _attainable_rank(level: Level, limits: Limits) -> tuple[float, bool]:
    """The most directions to expect, and whether features say so: their participation ratio, from enough rows, within K − 1."""
    features, width = level.amount("features.participation_ratio"), level.amount("features.dim") or level.report.dim
    if features is None or level.rows < limits["rows_per_column"] * width:
        return min(level.amount("geometry.dim") or level.report.dim, level.codes - 1), False
    return min(features, level.codes - 1), True


def _spans(level: Level, spanned: float, against: float, judged: bool) -> str:
    whom = "the features vary along" if judged else "the space and K allow"
    ratios = f"{number(spanned)} directions where {whom} {number(against)} (participation ratio)"
    return f"{number(level.codes)} codes vary along {ratios}."


def check_scale(case: Case, limits: Limits) -> Iterator[Finding]:
    """The book lies at another scale or place than the features. A cosine or inner-product lookup does not care for scale."""
    for level in case.levels if case.report.metric not in ("cosine", "dot", "logits") else ():
        ratio, shift = level.value("match.scale_ratio"), level.value("match.mean_shift")
        scaled = ratio is not None and _misscaled(level, ratio, limits)
        shifted = shift is not None and shift > limits["shift"]
        if not (scaled or shifted):
            continue
        yield SCALE.finding(
            level.where,
            "warning",
            sentences(
                f"Codes at {number(ratio)} × the scale of the features." if scaled and ratio is not None else None,
                f"Their means lie {number(shift)} feature spreads apart." if shifted and shift is not None else None,
                _harm(level),
            ),
            evidence=level.evidence(*SCALE.needs),
            confidence="likely",
            remedy=refit(
                "Causes first: an initialisation at another scale than the encoder's outputs, features captured before or after a "
                "projection or normalisation, a k-means start whose sums were not multiplied by their counts (VQ305). Start the "
                "book from k-means on features, or normalise what goes into the lookup.",
                case,
                "--kmeans",
                level=level,
            ),
            next="Print mean and norm of the lookup's input in the model on one batch: if they differ from this file, the capture "
            "is at fault.",
        )


def _misscaled(level: Level, ratio: float, limits: Limits) -> bool:
    """True where the codes spread too far, or too little for the rows and for the best codes of these rows alike.

    Few rows far from many small ones, as residuals are, have codes far out: while all of them are used and most of the variance is
    explained they are where they belong.
    """
    explained = _explained(level)
    if ratio > limits["high"]:
        return not (explained is not None and explained >= EVEN and (level.value("usage.adjusted") or 0) >= EVEN)
    return max(ratio, _best_scale(ratio, explained)) < limits["low"]


def _explained(level: Level) -> float | None:
    """Share of the rows' variance about the codes' mean that the level takes away, None where the distortion does not tell it."""
    gains = level.case.values("levels.gain_db")
    index = level.report.index
    gain = gains[index] if index < len(gains) else level.value("distortion.snr_db")
    if gain is None:
        return None
    left = 10 ** (-gain / 10) if abs(gain) < 300 else 0.0  # beyond that a gain is no measurement
    return 1 - left + (level.value("match.mean_shift") or 0) ** 2


def _best_scale(ratio: float, explained: float | None) -> float:
    """The factor α by which the codes are too large for the rows they take; `ratio` where nothing tells it.

    The means of the cells are the best codes, and they spread less than the rows do wherever K is small for the space: k-means with
    64 codes on N(0, 1) in 128 dimensions ends at a ratio of 0.3. Codes α times those means spread α²·B and explain (2α − α²)·B of
    the variance, B that of the means, so that α = 2·ratio² / (explained + ratio²).
    """
    return 2 * ratio**2 / (explained + ratio**2) if explained is not None and explained + ratio**2 > 0 else ratio


def _harm(level: Level) -> str:
    """What comes of it: known from real use where that was seen."""
    if (level.value("usage.adjusted") or 0) >= EVEN:
        return "Rows still spread over the codes, but lie far from the one that stands for them."
    return "A few codes then win every row and the others get neither hits nor gradient."


def check_orphans(case: Case, limits: Limits) -> Iterator[Finding]:
    """Unused codes far from all features."""
    for level in case.levels:
        share = level.share("match.orphans")
        severity = grade(share, limits, gt) if level.sampled(limits["rows_per_code"]) else None
        if severity is None or share is None:
            continue
        shadowed = level.value("match.shadowed")
        others = f" {plural(shadowed, 'other unused code')} lie near features but in another code's shadow." if shadowed else ""
        yield ORPHANS.finding(
            level.where,
            severity,
            f"{number(level.value('match.orphans') or 0)} of {number(level.codes)} codes ({percent(share)}) have no row and lie "
            f"over 3 × the usual quantisation distance from the nearest one.{others}",
            evidence=level.evidence(*ORPHANS.needs),
            confidence=case.trust,
            remedy=refit(
                "Causes first: the encoder moved on and left codes behind (no replacement, EMA off), or the initialisation never "
                "lay near the features. Then relocate the orphans onto rows that are coded worst; codes in a shadow want a split "
                "instead.",
                case,
                "--reset-dead",
                level=level,
            ),
            next="Compare an earlier checkpoint: orphans that stand still while used codes move are encoder drift.",
        )


def check_fit(case: Case, limits: Limits) -> Iterator[Finding]:
    """Distortion far above what k-means reaches with as many codes."""
    for level in case.levels:
        ratio = level.value("distortion.kmeans_ratio")
        severity = grade(ratio, limits, ge) if level.rows >= limits["rows_per_code"] * level.codes else None
        if severity is None or ratio is None:
            continue
        yield FIT.finding(
            level.where,
            severity,
            f"Distortion is {number(ratio)} × that of a k-means book of the same size ({10 * math.log10(ratio):.1f} dB lost).",
            evidence=level.evidence(*FIT.needs),
            confidence="likely",
            remedy=refit(
                "Causes first: collapse or dead codes (VQ101, VQ102), a book that lags a moving encoder (learning rate, decay), a "
                "scale mismatch (VQ206). A book refitted by k-means reaches the reference; the decoder then wants fine-tuning.",
                case,
                "--kmeans",
                level=level,
            ),
            next="Repeat with features from data that was not trained on: a ratio near 1 there means the reference was overfitted.",
        )


RANK = Rule(
    id="VQ205",
    name="low-rank-codebook",
    title="The codes span far fewer directions than the features they code.",
    lead="geometry",
    check=check_rank,
    thresholds={
        "warn": Threshold(0.25, "of min(features' participation ratio, K − 1)", "below: warning"),
        "error": Threshold(0.05, "of min(features' participation ratio, K − 1)", "below: error"),
        "info": Threshold(0.1, "of min(D, K − 1)", "below, without features: info"),
        "rows_per_column": Threshold(10, "rows per column", "fewer: the features do not judge"),
    },
    needs=(
        "geometry.participation_ratio",
        "geometry.effective_rank",
        "codes.participation_ratio",
        "features.participation_ratio",
        "features.dim",
        "geometry.dim",
    ),
    yields_to=("VQ303",),
)

SCALE = Rule(
    id="VQ206",
    name="scale-mismatch",
    title="The book lies at another scale or place than the encoder's outputs.",
    lead="geometry",
    check=check_scale,
    thresholds={
        "low": Threshold(0.5, "match.scale_ratio", "below: warning"),
        "high": Threshold(2.0, "match.scale_ratio", "above: warning"),
        "shift": Threshold(2.0, "match.mean_shift", "above: warning"),
    },
    needs=("match.scale_ratio", "match.mean_shift", "geometry.norm_median", "distortion.snr_db"),
    yields_to=("VQ303",),
)

ORPHANS = Rule(
    id="VQ207",
    name="orphan-codes",
    title="Unused codes that lie far from all features.",
    lead="geometry",
    check=check_orphans,
    thresholds={
        "warn": Threshold(0.05, "share of K", "above: warning"),
        "error": Threshold(0.5, "share of K", "above: error"),
        "rows_per_code": Threshold(3.0, "rows per code", "fewer, and not a population: not judged"),
    },
    needs=("match.orphans", "match.shadowed", "usage.n"),
    yields_to=("VQ101", "VQ303"),
)

FIT = Rule(
    id="VQ208",
    name="poor-fit",
    title="Distortion far above k-means with as many codes.",
    lead="geometry",
    check=check_fit,
    thresholds={
        "warn": Threshold(1.25, "× k-means distortion", "at or above: warning"),
        "error": Threshold(2.0, "× k-means distortion", "at or above: error"),
        "rows_per_code": Threshold(39, "rows per code", "fewer: the reference overfits, not judged"),
    },
    needs=("distortion.kmeans_ratio", "distortion.mse", "distortion.snr_db", "usage.n"),
)

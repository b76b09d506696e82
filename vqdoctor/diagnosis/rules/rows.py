"""VQ201–VQ204: rows of the book that are broken, repeated, zero or were never trained. All from the checkpoint alone.

These lead every report: a single NaN row makes numpy's and torch's argmin return it for every token, which looks like total
collapse, and identical rows make "which code" an accident of rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.remedy import refit, repair
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent, plural, rows, sentences
from vqdoctor.model import Finding


def check_nonfinite(case: Case, limits: Limits) -> Iterator[Finding]:
    """Rows with NaN or Inf."""
    for level in case.books:
        broken = level.value("geometry.nonfinite_rows") or 0
        if broken < limits["rows"]:
            continue
        yield NONFINITE.finding(
            level.where,
            "error",
            f"{plural(broken, 'code')} of {number(level.codes)} with NaN or Inf{rows(level.listed('nonfinite'), broken)}. A plain "
            "argmin chooses such a row for every token, so this can look like collapse; all other numbers here leave these rows "
            "out.",
            evidence=level.evidence("geometry.nonfinite_rows"),
            remedy=repair(
                "Find what wrote them before training on: the mean of an empty cluster in k-means or EMA (a count of 0 beside "
                "them), or half precision and an exploding loss (finite counts). Then put finite codes in their place, with their "
                "EMA state.",
                case,
                "--sanitize",
                level=level,
            ),
            next="Read the EMA count of these rows: 0 means a division by an empty cluster, anything else an overflow or the "
            "gradient.",
        )


def check_duplicates(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes that repeat others, exactly or nearly."""
    for level in case.books:
        exact, repeated = _repeats(level)
        severity = grade(repeated / level.codes, limits, gt) if repeated and level.codes > 1 else None
        severity = severity or ("info" if exact else None)
        if severity is None:
            continue
        yield DUPLICATES.finding(
            level.where,
            severity,
            sentences(_repeated(level, exact, repeated), _distinct(level)),
            evidence=level.evidence(*DUPLICATES.needs),
            remedy=refit(
                "Causes first: k-means or a reset that drew the same row twice (fewer rows than codes, sampling with "
                "replacement), codes copied with tiny noise to revive dead ones, a book pulled together by a collapsed encoder. "
                "Then split or move the copies.",
                case,
                "--split",
                level=level,
            ),
            next="See whether the copies have EMA counts: of two equal rows only one is ever chosen, so a fresh pair has one "
            "count and one 0.",
        )


def _repeats(level: Level) -> tuple[float, float]:
    """Rows bit-equal to an earlier one, zero rows aside (VQ203 has those), and rows that repeat another exactly or nearly.

    Untouched rows lie close together because nothing moved them apart: they are VQ204's, and not counted here as near copies.
    """
    zero, equal = level.value("geometry.zero_rows") or 0, level.value("geometry.duplicate_rows") or 0
    exact = max(0.0, equal - max(0, zero - 1))
    alike = level.value("geometry.untouched_rows") or 0
    if level.case.report.metric != "cosine":  # where zero rows have no direction and are no neighbours of anything
        alike = max(alike, zero - 1)
    near = (level.value("geometry.near_duplicate_rows") or 0) - alike
    return exact, max(exact, near)


def _repeated(level: Level, exact: float, repeated: float) -> str:
    how = f"{number(exact)} of them bit for bit" if exact else "none of them bit for bit"
    return f"{number(repeated)} of {plural(level.codes, 'code')} ({percent(repeated / level.codes)}) repeat another, {how}."


def _distinct(level: Level) -> str | None:
    distinct = level.value("geometry.distinct")
    if distinct is None:
        return None
    return f"Only {plural(distinct, 'place')} of the space {'is' if distinct == 1 else 'are'} coded."


def check_zeros(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes at the origin."""
    for level in case.books:
        zero, share = level.value("geometry.zero_rows") or 0, level.share("geometry.zero_rows")
        scalar = level.report.dim == 1 and zero == 1  # one number among others, of a grid around 0 for one
        if share is None or zero < limits["rows"] or scalar:
            continue
        cosine = " Under a cosine lookup they have no direction." if case.report.metric == "cosine" else ""
        yield ZEROS.finding(
            level.where,
            grade(share, limits, gt) or "warning",
            f"{plural(zero, 'code')} of {number(level.codes)} ({percent(share)}) at the origin{rows(level.listed('zero'), zero)}: "
            f"never filled, or pulled there by an empty cluster.{cosine}",
            evidence=level.evidence("geometry.zero_rows", "geometry.norm_median", "geometry.norm_max"),
            remedy=refit(
                "Causes first: a k-means start that never ran for these rows, a mean over an empty cluster, weight decay on codes "
                "that get no gradient, a padding row counted as a code. Then move them onto features.",
                case,
                "--reset-dead",
                level=level,
            ),
            next="Look at the same rows in an earlier checkpoint (vqdoctor compare A B): zero from the start, or shrunk on the "
            "way?",
        )


def check_untouched(case: Case, limits: Limits) -> Iterator[Finding]:
    """Codes as the initialisation drew them, or that no gradient ever reached."""
    for level in case.books:
        inside, unmoved = level.value("geometry.untouched_rows") or 0, level.amount("optimizer.untouched") or 0
        untouched = max(inside, unmoved)
        if level.codes < 1 or (level.book and level.book.initialisation.kind == "frozen"):
            continue
        severity = grade(untouched / level.codes, limits, gt)
        if severity is None:
            continue
        yield UNTOUCHED.finding(
            level.where,
            severity,
            _unlearnt(level, inside, unmoved),
            evidence=level.evidence(*UNTOUCHED.needs),
            confidence="certain" if unmoved >= inside else "likely",
            remedy=refit(_UNTOUCHED_REMEDY, case, "--kmeans" if severity == "error" else "--reset-dead", level=level),
            next="Compare an early checkpoint with this one (vqdoctor compare A B): rows that are bit-equal in both were never "
            "trained.",
        )


_UNTOUCHED_REMEDY = (
    "Causes first: the book is not among the optimiser's parameters, is frozen, or its EMA update never runs (module in eval "
    "mode); the initialisation lies at another scale than the encoder's outputs (VQ206), so that a few codes win every row. Then "
    "move the untouched codes onto features."
)


def _unlearnt(level: Level, inside: float, unmoved: float) -> str:
    told = []
    if inside:
        formula = level.fact("init") or (level.book.initialisation.formula if level.book else "")
        start = f" ({formula})" if isinstance(formula, str) and formula else ""
        where = rows(level.listed("untouched"), inside)
        told.append(
            f"{plural(inside, 'code')} of {number(level.codes)} ({percent(inside / level.codes)}) still lie where this family's "
            f"initialisation{start} puts them{where}."
        )
    if unmoved:
        told.append(f"For {plural(unmoved, 'code')} the optimiser's second moment is exactly 0: no gradient ever reached them.")
    return sentences(*told)


NONFINITE = Rule(
    id="VQ201",
    name="non-finite-codes",
    title="Code rows with NaN or Inf: they invalidate everything else.",
    lead="broken rows",
    check=check_nonfinite,
    thresholds={"rows": Threshold(1, "rows", "at or above: error")},
    needs=("geometry.nonfinite_rows",),
)

DUPLICATES = Rule(
    id="VQ202",
    name="duplicate-codes",
    title="Codes that repeat other codes, exactly or nearly.",
    lead="geometry",
    check=check_duplicates,
    thresholds={
        "warn": Threshold(0.05, "share of K", "repeated codes above: warning (an exact copy below it: info)"),
        "error": Threshold(0.5, "share of K", "repeated codes above: error"),
    },
    needs=(
        "geometry.duplicate_rows",
        "geometry.near_duplicate_rows",
        "geometry.distinct",
        "geometry.zero_rows",
        "geometry.untouched_rows",
    ),
)

ZEROS = Rule(
    id="VQ203",
    name="zero-codes",
    title="Codes at the origin: never filled, or pulled there.",
    lead="broken rows",
    check=check_zeros,
    thresholds={
        "rows": Threshold(1, "rows", "at or above: warning"),
        "error": Threshold(0.5, "share of K", "above: error"),
    },
    needs=("geometry.zero_rows", "geometry.norm_median", "geometry.norm_max"),
    yields_to=("VQ303",),
)

UNTOUCHED = Rule(
    id="VQ204",
    name="untouched-codes",
    title="Codes still as the initialisation drew them.",
    lead="geometry",
    check=check_untouched,
    thresholds={
        "warn": Threshold(0.05, "share of K", "above: warning"),
        "error": Threshold(0.5, "share of K", "above: error"),
    },
    needs=("geometry.untouched_rows", "optimizer.untouched", "init"),
    yields_to=("VQ303",),
)

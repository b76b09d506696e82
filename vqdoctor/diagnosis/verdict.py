"""One word for a report, and no more than its evidence bears: "healthy" is only said of a book whose real use was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vqdoctor.diagnosis.case import Case
from vqdoctor.model import Finding
from vqdoctor.model.report import VERDICTS

ROWS_PER_CODE = 3.0
"""From here on an unseen code is, at 95 %, under the uniform rate (rule of three): a smaller sample cannot judge use."""


def verdict(findings: Iterable[Finding], cases: Sequence[Case]) -> str:
    """ "sick" with any error, "at-risk" with any warning; else "healthy" where every level was judged, "unknown" where one was not.

    A finding of severity info changes nothing: it says what is known, not that something is wrong. No level at all (nothing found,
    or an implicit quantiser without a book) is "unknown".
    """
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "sick"
    if "warning" in severities:
        return "at-risk"
    return "healthy" if cases and all(judged(case) for case in cases) else "unknown"


def judged(case: Case) -> bool:
    """True where each level's K is known and its real use was seen on at least 3·K rows, or on all there are."""
    return bool(case.levels) and all(level.codes > 0 and level.sampled(ROWS_PER_CODE) for level in case.levels)


def worst(verdicts: Iterable[str]) -> str:
    """The worst of several: sick, at-risk, unknown, healthy. Of none it is "unknown"."""
    return max(verdicts, key=VERDICTS.index, default="unknown")

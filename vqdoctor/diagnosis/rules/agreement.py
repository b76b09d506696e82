"""VQ209: the codes that the model itself gave against the nearest codes of the same rows.

Everything that is measured from features rests on nearest-code search; where the model's own answers differ, those numbers are
about another quantiser than the one that was trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import lt

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold, grade
from vqdoctor.diagnosis.words import number, percent
from vqdoctor.model import Finding, Remedy


def check_agreement(case: Case, limits: Limits) -> Iterator[Finding]:
    """The model's own code is not the nearest one. Of residual levels only the first such one tells: the later ones follow."""
    for level in case.levels:
        share, rows = level.value("match.agreement"), level.amount("match.agreement_rows")
        if share is None or rows is None or (1 - share) * rows < limits["least"] or grade(share, limits, lt) is None:
            continue
        yield AGREEMENT.finding(
            level.where,
            "warning",
            f"The model's own code is the nearest one on {percent(share)} of {number(rows)} rows: its lookup is not the search "
            f"{_under(case)} that real use, distortion and distances are measured with.",
            evidence=level.evidence(*AGREEMENT.needs),
            remedy=Remedy(_REMEDY),
            next=_cheapest(case, level),
        )
        if case.report.structure == "residual":
            return


_REMEDY = (
    "Causes first: another metric (cosine instead of L2, or the inner product), a projection or normalisation between the captured "
    "rows and the lookup, balanced assignment (Sinkhorn) or sampling by temperature, codes captured in train mode or beside "
    "another checkpoint, a lookup in half precision. Until it is known which, believe the numbers from the model's own codes "
    "(--codes without --features)."
)


def _under(case: Case) -> str:
    word = "L2" if case.report.metric == "l2" else case.report.metric
    return f"under {word}" + (" (only assumed)" if case.report.metric_basis == "assumed" else "")


def _cheapest(case: Case, level: Level) -> str:
    again = "capture again in eval mode, at the input of the quantiser itself: vqdoctor.capture(model, batches, checkpoint)."
    if level.report.index > 0:
        return f"The first level agrees, so the metric is right; {again}"
    other = "l2" if case.report.metric == "cosine" else "cosine"
    return f"Repeat with --metric {other}: if match.agreement rises to 1, that is the model's metric. If not, {again}"


AGREEMENT = Rule(
    id="VQ209",
    name="code-disagreement",
    title="The model's own codes are not the nearest codes.",
    lead="sample",
    check=check_agreement,
    thresholds={
        "warn": Threshold(0.999, "match.agreement", "below: warning"),
        "least": Threshold(5, "rows", "fewer that differ: two codes may be equally near, not judged"),
    },
    needs=("match.agreement", "match.agreement_rows"),
    yields_to=("VQ201", "VQ303"),
)

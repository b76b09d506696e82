"""From reports of quantisers to findings and one verdict, honest about an assumed lookup metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vqdoctor.diagnosis import Case, diagnose, in_reading_order, parse_overrides, verdict, worst
from vqdoctor.errors import printable
from vqdoctor.model import Finding, Quantizer, QuantizerReport, Sample, Unmeasured

OTHER_METRIC = {"l2": "cosine", "cosine": "l2", "dot": "l2"}


@dataclass(frozen=True, slots=True)
class Judged:
    """Findings of a whole source in reading order, its verdict, and what keeps it from being sure."""

    findings: tuple[Finding, ...]
    verdict: str
    unmeasured: tuple[Unmeasured, ...] = ()


def judge(
    quantizers: Sequence[Quantizer | None],
    reports: Sequence[QuantizerReport],
    *,
    path: str,
    samples: Mapping[str, Sample],
    rules: Mapping[str, Mapping[str, Any]],
    measured_by: Callable[[str, str], QuantizerReport | None] = lambda name, metric: None,
) -> Judged:
    """Runs the rules over each quantiser.

    Args:
        quantizers: what the layouts said, None for semantic IDs; reports: what was measured, in the same order.
        samples: by quantiser name.
        measured_by: (quantiser name, metric) → its report under another lookup metric, None where that makes no difference.
    """
    overrides = parse_overrides(rules)
    findings: list[Finding] = []
    verdicts: list[str] = []
    doubts: list[Unmeasured] = []
    for quantizer, report in zip(quantizers, reports, strict=True):
        case = _case(quantizer, report, path, samples, alone=len(reports) == 1)
        found = diagnose(case, overrides=overrides)
        word = verdict(found, [case])
        other = OTHER_METRIC.get(report.metric) if report.metric_basis == "assumed" else None
        second = measured_by(report.name, other) if other else None
        if second is not None and other is not None:
            again = _case(quantizer, second, path, samples, alone=len(reports) == 1)
            rival = verdict(diagnose(again, overrides=overrides), [again])
            if rival != word:
                doubts.append(_doubt(report, word, other, rival))
                word = "unknown"
        findings += found
        verdicts.append(word)
    return Judged(in_reading_order(findings), worst(verdicts), tuple(doubts))


def _case(quantizer: Quantizer | None, report: QuantizerReport, path: str, samples: Mapping[str, Sample], *, alone: bool) -> Case:
    sample = samples.get(report.name)
    features = sample.path if sample is not None and sample.kind == "features" else None
    return Case(quantizer, report, sample, path, features, alone)


def _doubt(report: QuantizerReport, word: str, other: str, rival: str) -> Unmeasured:
    rivals = f"under {report.metric} the verdict is {word}, under {other} it is {rival}"
    why = f"the lookup metric of {printable(report.name)} is only assumed: {rivals}"
    return Unmeasured("verdict", why, f"--metric {report.metric} or --metric {other}, whichever the model uses")

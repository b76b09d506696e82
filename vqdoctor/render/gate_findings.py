"""Findings as a gate sees them, for formats that count them: nothing twice, and no error that the gate accepts.

In a pipeline the number of failures must agree with the exit status. So a finding that a failing check is about keeps its severity
and stands for the check; one that the baseline knows, or that nobody asked about, is a remark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vqdoctor.model.gate import Check, GateResult
from vqdoctor.model.report import Finding, Report

SEVERITY = {"pass": "info", "inconclusive": "warning"}
Place = tuple[str, str, str]


def as_gated(result: GateResult, reports: Sequence[Report]) -> tuple[GateResult, list[Report]]:
    """The result without the checks that findings stand for, and the reports with their findings regraded."""
    told = {
        (report.source.path, finding.where, finding.rule)
        for report in reports
        for finding in report.findings
        if finding.severity != "info"
    }
    answers = {_place(check): check for check in result.checks if check.rule and _place(check) in told}
    left = tuple(check for check in result.checks if _place(check) not in answers)
    regraded = [
        replace(report, findings=tuple(_regraded(report.source.path, each, answers) for each in report.findings))
        for report in reports
    ]
    return replace(result, checks=left), regraded


def _place(check: Check) -> Place:
    return check.source, check.where, check.rule or ""


def _regraded(source: str, finding: Finding, answers: Mapping[Place, Check]) -> Finding:
    check = answers.get((source, finding.where, finding.rule))
    if check is None:
        return replace(finding, severity="info")
    return finding if check.status == "fail" else replace(finding, severity=SEVERITY[check.status])

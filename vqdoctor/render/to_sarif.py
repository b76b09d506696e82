"""SARIF 2.1.0, what code-scanning dashboards read: a run with a result a finding, and the page of each rule as its help.

A finding keeps its identity from run to run by a fingerprint of its rule, its tensor and its evidence in coarse buckets: the same
trouble on the next checkpoint is the same alert, and a much worse one is a new one. There is no `helpUri`: the help is in the file
and in `vqdoctor explain`, and nowhere on the web that we could vouch for.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from vqdoctor.diagnosis import known_rules, page
from vqdoctor.diagnosis.case import finite
from vqdoctor.errors import printable
from vqdoctor.model.report import Finding, Report
from vqdoctor.render.gated import Gate, check_name, check_words, severity_of
from vqdoctor.render.screen import LONGEST, Screen
from vqdoctor.render.to_json import plain, pretty
from vqdoctor.render.to_markdown import escape as markdown
from vqdoctor.render.to_markdown import fenced

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
RANKS = {"certain": 95.0, "likely": 70.0, "possible": 40.0}
ROOT = "%SRCROOT%"
GATE = "gate"
GATE_RULE = {
    "id": GATE,
    "name": "gate",
    "shortDescription": {"text": "A gate did not pass."},
    "help": {"text": "A threshold or rule of `vqdoctor gate` was not met, or could not be judged on so few rows."},
}

Object = dict[str, Any]


def render(reports: Sequence[Report], screen: Screen, gate: Gate | None = None) -> str:
    """One run over all sources."""
    found = {finding.rule: finding for report in reports for finding in report.findings}
    rules = [_rule(finding) for finding in found.values()]
    results = [_result(report, finding, screen, list(found)) for report in reports for finding in report.findings]
    failed = _failed(gate, reports, screen, len(found)) if gate is not None else []
    rules += [GATE_RULE] if failed else []
    results += failed
    driver = {"name": "vqdoctor", "version": next((each.version for each in reports if each.version), "0"), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that vqdoctor ran in."}}},
        "artifacts": [_artifact(report, screen) for report in reports],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": list(_notifications(reports))}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return pretty({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _rule(finding: Finding) -> Object:
    """What the driver says of a rule; of one from a plugin only its name is known here."""
    rule = next((each for each in known_rules() if each.id == finding.rule), None)
    told: Object = {"id": printable(finding.rule), "name": printable(finding.name)}
    if rule is None:
        return told
    text = page(rule)
    return told | {
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} Rests on: {', '.join(rule.needs)}." if rule.needs else rule.title},
        "help": {"text": text, "markdown": text},
        "properties": {"tags": ["vector-quantization", rule.lead]},
    }


def _result(report: Report, finding: Finding, screen: Screen, order: list[str]) -> Object:
    words = [printable(part, LONGEST) for part in (finding.message, finding.remedy.text, finding.remedy.command) if part]
    told = "\n\n".join([markdown(finding.message), *([markdown(finding.remedy.text)] if finding.remedy.text else [])])
    told += f"\n\n{fenced(finding.remedy.command)}" if finding.remedy.command else ""
    return {
        "ruleId": printable(finding.rule),
        "ruleIndex": order.index(finding.rule),
        "level": LEVELS[finding.severity],
        "rank": RANKS.get(finding.confidence, 50.0),
        "message": {"text": "\n".join(words), "markdown": told},
        "locations": [_location(report.source.path, finding.where, tensor(report, finding.where), screen)],
        "partialFingerprints": _fingerprints(finding.rule, tensor(report, finding.where), finding.evidence),
        "properties": {"confidence": finding.confidence, "evidence": plain(finding.evidence)},
    }


def _failed(gate: Gate, reports: Sequence[Report], screen: Screen, index: int) -> list[Object]:
    """A result a check that did not pass."""
    sources = {report.source.path: report for report in reports}
    results = []
    for check in gate.checks:
        severity, report = severity_of(check, gate), sources.get(check.source)
        if severity is None:
            continue
        key = tensor(report, check.where) if report is not None else check.where
        results.append(
            {
                "ruleId": GATE,
                "ruleIndex": index,
                "level": LEVELS[severity],
                "message": {"text": printable(f"{check.status}: {check_words(check)}", LONGEST)},
                "locations": [_location(check.source, check.where or check.source, key or check.source, screen)],
                "partialFingerprints": _fingerprints(GATE, key, {check_name(check): None}),
            }
        )
    return results


def _location(path: str, where: str, key: str, screen: Screen) -> Object:
    """The file and, within it, the codebook. A tensor has no line; dashboards that ask for one are told the first."""
    physical = {"artifactLocation": _artifact_location(path, screen), "region": {"startLine": 1}}
    logical = {"name": printable(key, LONGEST), "fullyQualifiedName": printable(where, LONGEST)}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


def _artifact_location(given: str, screen: Screen) -> Object:
    path = screen.path(given)
    uri = quote(path.encode("utf-8", "backslashreplace"))
    if PurePath(path).is_absolute():
        return {"uri": f"file://{uri}"}
    return {"uri": uri, "uriBaseId": ROOT}


def _artifact(report: Report, screen: Screen) -> Object:
    source = report.source
    told = {"location": _artifact_location(source.path, screen), "length": source.bytes, "roles": ["analysisTarget"]}
    return told | ({"hashes": {"sha-256": source.sha256}} if source.sha256 else {})


def _notifications(reports: Sequence[Report]) -> Iterator[Object]:
    """What a reader of the results must know: warnings of the opening, and what could not be measured."""
    for report in reports:
        where = printable(report.source.path)
        for warning in report.source.warnings:
            yield {"level": "warning", "message": {"text": f"{where}: {printable(warning, LONGEST)}"}}
        for each in report.unmeasured:
            yield {"level": "note", "message": {"text": f"{where}: {each.metric} not measured: {printable(each.why, LONGEST)}"}}


def tensor(report: Report, where: str) -> str:
    """The key of the tensor that `where` names; `where` itself for a whole quantiser."""
    for quantizer in report.quantizers:
        for level in quantizer.levels:
            if where in (f"{quantizer.name}[{level.index}]", quantizer.name if len(quantizer.levels) == 1 else None):
                return level.key
    return where


def _fingerprints(rule: str, key: str, evidence: Mapping[str, Any]) -> dict[str, str]:
    """One value under two names: ours, and the only one that GitHub reads."""
    buckets = {str(name): bucket(value) for name, value in evidence.items()}
    told = json.dumps([rule, key, buckets], sort_keys=True, ensure_ascii=True)
    digest = hashlib.sha256(told.encode("ascii")).hexdigest()[:32]
    return {"vqdoctor/v1": digest, "primaryLocationLineHash": f"{digest}:1"}


def bucket(value: object) -> str:
    """A number's order of magnitude, in decades, a share's in tenths; other evidence only by its kind."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "huge"
    number = finite(value)
    if number is None:
        return type(value).__name__
    if 0 <= number <= 1:
        return f"{math.floor(number * 10) / 10:g}"
    return f"{'-' if number < 0 else ''}1e{math.floor(math.log10(abs(number)))}"

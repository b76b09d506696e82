"""JUnit XML, as Jenkins, GitLab and their kin read it: a suite a source, a class a codebook, a test case a judgement.

An error fails its test case. A warning does not, since the run does not fail by it either (`--fail-on`, contract §2); it stands in
the case's output. A codebook without a finding is a case that passed if its real use was judged, and was skipped if it was not.
Characters that XML 1.0 cannot hold are shown as escapes.
"""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from collections.abc import Sequence

from vqdoctor.errors import printable
from vqdoctor.model.gate import Check, GateResult
from vqdoctor.model.report import Finding, QuantizerReport, Report
from vqdoctor.render.gated import check_name, check_place, check_words, severity_of
from vqdoctor.render.screen import GAP, LONGEST, Screen
from vqdoctor.render.words import level_state, verdict_words, why_unmeasured

SUITE = "vqdoctor"


def render(reports: Sequence[Report], screen: Screen, gate: GateResult | None = None) -> str:
    """One `testsuites`; the gate's checks are a suite of their own, the first."""
    suites = [_gate(gate)] if gate is not None else []
    suites += [_suite(report, screen) for report in reports]
    root = Xml.Element("testsuites", {"name": SUITE, **_totals(suites)})
    root.extend(suites)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def held(words: object) -> str:
    """`words` on one line in characters that XML can hold; markup is escaped where the tree is written."""
    return printable(words, LONGEST)


def _gate(gate: GateResult) -> Xml.Element:
    suite = Xml.Element("testsuite", {"name": "gate"})
    suite.extend([_check(check, gate) for check in gate.checks])
    return _counted(suite)


def _check(check: Check, gate: GateResult) -> Xml.Element:
    case = _case(check_place(check), f"gate {check_name(check)}")
    severity, words = severity_of(check, gate), held(check_words(check))
    if severity == "error":
        Xml.SubElement(case, "failure", {"type": held(check.status), "message": words}).text = words
    elif check.status == "pass":
        Xml.SubElement(case, "system-out").text = words
    else:
        _skip(case, f"{check.status}: {check_words(check)}")
    return case


def _suite(report: Report, screen: Screen) -> Xml.Element:
    suite = Xml.Element("testsuite", {"name": held(screen.path(report.source.path))})
    facts = {"verdict": report.verdict, "rests on": verdict_words(report).replace(GAP, " "), "version": report.version}
    properties = Xml.SubElement(suite, "properties")
    for name, value in facts.items():
        Xml.SubElement(properties, "property", {"name": name, "value": held(value)})
    suite.extend([_finding(finding) for finding in report.findings])
    places = {finding.where for finding in report.findings}
    suite.extend([case for quantizer in report.quantizers for case in _quiet(report, quantizer, places)])
    return _counted(suite)


def _finding(finding: Finding) -> Xml.Element:
    case = _case(finding.where, f"{finding.rule} {finding.name}")
    parts = [f"{finding.severity}, {finding.confidence}: {finding.message}", finding.remedy.text, finding.remedy.command or ""]
    words = "\n".join(held(part) for part in parts if part)
    if finding.severity == "error":
        Xml.SubElement(case, "failure", {"type": "error", "message": held(finding.message)}).text = words
    else:
        Xml.SubElement(case, "system-out").text = words
    return case


def _quiet(report: Report, quantizer: QuantizerReport, places: set[str]) -> list[Xml.Element]:
    """A case a level on which nothing was found."""
    cases = []
    for level in quantizer.levels:
        where = f"{quantizer.name}[{level.index}]"
        if where in places or (len(quantizer.levels) == 1 and quantizer.name in places):
            continue
        case = _case(where, "no finding")
        if level_state(report, quantizer, level) != "healthy":
            _skip(case, f"real use was not judged: {why_unmeasured(report, 'usage.used')}")
        cases.append(case)
    return cases


def _case(where: str, name: str) -> Xml.Element:
    return Xml.Element("testcase", {"classname": held(where), "name": held(name)})


def _skip(case: Xml.Element, why: str) -> None:
    Xml.SubElement(case, "skipped", {"message": held(why)})


def _counted(suite: Xml.Element) -> Xml.Element:
    """`suite` with its totals, which readers trust more than their own counting."""
    kinds = {"tests": "testcase", "failures": "testcase/failure", "skipped": "testcase/skipped"}
    suite.attrib |= {name: str(len(suite.findall(path))) for name, path in kinds.items()} | {"errors": "0"}
    return suite


def _totals(suites: Sequence[Xml.Element]) -> dict[str, str]:
    return {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in ("tests", "failures", "errors")}

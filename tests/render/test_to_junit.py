"""JUnit XML: valid by the schema that its readers share, counted right, and nothing lost of a name."""

import xml.etree.ElementTree as Xml
from dataclasses import replace
from pathlib import Path

import pytest
import xmlschema
from gates import failed
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_reports import REPORTS, blind, healthy, hostile, sick

from vqdoctor.render import Screen, renderer

SCHEMA = xmlschema.XMLSchema(Path(__file__).parents[1] / "data" / "junit.xsd")


def tree(*reports, gate=None):
    text = renderer("junit").render(reports, Screen(), gate)
    root = Xml.fromstring(text.encode())
    SCHEMA.validate(text)
    return root


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_valid(name):
    tree(REPORTS[name](), gate=failed())


def test_the_schema_refuses_what_readers_refuse():
    assert not SCHEMA.is_valid('<testsuites><testsuite name="a"/></testsuites>')
    assert not SCHEMA.is_valid('<testsuites><testsuite name="a" tests="1"><testcase name="b"/></testsuite></testsuites>')


def test_errors_fail_and_warnings_do_not():
    root = tree(sick())
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["VQ101 codebook-collapse"].find("failure") is not None
    assert cases["VQ206 scale-mismatch"].find("failure") is None
    assert "Codebook norm 0.04" in cases["VQ206 scale-mismatch"].findtext("system-out")
    assert (root.get("tests"), root.get("failures")) == ("3", "2")


def test_a_level_without_a_finding_passes_if_judged_and_is_skipped_if_not():
    assert {case.get("classname"): len(case) for case in tree(healthy()).iter("testcase")} == {f"rq[{i}]": 0 for i in range(3)}
    skipped = tree(blind()).findall("testsuite/testcase/skipped")
    assert len(skipped) == 26 and "no features given" in skipped[0].get("message")


def test_gate_checks_are_cases_of_their_own():
    suite = tree(sick(), gate=failed()).find("testsuite[@name='gate']")
    outcomes = {case.get("name"): [child.tag for child in case] for case in suite}
    assert outcomes == {
        "gate usage.utilization": ["failure"],
        "gate collision.rate": ["failure"],
        "gate VQ206": ["skipped"],
        "gate usage.perplexity": ["skipped"],
        "gate ema.inconsistent_rows": ["system-out"],
        "gate VQ202": ["system-out"],
        "gate VQ201": ["system-out"],
        "gate VQ203": ["system-out"],
    }
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("8", "2", "2")


@given(st.text(st.characters(), min_size=1, max_size=40))
@settings(deadline=None)
def test_any_name_survives_as_text(name):
    report = hostile()
    finding = replace(report.findings[0], where=name, message=name)
    tree(replace(report, findings=(finding,), source=replace(report.source, path=name)))

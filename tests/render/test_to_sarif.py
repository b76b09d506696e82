"""SARIF: valid by the standard's own schema, findings that keep their identity, and help that travels with them."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from gates import PATH, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_reports import REPORTS, hostile, ids, sick

from vqdoctor.render import Screen, renderer
from vqdoctor.render.to_sarif import bucket

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif-schema-2.1.0.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def run_of(*reports, gate=None, screen=None):
    log = json.loads(renderer("sarif").render(reports, screen or Screen(), gate))
    VALIDATOR.validate(log)
    return log["runs"][0]


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_valid(name):
    run_of(REPORTS[name](), gate=failed())


def test_several_sources_are_one_run_whose_results_name_their_rule():
    run = run_of(*(make() for make in REPORTS.values()))
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert len(run["artifacts"]) == len(REPORTS)


def test_a_rule_brings_its_help_and_no_address():
    rules = {rule["id"]: rule for rule in run_of(sick())["tool"]["driver"]["rules"]}
    assert "## What to do instead" in rules["VQ103"]["help"]["markdown"]
    assert not any("helpUri" in rule for rule in rules.values())


def test_levels_and_places():
    results = run_of(sick(), screen=Screen(folder="/elsewhere"))["results"]
    assert [result["level"] for result in results] == ["warning", "error", "error"]
    location = results[1]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "runs/vqgan_epoch1.pt", "uriBaseId": "%SRCROOT%"}
    assert location["logicalLocations"] == [{"name": "quantize.embedding.weight", "fullyQualifiedName": "quantize[0]"}]


def test_a_path_within_the_folder_is_relative_and_one_outside_absolute():
    report = replace(sick(), source=replace(sick().source, path="/repo/a b.pt"))
    assert run_of(report, screen=Screen(folder="/repo"))["artifacts"][0]["location"]["uri"] == "a%20b.pt"
    assert run_of(report)["artifacts"][0]["location"] == {"uri": "file:///repo/a%20b.pt"}


def fingerprint(**evidence):
    report = sick()
    finding = replace(report.findings[1], evidence=evidence)
    return run_of(replace(report, findings=(finding,)))["results"][0]["partialFingerprints"]


def test_a_fingerprint_outlives_a_small_change_and_not_a_large_one():
    first = fingerprint(**{"usage.utilization": 0.52, "usage.n": 65533})
    assert first == fingerprint(**{"usage.utilization": 0.55, "usage.n": 64000})
    assert first != fingerprint(**{"usage.utilization": 0.12, "usage.n": 65533})
    assert set(first) == {"vqdoctor/v1", "primaryLocationLineHash"}


@given(st.floats(allow_nan=True) | st.integers() | st.none() | st.booleans() | st.text() | st.lists(st.integers()))
@settings(deadline=None)
def test_any_evidence_has_a_bucket(value):
    assert isinstance(bucket(value), str)


def test_what_could_not_be_measured_is_told():
    told = run_of(ids())["invocations"][0]["toolExecutionNotifications"]
    assert "does not say how many codes" in told[0]["message"]["text"]


def test_only_checks_that_did_not_pass_are_results():
    results = [result for result in run_of(sick(), gate=failed())["results"] if result["ruleId"] == "gate"]
    assert [result["level"] for result in results] == ["error", "error", "warning", "warning"]
    assert len({result["partialFingerprints"]["vqdoctor/v1"] for result in results}) == 4
    log_only = run_of(gate=failed())["results"][0]["locations"][0]
    assert log_only["physicalLocation"]["artifactLocation"]["uri"] == PATH


@given(st.text(st.characters(), min_size=1, max_size=40))
@settings(deadline=None)
def test_any_name_survives(name):
    report = hostile()
    finding = replace(report.findings[0], where=name, message=name, rule=name)
    run_of(replace(report, findings=(finding,), source=replace(report.source, path=name)))

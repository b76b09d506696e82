"""What a gate shows: word for word, safe on any terminal, and the same numbers everywhere. VQDOCTOR_UPDATE_GOLDEN=1 accepts."""

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from gate_results import EVIL, FOUND, QUIET, RESULTS, report, use

from vqdoctor.model import Finding
from vqdoctor.model.gate import GateResult
from vqdoctor.render import Screen
from vqdoctor.render.gate_findings import as_gated
from vqdoctor.render.gate_json import gate_object, render_gate, render_lines, schema
from vqdoctor.render.gate_text import render_gate as render_text
from vqdoctor.render.gate_words import headline, pair, tally

GOLDEN = Path(__file__).parent / "golden"
SCREENS = {"txt": Screen(width=120), "80.txt": Screen(width=80), "ascii.txt": Screen(width=100, unicode=False)}
CASES = [(name, view) for name in RESULTS for view in (*SCREENS, "json")]


@pytest.mark.parametrize(("name", "view"), CASES)
def test_view_is_as_agreed(name, view):
    result, reports = RESULTS[name]
    text = render_gate(result) if view == "json" else render_text(result, reports, SCREENS[view])
    path = GOLDEN / f"{name}.{view}"
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_behind():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{view}" for name, view in CASES}


@pytest.mark.parametrize("name", RESULTS)
def test_json_is_as_its_schema_says_and_as_the_contract_lists(name):
    result, _ = RESULTS[name]
    jsonschema.Draft202012Validator.check_schema(schema())
    found = json.loads(render_gate(result))
    jsonschema.validate(found, schema())
    assert found["schema"] == "vqdoctor.gate/1" and found["verdict"] == result.verdict
    for check in found["checks"]:
        assert ("metric" in check) != ("rule" in check)
        assert {"where", "level", "op", "threshold", "value", "n", "needed_n", "status"} <= set(check)
    assert render_gate(result).isascii()


def test_lines_are_the_verdict_and_then_a_check_each():
    result, _ = RESULTS["fail"]
    lines = [json.loads(line) for line in render_lines(result).splitlines()]
    assert lines[0]["verdict"] == "fail" and "checks" not in lines[0]
    assert lines[1:] == gate_object(result)["checks"]


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_table_never_wraps_and_no_name_drives_the_terminal(name, width):
    result, reports = RESULTS[name]
    text = render_text(result, reports, Screen(width=width))
    assert "\x1b" not in text and "\x07" not in text and "‮" not in text
    assert max(map(len, text.splitlines())) <= max(width, 120)
    assert render_text(result, reports, Screen(width=width, unicode=False)).isascii()
    assert text.splitlines()[0].split()[1].lower() == result.verdict
    if name == "hostile":
        assert "[bold]" in text and "\\u202e" in text and EVIL not in text


def test_the_headline_has_both_numbers():
    words = {name: headline(result) for name, (result, _) in RESULTS.items()}
    assert words["fail"] == "usage.utilization 0.42 < 0.90 at quantizer.vq[1]"
    assert words["missing"] == "usage.utilization has no value"
    assert words["inconclusive"].endswith("0.85, asked ≥ 0.90 at quantizer.vq[2], 512 rows, 768 settle it (256 more)")
    assert words["pass"] == "usage.utilization 0.90001 ≥ 0.90000 at quantizer.vq[1]"
    assert words["nothing"] == "nothing could be judged" and words["quiet"] == ""
    several = GateResult("fail", (use(), replace(use(), source="b.pt")))
    assert headline(several).endswith("at quantizer.vq[1] of runs/a.pt")


def test_the_tally_counts():
    assert tally(RESULTS["fail"][0]) == "2 of 7 checks failed (1 below error), 1 inconclusive"
    assert tally(GateResult("pass", QUIET)) == "all 3 checks pass"
    assert tally(GateResult("pass", QUIET[:1])) == "1 check passes"
    assert tally(RESULTS["inconclusive"][0]) == "1 of 4 checks inconclusive"


@pytest.mark.parametrize(
    ("value", "threshold", "words"),
    [
        (0.42, 0.9, ("0.42", "0.90")),
        (0.8999, 0.9, ("0.8999", "0.9000")),
        (0.9, 0.9, ("0.90", "0.90")),
        (300.4, 301, ("300.40", "301")),
        (4096, 8192, ("4096", "8192")),
        (1.0, 3, ("1", "3")),
        (1.0, 0.9, ("1.00", "0.90")),
        (0.004, 0.05, ("0.004", "0.05")),
        (0.0, 1e-6, ("0.00", "1e-06")),
        (1e9, 2e9, ("1e+09", "2e+09")),
        (None, 0.9, ("–", "0.900")),
        (0.1 + 0.2, 0.3, ("0.30000000000000004", "0.29999999999999999")),
    ],
)
def test_two_numbers_are_shown_with_as_many_digits_as_tell_them_apart(value, threshold, words):
    assert pair(value, threshold) == words


def test_formats_that_count_failures_count_what_the_gate_counts():
    finding = Finding("VQ206", "scale-mismatch", "warning", "quantizer.vq[0]", "Codes at 5.2 ×.")
    other = Finding("VQ101", "codebook-collapse", "error", "quantizer.vq[0]", "Two codes.")
    remark = Finding("VQ305", "shrunken-start", "info", "quantizer.vq[0]", "If trained so.")
    reports = [replace(report(), findings=(finding, other, remark))]
    result = GateResult("fail", (use(), FOUND, *QUIET))
    left, regraded = as_gated(result, reports)
    assert [each.severity for each in regraded[0].findings] == ["warning", "info", "info"]  # nobody asked about the second
    assert left.checks == (use(), *QUIET)  # the finding stands for its check
    accepted = GateResult("pass", (replace(FOUND, status="pass", known="warning"),))
    assert [each.severity for each in as_gated(accepted, reports)[1][0].findings] == ["info"] * 3
    doubtful = GateResult("inconclusive", (replace(FOUND, status="inconclusive"),))
    assert as_gated(doubtful, reports)[1][0].findings[0].severity == "warning"


def test_thousands_of_rows_are_no_escapes():
    check = next(check for result, *_ in RESULTS.values() for check in result.checks if check.metric)
    many = replace(check, status="inconclusive", n=1010, needed_n=12288)
    told = render_text(GateResult("inconclusive", (many,)), [], Screen())
    assert "1 010 rows, 12 288 settle it (11 278 more)" in told
    assert "\\u202f" not in told

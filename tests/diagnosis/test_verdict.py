"""One word for a report: the table of the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_cases import ONE_SMALL_BATCH, TWO_CODES, K, case, ids

from vqdoctor.diagnosis import diagnose, judged, verdict, worst
from vqdoctor.model import Finding


def finding(severity):
    return Finding("VQ000", "x", severity, "q", "")


@pytest.mark.parametrize(
    ("severities", "word"),
    [
        ((), "healthy"),
        (("info",), "healthy"),
        (("warning", "info"), "at-risk"),
        (("warning", "error"), "sick"),
        (("error",), "sick"),
    ],
)
def test_by_the_gravest_finding(severities, word):
    assert verdict([finding(severity) for severity in severities], [case()]) == word


NO_USE = {"usage.n": None, "usage.used": None}


@pytest.mark.parametrize(
    ("cases", "word"),
    [
        ([], "unknown"),
        ([case(NO_USE)], "unknown"),
        ([case({"usage.n": 0})], "unknown"),
        ([case({"usage.n": 3 * K - 1})], "unknown"),
        ([case({"usage.n": 3 * K})], "healthy"),
        ([case({"usage.n": 40}, population=True)], "healthy"),
        ([case({"usage.n": 0}, population=True)], "unknown"),
        ([case(levels=3, by_level={2: NO_USE})], "unknown"),
        ([case(), case(NO_USE)], "unknown"),
        ([case(), case(levels=3)], "healthy"),
    ],
)
def test_healthy_only_where_every_level_was_seen(cases, word):
    assert verdict([], cases) == word


def test_an_implicit_quantiser_without_a_book_is_unknown():
    whole = case()
    assert not judged(replace(whole, report=replace(whole.report, levels=())))


def test_few_rows_alone_are_no_defect():
    few = case(ONE_SMALL_BATCH)
    findings = diagnose(few)
    assert [found.rule for found in findings] == ["VQ105"]
    assert verdict(findings, [few]) == "unknown"


@pytest.mark.parametrize(("subject", "word"), [(case(TWO_CODES), "sick"), (case(levels=3), "healthy"), (ids(), "healthy")])
def test_with_the_rules(subject, word):
    assert verdict(diagnose(subject), [subject]) == word


def test_the_worst_of_several():
    assert worst(["healthy", "unknown"]) == "unknown"
    assert worst(["unknown", "at-risk", "healthy"]) == "at-risk"
    assert worst(["at-risk", "sick"]) == "sick"
    assert worst(["healthy"]) == "healthy"
    assert worst([]) == "unknown"

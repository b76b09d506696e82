"""How grave a check is, and in which words it is told."""

import pytest
from gates import check_of, failed

from vqdoctor.model.gate import GateResult
from vqdoctor.render.gated import check_words, severity_of, told_checks


@pytest.mark.parametrize(
    ("status", "level", "verdict", "stops", "severity"),
    [
        ("pass", "error", "pass", False, None),
        ("fail", "error", "fail", True, "error"),
        ("fail", "warning", "pass", False, "warning"),
        ("fail", "info", "pass", False, "info"),
        ("inconclusive", "error", "fail", True, "warning"),
        ("inconclusive", "error", "inconclusive", True, "error"),
        ("inconclusive", "error", "inconclusive", False, "warning"),
    ],
)
def test_severity_says_whether_the_pipeline_stops_by_it(status, level, verdict, stops, severity):
    check = check_of("q", "usage.used", status=status, level=level)
    assert severity_of(check, GateResult(verdict, (check,), stops=stops)) == severity


def test_both_numbers_are_told_and_what_is_not_known_is_said():
    words = [check_words(check) for check in failed().checks]
    assert words[0] == "usage.utilization 0.00391, asked ≥ 0.900; n 65 533"
    assert words[1] == "collision.rate not known, asked ≤ 0.0500. One codebook: nothing can collide."
    assert words[2] == "VQ206 found, asked no finding. Codebook norm 0.04."
    assert words[5] == "VQ202 found before, asked no finding. The baseline holds it."
    assert words[3].startswith("usage.perplexity 39.5, asked ≥ 40.0; n 300; 1 536 rows would settle it.")


def test_rules_that_found_nothing_share_a_line():
    told, quiet = told_checks(failed())
    assert quiet == ["VQ201", "VQ203"] and len(told) == 6

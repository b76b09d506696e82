"""The engine: order, settings, what yields to what, strangers' rules, and what is known of a family's stock code."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from rule_cases import EMA, TWO_CODES, K, case, quantizer

from vqdoctor.diagnosis import RULES, Rule, diagnose, in_reading_order
from vqdoctor.model import Finding


def rules_of(findings):
    return [finding.rule for finding in findings]


def test_reads_gravest_first_then_in_lead_order():
    sick = case(TWO_CODES | {"geometry.nonfinite_rows": 1, "match.scale_ratio": 0.1, "ema.illusion_gap_conservative": 0.9})
    findings = diagnose(replace(sick, report=replace(sick.report, levels=(replace(sick.report.levels[0], dtype="float16"),))))
    assert rules_of(findings) == ["VQ201", "VQ101", "VQ103", "VQ206", "VQ304"]
    assert [finding.severity for finding in findings] == ["error", "error", "error", "warning", "info"]


def test_levels_read_in_their_order_beyond_nine():
    findings = diagnose(case({"geometry.zero_rows": 1}, levels=12))
    assert [finding.where for finding in findings] == [f"q[{index}]" for index in range(12)]
    assert in_reading_order(reversed(findings)) == findings


def test_collapse_silences_what_it_explains_only_at_its_own_level():
    dead = {"usage.dead": 200, "usage.unseen": 200}
    findings = diagnose(case(dead, levels=2, by_level={0: TWO_CODES}))
    assert [(finding.rule, finding.where) for finding in findings] == [("VQ101", "q[0]"), ("VQ102", "q[1]")]


def test_a_rule_that_the_user_configured_is_never_silenced():
    assert "VQ102" not in rules_of(diagnose(case(TWO_CODES | {"usage.dead": 254})))
    assert "VQ102" in rules_of(diagnose(case(TWO_CODES | {"usage.dead": 254}), overrides={"VQ102": {"severity": "warning"}}))


def test_what_is_switched_off_silences_nothing():
    findings = diagnose(case(TWO_CODES | {"usage.dead": 254}), overrides={"VQ101": {"severity": "off"}})
    assert "VQ101" not in rules_of(findings) and "VQ102" in rules_of(findings)


def test_a_severity_setting_holds_for_every_finding_of_the_rule():
    (finding,) = diagnose(case({"match.scale_ratio": 9.0, "distortion.snr_db": -19.0}), overrides={"VQ206": {"severity": "error"}})
    assert finding.severity == "error"


def test_a_threshold_setting_moves_the_judgement():
    skewed = case({"match.scale_ratio": 0.4})
    assert rules_of(diagnose(skewed)) == ["VQ206"]
    assert diagnose(skewed, overrides={"VQ206": {"low": 0.3}}) == ()


def test_a_shared_book_is_judged_once_by_its_tensors_and_at_each_level_by_use():
    shared = quantizer(2)
    shared = replace(shared, levels=(shared.levels[0], replace(shared.levels[1], shared_with=0)))
    findings = diagnose(case(TWO_CODES | {"geometry.zero_rows": 4}, levels=2, quantizer=shared))
    assert [(finding.rule, finding.where) for finding in findings] == [("VQ101", "q[0]"), ("VQ101", "q[1]"), ("VQ203", "q[0]")]


def test_an_assumed_metric_lowers_the_confidence_of_what_rests_on_search():
    use, rows = case(TWO_CODES, basis="assumed"), case({"geometry.nonfinite_rows": 1}, basis="assumed")
    assert diagnose(use)[0].confidence == "likely"
    assert diagnose(rows)[0].confidence == "certain"


def stranger(check, **changes):
    return Rule(id="XY001", name="stranger", title="From a plugin.", lead="geometry", check=check, page="x", **changes)


def _raises(case, limits):
    raise RuntimeError("boom \x1b[2J")


@pytest.mark.parametrize(
    "check",
    [
        _raises,
        lambda case, limits: ["not a finding"],
        lambda case, limits: 3,
        lambda case, limits: [Finding("XY001", "stranger", "fatal", "q", "")],
    ],
)
def test_a_broken_rule_of_a_plugin_is_told_and_costs_nothing_else(check):
    findings = diagnose(case(TWO_CODES), rules=(*RULES, stranger(check)))
    assert rules_of(findings) == ["VQ101", "XY001"]
    assert findings[1].severity == "warning" and "could not judge" in findings[1].message
    assert "\x1b" not in findings[1].message


def test_a_sound_rule_of_a_plugin_takes_part_with_thresholds_and_order():
    def check(case, limits):
        yield Finding("XY001", "stranger", "error", case.name, "Found.")

    findings = diagnose(case({"match.scale_ratio": 9.0, "distortion.snr_db": -19.0}), rules=(*RULES, stranger(check)))
    assert rules_of(findings) == ["XY001", "VQ206"]


def test_an_error_in_a_built_in_rule_is_not_hidden():
    class Torn:
        """A report whose levels cannot be read."""

        name = "q"

        @property
        def levels(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        diagnose(replace(case(), report=Torn()))


@dataclass(frozen=True)
class Run:
    name: str
    perplexity: float


def test_rules_over_other_subjects_live_in_the_same_registry():
    def check(run, limits):
        if run.perplexity < limits["warn"]:
            yield live.finding(run.name, "warning", "Perplexity fell.")

    from vqdoctor.diagnosis import Threshold

    live = stranger(check, subject=Run, thresholds={"warn": Threshold(10, "codes", "below: warning")})
    registry = (*RULES, live)
    assert rules_of(diagnose(Run("run", 3.0), rules=registry)) == ["XY001"]
    assert diagnose(Run("run", 30.0), rules=registry) == ()
    assert diagnose(case(), rules=registry) == ()


DEFECT = {"VQ306": "if trained with this family's stock code, revival is undone"}


def test_a_family_defect_without_evidence_is_a_hint():
    (finding,) = diagnose(case(quantizer=quantizer(defects=DEFECT)))
    assert (finding.rule, finding.severity, finding.confidence, finding.where) == ("VQ306", "info", "possible", "q")
    assert finding.message == "If trained with this family's stock code, revival is undone."


def test_a_family_defect_joins_the_finding_that_it_explains():
    undone = quantizer(defects=DEFECT, ema=replace(EMA, revival="undone"))
    (finding,) = diagnose(case({"ema.active": 200}, quantizer=undone))
    assert finding.severity == "warning" and finding.confidence == "likely"
    assert finding.message.startswith("56 codes of 256") and finding.message.count("stock code") == 1


def test_a_family_defect_can_be_switched_off():
    assert diagnose(case(quantizer=quantizer(defects=DEFECT)), overrides={"VQ306": {"severity": "off"}}) == ()


def test_evidence_is_what_was_measured():
    (finding,) = diagnose(case({"geometry.zero_rows": 3}))
    assert finding.evidence == {"geometry.zero_rows": 3, "geometry.norm_median": 2.0, "geometry.norm_max": 3.0}
    assert K == 256

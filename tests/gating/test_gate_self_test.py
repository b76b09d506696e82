"""Every gate is seen to fail on a sick specimen and to pass on a healthy one; the specimens are what they say."""

from pathlib import Path

import numpy as np
import pytest

import vqdoctor
from vqdoctor.app.gating.self_test import SEED, self_test
from vqdoctor.app.gating.specimens import SPECIMENS
from vqdoctor.app.inspect import inspect
from vqdoctor.diagnosis import RULES, Case
from vqdoctor.errors import VqdoctorError
from vqdoctor.gating import PRESETS, Asks, metric_ask, rule_ask
from vqdoctor.gating.asks import asks_of
from vqdoctor.gating.subject import TELLS_OF_ROWS

SAMPLES = str(Path(__file__).parents[2] / "sample_checkpoints")


@pytest.fixture(scope="module")
def seen():
    return {each.gate: each for each in self_test(Asks())}


def test_every_gate_of_every_preset_is_seen_both_ways(seen):
    assert all(each.shown for each in seen.values()), [each for each in seen.values() if not each.shown]
    rules = {rule.id for rule in RULES if rule.subject is Case and rule.id != TELLS_OF_ROWS}
    assert rules <= set(seen)
    assert {f"{bound.metric} {bound.op} {bound.threshold:g}" for each in PRESETS for bound in each.metrics} <= set(seen)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_sick_specimens_are_sick_and_healthy_ones_are_not(specimen, tmp_path):
    files = specimen.make(np.random.default_rng(SEED))
    report = inspect([str(files.write(tmp_path, specimen.name))], files.request)[0]
    grave = {finding.severity for finding in report.findings} & {"warning", "error"}
    assert bool(grave) == bool(specimen.sick)
    again = specimen.make(np.random.default_rng(SEED))
    for name, array in files.tensors.items():
        np.testing.assert_array_equal(array, again.tensors[name])


def test_a_gate_that_stops_nothing_or_everything_is_found_out():
    asked = [
        metric_ask("max", "usage.utilization=1", ""),
        metric_ask("min", "usage.perplexity=1000", ""),
        metric_ask("min", "encoder.vq[7]:usage.used=60", ""),
        metric_ask("min", "usage.utilization=2%", "", drop=True),
    ]
    never, always, elsewhere, drop, rows = self_test(asks_of(asked, [rule_ask("VQ105=error", "")]))
    assert not never.shown and not never.fails_on and never.passes_on
    assert not always.shown and always.false_alarms
    assert elsewhere.shown and drop.shown and "collapsed" in drop.fails_on  # scopes are left out
    assert not rows.shown and not rows.fails_on  # no specimen has too few rows


# the Python face


def test_gate_from_python():
    result = vqdoctor.gate(SAMPLES + "/healthy-vq.pt", min={"usage.utilization": 0.9}, rules={"VQ103": "error"})
    assert result.passed and result.verdict == "pass" and [check.status for check in result.checks] == ["pass", "pass"]
    sick = vqdoctor.gate(SAMPLES + "/ema-illusion.pt", SAMPLES + "/healthy-vq.pt")
    assert not sick.passed and sick.checks[0].rule == "VQ101" and not sick.asked
    lenient = vqdoctor.gate(SAMPLES + "/ema-illusion.pt", max={"ema.illusion_gap": 0.1}, fail_on="never")
    assert lenient.verdict == "fail" and lenient.passed


@pytest.mark.parametrize(
    "wrong",
    [
        {"min": {"usage.utilisation": 0.9}}, {"min": {"usage.utilization": "much"}}, {"rules": {"VQ1": "error"}},
        {"preset": "strikt"}, {"inconclusive": "maybe"}, {"fail_on": "always"}, {"at": "first"}, {"max_drop": {"usage.used": 1}},
    ],
)  # fmt: skip
def test_what_nothing_reads_is_an_error_of_ours(wrong):
    with pytest.raises(VqdoctorError):
        vqdoctor.gate(SAMPLES + "/healthy-vq.pt", **wrong)

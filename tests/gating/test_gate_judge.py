"""Asks to checks: what is asked where, what fails closed, how levels are put together, and what the verdict is."""

from dataclasses import replace

import pytest
from places import even, level, subject, whole

from vqdoctor.errors import UsageError
from vqdoctor.gating import Baseline, judge, metric_ask, rule_ask, verdict_of, written
from vqdoctor.gating.asks import Asks, MetricAsk, RuleAsk, asks_of, matches, scoped
from vqdoctor.gating.presets import PRESETS, preset
from vqdoctor.model import Finding, Unmeasured
from vqdoctor.model.gate import Check

GOOD, POOR = level(even(64, 640), index=0), level(even(16, 640).tolist() + [0] * 48, index=1)
FINDING = Finding("VQ103", "ema-illusion", "warning", "q[1]", "EMA counts 64 of 64.", {"usage.n": 640})


def checks_of(given, *places, **more):
    asks = given if isinstance(given, Asks) else asks_of(given)
    return judge(subject(*places, **more.pop("about", {})), asks, **more).checks


def ask(given="usage.utilization=0.9", op="min", **changes):
    return replace(metric_ask(op, given, f"--{op}"), **changes)


# where


@pytest.mark.parametrize(
    ("scope", "places"),
    [
        ("q", ["q", "q[0]", "q[12]"]),
        ("q[0]", ["q[0]"]),
        ("q[*]", ["q[0]", "q[12]"]),
        ("q[0-12]", ["q[0]", "q[12]"]),
        ("q[1-12]", ["q[12]"]),
        ("*", ["q", "q[0]", "q[12]", "decoder.q[0]"]),
        ("*[0]", ["q[0]", "decoder.q[0]"]),
        ("?", ["q", "q[0]", "q[12]"]),
        ("decoder.*", ["decoder.q[0]"]),
        ("decoder?q", ["decoder.q[0]"]),
        ("Q", []),
        ("q[2]", []),
        ("", []),
    ],
)
def test_scopes_name_places(scope, places):
    known = [whole(), level([1, 1]), level([1, 1], index=12), level([1, 1], quantizer="decoder.q")]
    assert [place.where for place in known if matches(scope, place)] == places


def test_a_name_with_brackets_of_its_own_is_named_in_full():
    odd = level([1, 1], quantizer="a[b]", index=3)
    assert matches("a[b]", odd) and matches("a[b][3]", odd) and not matches("a[b][2]", odd)


def test_an_ask_is_put_at_its_places_only():
    found = checks_of([ask("q[0]:usage.utilization=0.9")], GOOD, POOR)
    assert [(check.where, check.status) for check in found] == [("q[0]", "pass")]


# names


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("usage.utilisation=0.9", "Did you mean 'usage.utilization'?"),
        ("utilization=0.9", "Did you mean 'usage.utilization'?"),
        ("usage.util=0.9", "Did you mean 'usage.utilization'?"),
        ("usage.utilization", "lacks a value"),
        ("usage.utilization=", "no number"),
        ("usage.utilization=nan", "no number"),
        ("usage.utilization=inf", "no number"),
        ("usage.utilization=90%", "no number"),
        ("\x1b[2J=1", "\\x1b[2J"),
    ],
)
def test_a_threshold_that_cannot_be_read_is_told_with_the_nearest_name(given, words):
    with pytest.raises(UsageError) as raised:
        metric_ask("min", given, "--min")
    assert words in str(raised.value) and str(raised.value).startswith("--min")


def test_rules_are_named_by_id_or_name_and_levels_are_checked():
    assert rule_ask("ema-illusion=warning", "--rule").rule == "VQ103"
    assert rule_ask("vq103=off", "--rule").level == "off"
    for given, words in (("VQ13=error", "VQ103"), ("VQ103=eror", "Did you mean 'error'?"), ("VQ103", "lacks a level")):
        with pytest.raises(UsageError, match=words):
            rule_ask(given, "--rule")


def test_scopes_may_hold_colons():
    assert scoped("a:b[1]:usage.used", "") == ("a:b[1]", "usage.used")


def test_the_nearer_ask_of_one_key_counts():
    asks = asks_of([ask("usage.utilization=0.5")]).but(asks_of([ask("usage.utilization=0.9"), ask("usage.used=3")]))
    assert [each.threshold for each in asks.metrics.values()] == [0.9, 3.0]
    assert asks_of((), [rule_ask("VQ103=error", "")]).but(asks_of((), [rule_ask("VQ103=off", "")])).rules["VQ103"].level == "off"


# missing


def test_what_was_asked_for_and_is_missing_fails_closed_with_its_reason():
    about = {"unmeasured": (Unmeasured("usage.*", "no features given", "vqdoctor inspect a --features F"),)}
    bare = replace(GOOD, metrics={"usage.utilization": None, "geometry.zero_rows": 0})
    (check,) = checks_of([ask()], bare, about=about)
    assert (check.status, check.value, check.where) == ("fail", None, "q[0]")
    assert "no features given (vqdoctor inspect a --features F)" in check.reason
    assert verdict_of([check]) == ("fail", True)
    assert verdict_of([check], inconclusive="pass") == ("fail", True)  # not knowing is no excuse


def test_one_level_without_a_value_fails_beside_one_with():
    bare = replace(POOR, metrics={"usage.utilization": None})
    assert sorted((check.where, check.status) for check in checks_of([ask()], GOOD, bare)) == [("q[0]", "pass"), ("q[1]", "fail")]


def test_a_scope_that_names_nothing_fails_closed_and_tells_what_there_is():
    (check,) = checks_of([ask("vq[7]:usage.utilization=0.9")], GOOD)
    assert check.status == "fail" and "there is no vq[7] here; there is q" in check.reason


def test_what_a_preset_only_asks_where_it_is_measured_is_listed_instead():
    bare = replace(GOOD, metrics={"usage.utilization": None})
    judged = judge(subject(bare), asks_of([ask(required=False)]))
    assert judged.checks == () and judged.ungated[0].what == "usage.utilization"


# levels together


def test_the_worst_level_answers_for_all():
    (check,) = checks_of([ask()], GOOD, POOR)
    assert (check.where, check.status) == ("q[1]", "fail") and "the worst of 2" in check.reason
    (check,) = checks_of([ask("usage.utilization=0.2")], GOOD, POOR)
    assert (check.where, check.status) == ("q[1]", "pass")  # the least margin
    (check,) = checks_of([ask("usage.max_share=0.2", "max")], GOOD, POOR)
    assert check.where == "q[1]"


def test_a_failure_outranks_a_worse_value_that_is_open():
    few = level([1, 1] + [0] * 62, index=2)  # two rows: 2 of 64 seen, and nothing proved
    (check,) = checks_of([ask()], GOOD, few, POOR)
    assert (check.where, check.status) == ("q[1]", "fail")


def test_each_level_answers_and_their_mean():
    assert [check.where for check in checks_of([ask(over="each")], GOOD, POOR)] == ["q[0]", "q[1]"]
    (check,) = checks_of([ask("usage.utilization=0.6", over="mean")], GOOD, POOR)
    assert (check.where, check.value, check.status, check.n) == ("q[*]", 0.625, "pass", 640)
    other = replace(POOR, quantizer="r")
    assert checks_of([ask(over="mean")], GOOD, other)[0].where == "*"


# rules


def rules_of(level=None, **about):
    return checks_of(asks_of((), [RuleAsk("VQ103", level)]), GOOD, POOR, about={"judged": frozenset({"VQ103"}), **about})


def test_findings_of_an_asked_rule_fail_where_they_are():
    (check,) = rules_of(findings=(FINDING,))
    assert (check.status, check.where, check.level, check.n, check.op) == ("fail", "q[1]", "warning", 640, "absent")
    assert rules_of()[0].status == "pass"
    remark = replace(FINDING, severity="info")
    assert rules_of(findings=(remark,))[0].status == "pass"
    assert rules_of("error", findings=(replace(FINDING, severity="error"),))[0].level == "error"


def test_a_rule_that_could_not_judge_fails_closed_or_is_listed():
    about = {"unmeasured": (Unmeasured("ema.*", "no counters", None),)}
    (check,) = checks_of(asks_of((), [RuleAsk("VQ103", "error")]), GOOD, about=about)
    assert check.status == "fail" and "cannot be judged: no counters" in check.reason
    judged = judge(subject(GOOD, **about), asks_of((), [RuleAsk("VQ103", required=False)]))
    assert judged.checks == () and (judged.ungated[0].what, judged.ungated[0].why) == ("ema.* (VQ103)", "no counters")


def test_the_silence_of_a_rule_on_too_few_rows_means_nothing():
    few = level([1] * 10 + [0] * 54, index=1)
    (check,) = rules_of(thin={"VQ103": few})
    assert (check.status, check.n, check.needed_n, check.where) == ("inconclusive", 10, 192, "q[1]")


def test_rules_can_be_left_out():
    assert checks_of(asks_of((), [RuleAsk("VQ103", "off")]), GOOD, about={"findings": (FINDING,)}) == ()


def test_a_doubtful_lookup_leaves_rules_on_real_use_open():
    assert rules_of(findings=(FINDING,), doubt="which metric?")[0].status == "inconclusive"
    assert rules_of(doubt="which metric?")[0].status == "inconclusive"


# verdicts


def check(status, grave="error"):
    return Check("a", "", "usage.used", status=status, level=grave)


@pytest.mark.parametrize(
    ("checks", "policies", "expected"),
    [
        ([check("pass")], {}, ("pass", False)),
        ([check("pass"), check("fail")], {}, ("fail", True)),
        ([check("inconclusive"), check("fail")], {}, ("fail", True)),
        ([check("inconclusive")], {}, ("inconclusive", True)),
        ([check("inconclusive")], {"inconclusive": "pass"}, ("inconclusive", False)),
        ([check("inconclusive")], {"inconclusive": "warn"}, ("inconclusive", False)),
        ([check("fail", "warning")], {}, ("pass", False)),
        ([check("fail", "warning")], {"fail_on": "warning"}, ("fail", True)),
        ([check("fail", "info")], {"fail_on": "warning"}, ("pass", False)),
        ([check("fail", "info")], {"fail_on": "info"}, ("fail", True)),
        ([check("fail")], {"fail_on": "never"}, ("fail", False)),
        ([], {}, ("inconclusive", True)),  # nothing was judged: nothing is known
        ([], {"inconclusive": "pass"}, ("inconclusive", False)),
    ],
)
def test_what_comes_of_the_checks(checks, policies, expected):
    assert verdict_of(checks, **policies) == expected


# drops


def drop(given, **changes):
    return replace(metric_ask("min", given, "--max-drop", drop=True), **changes)


@pytest.mark.parametrize(
    ("given", "known", "status", "threshold"),
    [
        ("usage.utilization=0.02", 1.0, "fail", 0.98),
        ("usage.utilization=0.75", 1.0, "pass", 0.25),
        ("usage.utilization=2%", 0.25, "pass", 0.245),
        ("usage.utilization=2%", 0.5, "fail", 0.49),
        ("usage.utilization=2%", 0.0, "pass", 0.0),
    ],
)
def test_a_drop_is_a_threshold_taken_from_the_baseline(given, known, status, threshold):
    baseline = Baseline({"q[1] usage.utilization": known})
    (found,) = checks_of([drop(given)], POOR, baseline=baseline)
    assert (found.status, found.threshold) == (status, pytest.approx(threshold))
    assert "the baseline holds" in found.reason


def test_where_lower_is_better_a_drop_is_a_rise():
    place = whole(population=True, collision__rate=0.10)
    for given, status in (("collision.rate=0.02", "fail"), ("collision.rate=0.05", "pass"), ("collision.rate=100%", "pass")):
        (found,) = checks_of([drop(given)], place, baseline=Baseline({"q collision.rate": 0.06}))
        assert (found.status, found.op) == (status, "max")


def test_a_drop_without_a_known_value_fails_closed():
    (found,) = checks_of([drop("usage.utilization=0.1")], POOR, baseline=Baseline({}))
    assert found.status == "fail" and "baseline holds no value" in found.reason
    with pytest.raises(UsageError, match="below 0"):
        drop("usage.utilization=-1%")


# presets


def test_presets_are_data_that_holds_together():
    assert [each.name for each in PRESETS] == ["recommended", "strict", "codec", "semantic-ids"]
    for each in PRESETS:
        assert each.asks.presets == (each.name,) and each.name in each.page
        assert set(each.sources) == {bound.metric for bound in each.metrics}
        assert all(bound.origin == f"preset {each.name}" for bound in each.asks.metrics.values())
        assert not any(wanted.required for wanted in each.asks.rules.values())
    assert preset("recommended").metrics == ()
    with pytest.raises(KeyError):
        preset("lenient")


def test_what_is_written_is_what_was_seen():
    judged = judge(subject(GOOD, POOR, findings=(FINDING,)), asks_of([MetricAsk("usage.used", "min", 60)], [RuleAsk("VQ103")]))
    assert written(judged.seen, several=False).entries == {
        "q[0] usage.used": 64.0, "q[1] usage.used": 16.0, "q[1] VQ103": "warning",
    }  # fmt: skip

"""What the live rules say of a log, and of anything that may stand in one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_cases import LIVE, K, events, healthy, ids, loss, noisy, perplexity, run, series

from vqdoctor.diagnosis import diagnose, parse_overrides
from vqdoctor.logs import read_runs
from vqdoctor.model import Event
from vqdoctor.model.report import SEVERITIES

ROOT = Path(__file__).parents[2]
CAUSES = {
    "an event": (events("kmeans-reinit", [590]), "the re-initialisation at step 590"),
    "an expansion": (events("expanded", [590]), "the expansion of the book at step 590"),
}


def said(subject, rule):
    return [finding for finding in diagnose(subject) if finding.rule == rule]


def judged(path):
    """The findings of a log on disk, as a watch would ask for them."""
    (found,), _ = read_runs(path, clock=lambda: 0.0)
    config = next((event.detail.get("config") for event in found.events if event.kind == "run"), None)
    subject = run(*found.series(), state=found.outcome or "ended", events=tuple(found.events), usage=tuple(found.usage),
                  config=config or {}, path=str(path))  # fmt: skip
    return diagnose(subject)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("sample_checkpoints/healthy-vq.log.jsonl", set()),
        ("sample_checkpoints/revived-by-kmeans.log.jsonl", set()),
        ("sample_checkpoints/hourglass.log.jsonl", {("VQ401", "quantizer")}),  # as its checkpoint has
        ("sample_checkpoints/ema-illusion.log.jsonl", {("VQ501", "quantizer[0]"), ("VQ103", "quantizer[0]")}),
        (
            "sample_checkpoints/collapsed-rq.log.jsonl",
            {("VQ401", "quantizer"), *((rule, f"quantizer[{level}]") for rule in ("VQ501", "VQ103") for level in range(3))},
        ),
        ("tests/data/logs/genrec_trainer_log_part.jsonl", set()),
        ("tests/data/logs/aktasumitt_train_results.json", set()),
    ],
)
def test_logs_that_people_and_the_trainer_wrote(log, expected):
    assert {(finding.rule, finding.where) for finding in judged(ROOT / log)} == expected


def test_onset_is_where_the_fall_begins():
    (finding,) = said(run(perplexity((5.0, 5.0, 60), (5.0, 2.0, 30))), "VQ501")
    assert 570 <= finding.evidence["onset_step"] <= 630 < finding.evidence["alarm_step"] <= 750
    assert finding.evidence["span"][1] == 900 and "from 157" in finding.message and f"{K} codes" in finding.message


def test_one_name_for_one_fall_however_it_is_logged():
    nats = np.log(noisy(5.0)) - np.concatenate([np.zeros(60), np.linspace(0, 3, 40)])
    curves = {
        "usage.perplexity": np.exp(nats), "usage.batch_perplexity": np.exp(nats), "usage.entropy_bits": nats / np.log(2),
        "usage.entropy_normalized": nats / np.log(K), "usage.used": np.exp(nats), "usage.utilization": np.exp(nats) / K,
    }  # fmt: skip
    onsets = set()
    for name, values in curves.items():
        (finding,) = said(run(series(name, values)), "VQ501")
        assert finding.evidence["basis"] == name
        onsets.add(finding.evidence["onset_step"])
    assert len(onsets) == 1


def test_running_counts_never_feed_it():
    falling = np.exp(np.concatenate([np.full(60, 5.0), np.linspace(5, 0, 40)]))
    assert not said(run(series("ema.perplexity", falling), series("ema.active", falling)), "VQ501")


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_that_the_log_shows_is_named(case):
    happened, words = CAUSES[case]
    fall = perplexity((5.0, 5.0, 60), (5.0, 2.0, 30))
    (finding,) = said(run(fall, events=happened), "VQ501")
    assert finding.remedy.text.index(words) < finding.remedy.text.index("Rule out first")


def test_a_learning_rate_that_rose_is_named_and_settings_are():
    rates = loss(np.repeat([1e-4, 1e-2], [58, 42]), "lr")
    fall = perplexity((5.0, 5.0, 60), (5.0, 2.0, 30))
    (finding,) = said(run(fall, rates, config={"codes": [K], "quantizer": {"straight_through": False}}), "VQ501")
    assert "learning rate rising from 0.0001 to 0.01" in finding.remedy.text
    assert "straight_through = false" in finding.remedy.text
    (finding,) = said(run(fall, loss(np.full(100, 1e-4), "lr")), "VQ501")
    assert "The log shows" not in finding.remedy.text


def test_the_command_names_the_checkpoint_that_the_log_names_and_no_other_folder():
    fall = perplexity((5.0, 5.0, 60), (5.0, 2.0, 30))
    saved = (Event("checkpoint", 900.0, {"file": "../../etc/step 900.pt"}),)
    (finding,) = said(run(fall, events=saved), "VQ501")
    assert finding.remedy.command == "vqdoctor repair 'logs/step 900.pt' --kmeans -o repaired.pt"
    assert said(run(fall), "VQ501")[0].remedy.command is None


def test_a_book_that_came_back_is_no_onset():
    assert not said(run(perplexity((5.0, 5.0, 30), (5.0, 2.0, 30), (5.0, 4.9, 40))), "VQ501")


def test_collapse_as_a_state_needs_the_number_of_codes():
    low = series("usage.perplexity", np.full(20, 1.5))
    assert said(run(low), "VQ501") and not said(run(low, config={}), "VQ501")
    assert said(run(low, config={}, usage=(Event("usage", 5.0, {"codes": K, "quantizer": "q", "level": 0}),)), "VQ501")
    ratio = (series("usage.used", np.full(20, 4.0)), series("usage.utilization", np.full(20, 4 / K)))
    assert said(run(low, *ratio, config={}), "VQ501")[0].evidence["codes"] == K


def test_a_small_batch_of_a_large_book_is_not_collapsed():
    batch = series("usage.batch_perplexity", np.full(40, 50.0))
    large = {"codebook_size": 16384}
    assert not said(run(batch, config=large | {"batch_size": 64}), "VQ501")
    assert not said(run(batch, config=large), "VQ501")
    assert said(run(series("usage.perplexity", np.full(40, 50.0)), config=large), "VQ501")


def test_a_reinitialisation_a_resume_and_an_expansion_begin_anew():
    low = perplexity((5.0, 5.0, 40), (4.0, 4.0, 40))
    assert said(run(low), "VQ501")
    assert not said(run(low, events=events("kmeans-reinit", [400])), "VQ501")
    assert not said(run(low, events=events("expanded", [400])), "VQ501")
    assert not said(run(perplexity((5.0, 5.0, 40), (4.0, 4.0, 40), steps=[*range(40), *range(20, 60)])), "VQ501")


def test_levels_and_parts_of_the_data_are_judged_apart():
    fall, flat = np.exp(np.repeat([5.0, 2.0], 40)), np.full(80, 150.0)
    curves = [series("usage.perplexity", fall, level=1, scope="validation"), series("usage.perplexity", flat, level=1),
              series("usage.perplexity", fall, level=0, scope="best")]  # fmt: skip
    assert [finding.where for finding in said(run(*curves), "VQ501")] == ["q[1] (validation)"]


def test_relapse_tells_troughs_and_ends_once_a_segment_has_held():
    saw = ((5.0, 5.0, 10), (4.9, 2.6, 15))
    (finding,) = said(run(perplexity(*saw, *saw)), "VQ503")
    assert finding.severity == "error" and len(finding.evidence["alarms"]) == 2
    assert not said(run(perplexity(*saw, *saw, (5.0, 4.8, 40))), "VQ503")


def test_a_reinitialisation_that_did_not_bring_it_back():
    weak = perplexity((5.0, 5.0, 20), (5.0, 2.0, 20), (3.0, 3.0, 40))
    (finding,) = said(run(weak, events=events("kmeans-reinit", [400])), "VQ503")
    assert finding.severity == "warning" and "did not bring" in finding.message


def test_a_skip_is_told_with_its_numbers_and_is_an_info_once_one_ran():
    skip = events("skipped", [40], samples=5000, codes=8192, reason="too few samples")
    (finding,) = said(run(loss(np.ones(9)), events=skip), "VQ502")
    assert "5000 < 8192 samples" in finding.message and finding.severity == "warning"
    (finding,) = said(run(loss(np.ones(9)), events=(*skip, *events("kmeans-reinit", [60]))), "VQ502")
    assert finding.severity == "info"


def test_a_loss_that_is_finite_again_is_a_warning():
    happened = (Event("non-finite", 50.0, {"series": "loss"}),)
    (finding,) = said(run(loss(np.ones(9), nonfinite=1), events=happened), "VQ504")
    assert finding.severity == "warning" and finding.evidence["onset_step"] == 50


def test_silence_is_no_stall_in_a_log_that_was_never_seen_to_grow_and_need_not_say_its_end():
    quiet = run(loss(np.ones(9)), state="stalled", silence=600.0)
    assert not diagnose(quiet)
    ours = run(loss(np.ones(9)), state="stalled", silence=600.0, events=(Event("run"),))
    assert [finding.rule for finding in diagnose(ours)] == ["VQ507"]


def test_a_frozen_book_is_frozen_only_while_something_else_moves():
    firing = LIVE["VQ511"][0]
    assert not said(replace(firing, series=(loss(np.ones(100)),)), "VQ511")
    assert not said(replace(firing, config={"quantizer": {"frozen": True}}), "VQ511")


def test_limits_and_severities_are_the_users():
    fall = run(perplexity((5.0, 5.0, 60), (5.0, 4.2, 30)))
    (finding,) = said(fall, "VQ501")
    assert finding.severity == "warning"
    assert not [f for f in diagnose(fall, overrides=parse_overrides({"VQ501": {"drop": 1.0}})) if f.rule == "VQ501"]
    assert not diagnose(fall, overrides=parse_overrides({"collapse-onset": "off"}))
    illusion = LIVE["VQ103"][0]
    assert not diagnose(illusion, overrides=parse_overrides({"VQ103": "off", "VQ501": "off"}))


SIX = {"usage.batch_utilization": 2 / K, "usage.batch_entropy_bits": 0.95, "usage.batch_entropy_normalized": 0.95 / 8,
       "ema.active": K, "ema.entropy_bits": 7.92, "ema.entropy_normalized": 0.99}  # fmt: skip


@pytest.mark.parametrize(("config", "severity"), [({}, "warning"), ({"batch_size": 64}, "error")])
def test_the_six_figures_of_a_monitor_show_the_illusion_and_the_collapse(config, severity):
    """Neither K nor, in the first, the size of a batch is told: two entropies in two units tell K."""
    told = run(*(series(name, np.full(20, value)) for name, value in SIX.items()), config=config)
    (finding,) = said(told, "VQ103")
    assert finding.severity == severity and "256 codes active" in finding.message and "None" not in finding.message
    assert ("16 rows" in finding.message) == (not config)
    assert said(told, "VQ501")[0].severity == "error"
    sound = SIX | {"usage.batch_utilization": 60 / K, "usage.batch_entropy_bits": 5.6, "usage.batch_entropy_normalized": 0.7}
    assert not diagnose(run(*(series(name, np.full(20, value)) for name, value in sound.items()), config=config))


def test_an_illusion_needs_no_more_than_two_counts():
    """A book has at least the codes that its running counts call active."""
    active = series("ema.active", np.full(20, 200.0))
    (finding,) = said(run(active, series("usage.batch_used", np.full(20, 2.0)), config={}), "VQ103")
    assert "at least 200 codes" in finding.message and finding.evidence["codes"] == 200
    assert not said(run(active, series("usage.batch_used", np.full(20, 12.0)), config={}), "VQ103")


@pytest.mark.parametrize(
    ("bits", "share", "codes"),
    [(7.92, 0.99, 256), (5.5, 0.79, None), (0.0, 0.0, None), (math.log2(1000) * 0.9, 0.9, 1000), (math.log2(511) * 0.9, 0.9, 511)],
)
def test_entropies_tell_the_number_of_codes_only_as_far_as_they_are_exact(bits, share, codes):
    told = run(series("ema.entropy_bits", [bits]), series("ema.entropy_normalized", [share]), config={})
    assert [level.codes for level in told.levels] == [codes]


def test_collisions_of_a_log_are_judged_as_it_counts_them():
    counted = [ids("items", [3882.0]), ids("excess", [3881.0])]
    (finding,) = said(run(*counted, path="a.log"), "VQ401")
    assert finding.severity == "error" and "99.9 % of 3 882 items" in finding.message and "(1 distinct)" in finding.message
    assert finding.evidence["collision.rate"] == 3881 / 3882
    assert said(run(ids("rate", [0.4])), "VQ401") and not said(run(ids("rate", [0.4], scope="batch")), "VQ401")
    assert not said(run(ids("excess", [3881.0])), "VQ401")  # of how many?
    assert not said(run(*counted, config={"quantizer": {"levels": 1}}), "VQ401")  # codes of one codebook name no item


def test_a_run_that_goes_on_is_not_judged_by_its_first_collisions():
    first = [ids("items", [3883.0] * 4), ids("excess", [3881.0, 3000.0, 2500.0, 2000.0])]
    assert not said(run(*first, state="live"), "VQ401") and said(run(*first), "VQ401")
    summary = [ids("items", [3883.0]), ids("excess", [583.0], scope="last"), ids("excess", [24.0], scope="best")]
    assert said(run(*summary, state="live"), "VQ401")[0].evidence["collision.excess"] == 583


def test_claims_and_real_use_are_held_together_at_one_step():
    use = series("usage.utilization", [0.3], [50.0])
    assert not said(run(use, series("ema.utilization", [0.3, 1.0], [50.0, 60.0])), "VQ103")
    assert said(run(use, series("ema.utilization", [1.0, 0.3], [50.0, 60.0])), "VQ103")


names = st.sampled_from([*(curve.meaning.metric or curve.meaning.scalar for curve in healthy().series), "usage.batch_perplexity",
                         "usage.batch_used", "usage.n", "lr", "ema.active", "usage.entropy_normalized"])  # fmt: skip
numbers = st.one_of(st.floats(-10, 300), st.sampled_from([0.0, 1e-300, 1e300, 1.0]))
details = st.dictionaries(
    st.sampled_from(["level", "quantizer", "codes", "codes_before", "samples", "reason", "interval", "hash", "rank", "file",
                     "series", "utilization", "action"]),
    st.one_of(st.none(), st.integers(-5, 10**12), st.floats(), st.text(max_size=8), st.booleans(), st.lists(st.integers())),
)  # fmt: skip
kinds = st.sampled_from(["kmeans-reinit", "dead-reset", "skipped", "expanded", "digest", "checkpoint", "end", "run", "usage",
                         "kmeans-enabled", "kmeans-begin", "non-finite", "failed", "restarted"])  # fmt: skip
happenings = st.builds(Event, kinds, st.one_of(st.none(), st.floats(-100, 2000)), details)


@st.composite
def curves(draw, least=0, most=40):
    count = draw(st.integers(least, most))
    values = draw(st.lists(numbers, min_size=count, max_size=count))
    steps = draw(st.lists(st.floats(-5, 500), min_size=count, max_size=count))
    name = draw(names)
    scalar = name.startswith("l")
    changes = {"scope": draw(st.sampled_from([None, "train", "validation", "best"])), "nonfinite": draw(st.integers(0, 2))}
    return series(name, values, steps if draw(st.booleans()) else sorted(steps), scalar, draw(st.integers(0, 1)), **changes)


@st.composite
def runs(draw, **sizes):
    values = st.one_of(st.none(), st.integers(-2, 10**6), st.lists(st.integers(0, 99), max_size=3))
    config = draw(st.dictionaries(st.sampled_from(["codes", "batch_size", "reinit_interval", "frozen"]), values))
    silence = draw(st.one_of(st.none(), st.floats(0, 1e6)))
    return run(*draw(st.lists(curves(**sizes), max_size=6)), events=tuple(draw(st.lists(happenings, max_size=8))),
               usage=tuple(draw(st.lists(happenings, max_size=2))), config=config, silence=silence,
               state=draw(st.sampled_from(["waiting", "live", "lagging", "stalled", "ended", "failed"])))  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(runs())
def test_any_log_is_judged(subject):
    for finding in diagnose(subject):
        assert finding.severity in SEVERITIES and finding.remedy.text
        assert finding.message.isprintable() and finding.where.isprintable()
        assert "None" not in finding.message and not {"nan", "nan.", "inf"} & set(finding.message.split())
        assert {"onset_step", "span"} <= set(finding.evidence)
        json.dumps(finding.evidence, allow_nan=False)


@pytest.mark.parametrize("name", ["usage.perplexity", "usage.entropy_bits", "usage.entropy_normalized", "usage.used"])
def test_use_of_more_codes_than_there_can_be_is_no_use(name):
    found = diagnose(replace(run(series(name, [1e300, 1.0] * 20)), config={"codes": 3}))
    assert not [finding for finding in found if "1e+300" in finding.message or "inf" in finding.message.split()]


@settings(max_examples=60, deadline=None)
@given(runs(most=4))
def test_a_few_points_are_no_finding(subject):
    quiet = replace(subject, events=(), silence=None, series=tuple(replace(curve, nonfinite=0) for curve in subject.series))
    assert not [finding for finding in diagnose(quiet) if finding.rule not in ("VQ103", "VQ508")]  # which need no curve


@pytest.mark.parametrize("subject", [run(), run(series("usage.perplexity", [])), run(loss([]))], ids=["none", "no use", "no loss"])
def test_nothing_is_no_finding(subject):
    assert diagnose(replace(subject, config={})) == ()

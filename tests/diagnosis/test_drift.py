"""The detector of live series: the oracles of the reference, its own plain definition, and how it takes noise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vqdoctor.diagnosis.drift import LEAST, difference_spread, judge_curve, noise, pooled, robust_collapse

ORACLES = json.loads((Path(__file__).parents[1] / "data" / "oracles.json").read_text())
LIMITS = {"drop": math.log(2), "jump": 0.5, "noise": 0.18, "noise_sigmas": 7.0}
NONE = np.empty(0, np.int64)


def alarms(segments):
    return [segment.alarm for segment in segments if segment.alarm is not None]


@pytest.mark.parametrize("name", [name for name in ORACLES if name.startswith("drift_")])
def test_oracles(name):
    given, expected = ORACLES[name]["inputs"], ORACLES[name]["expected"]
    segments = robust_collapse(np.array(given["x"], float), given.get("events", ()))
    assert alarms(segments) == expected["robust_alarms"]
    if "segments" in expected:
        assert [segment.start for segment in segments] == expected["segments"]


def plainly(curve, starts):
    """The definition, word for word, with nothing saved."""
    begin, found, latched = 0, [], False
    begins = [0]
    for at in range(len(curve)):
        spread = difference_spread(curve[: at + 1])
        if at and (at in starts or curve[at] - curve[at - 1] >= max(0.5, 6 * spread)):
            begin, latched = at, False
            begins.append(at)
        medians = [np.median(curve[max(begin, i - 4) : i + 1]) for i in range(begin, at + 1)]
        fell = medians[-1] <= max(medians) - max(math.log(2), 4 * spread)
        if not latched and at - begin >= 5 and fell:
            found.append(at)
            latched = True
    return found, begins


curves = arrays(float, st.integers(0, 40), elements=st.floats(0, 8, width=16))


@settings(max_examples=150, deadline=None)
@given(curves, st.sets(st.integers(1, 39)))
def test_it_is_its_definition(curve, starts):
    segments = robust_collapse(curve, starts)
    assert (alarms(segments), [segment.start for segment in segments] or [0]) == plainly(curve, starts)


@settings(max_examples=150, deadline=None)
@given(curves, st.integers(1, 9), st.lists(st.integers(1, 39), unique=True).map(sorted))
def test_pooling_takes_means_and_never_crosses_a_start(curve, group, starts):
    starts = np.array([start for start in starts if start < len(curve)], np.int64)
    means, firsts, begins = pooled(curve, starts, group)
    assert list(firsts[begins]) == list(starts)
    for mean, first, after in zip(means, firsts, [*firsts[1:], len(curve)][: len(firsts)], strict=True):
        end = min([first + group, after, *starts[starts > first]])
        assert mean == pytest.approx(curve[first:end].mean(), abs=1e-9)


def test_noise_is_seen_through_a_ramp_and_through_correlation():
    rng = np.random.default_rng(0)
    white = rng.normal(scale=0.2, size=2000)
    correlated = np.zeros(2000)
    for at in range(1, 2000):
        correlated[at] = 0.6 * correlated[at - 1] + 0.8 * white[at]
    assert noise(white + np.linspace(9, 0, 2000)) == pytest.approx(0.2, rel=0.08)
    assert noise(correlated) == pytest.approx(0.2, rel=0.15)
    assert noise(white[: LEAST - 1]) is None


@pytest.mark.parametrize("sd", [0.05, 0.15, 0.4, 1.0])
def test_noise_alone_is_no_fall_and_a_fall_is_found_in_it(sd):
    found = silent = 0
    for seed in range(20):
        curve = 6 + np.random.default_rng(seed).normal(scale=sd, size=300)
        silent += not alarms(judge_curve(curve, NONE, LIMITS).segments)
        curve[200:] -= 5
        drift = judge_curve(curve, NONE, LIMITS)
        found += any(drift.firsts[alarm] >= 200 - drift.group for alarm in alarms(drift.segments))
    assert silent == 20 and found == 20


def test_too_few_points_to_know_the_noise_are_not_judged():
    curve = np.repeat([5.0, 1.0], [16, 5])
    assert judge_curve(curve[: LEAST - 1], NONE, LIMITS) is None
    assert alarms(judge_curve(curve, NONE, LIMITS).segments) == [18]

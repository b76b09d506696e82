"""The store: exact counts, segments, events of values that are no numbers, bounded memory, spikes that survive."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vqdoctor.logs import Budget, SeriesStore
from vqdoctor.logs.pyramid import Pyramid
from vqdoctor.logs.store import Column
from vqdoctor.model import Event, Points, SeriesKey

KEY = SeriesKey("loss")
FINITE = st.floats(-1e6, 1e6)


def points(steps, values, times=None, key=KEY):
    steps, values = np.asarray(steps, float), np.asarray(values, float)
    return Points(key, steps, values, np.full(len(steps), np.nan) if times is None else np.asarray(times, float))


def test_segments_duplicates_and_ends():
    store = SeriesStore()
    store.add([points([1, 2, 2, 5], [4, 3, 2, 1]), points([3, 4], [9, 8], [1.7e9, 1.7e9])])
    [series] = store.series()
    assert series.steps.tolist() == [1, 2, 2, 5, 3, 4] and series.starts.tolist() == [0, 4]
    assert (series.n, series.duplicates, series.nonfinite) == (6, 1, 0)
    assert (series.first, series.last, series.low, series.high) == (4, 8, 1, 9)
    assert (series.first_step, series.last_step) == (1, 4)
    assert np.isnan(series.times[:4]).all() and series.times[4] == 1.7e9
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 7


@pytest.mark.parametrize(
    ("name", "values", "metric"),
    [
        ("codebook_usage", [0.5, 45.0], None), ("codebook_usage", [0.5, 1.0005], "usage.utilization"), ("codebook_usage %", [3, 45], "usage.utilization"),
        ("collision_rate", [13.5], None), ("usage.used", [45.0], "usage.used"), ("codebook_usage", [np.nan], "usage.utilization"),
    ],
)  # fmt: skip
def test_a_share_over_1_is_shown_as_it_is_and_not_judged(name, values, metric):
    store = SeriesStore()
    store.add([points(range(len(values)), values, key=SeriesKey(name))])
    [series] = store.series()
    assert series.meaning.metric == metric
    assert bool(series.meaning.note) == (metric is None)


def test_what_was_given_out_does_not_change():
    store = SeriesStore()
    store.add([points(range(100), range(100))])
    [before] = store.series()
    store.add([points(range(100, 5000), range(100, 5000))])
    assert before.n == 100 and before.values.tolist() == list(range(100))


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_nan=True, allow_infinity=True, width=16)), st.integers(0, 60)
)
def test_values_that_are_no_numbers(values, cut):
    whole, parts = SeriesStore(), SeriesStore()
    steps = np.arange(len(values), dtype=float)
    whole.add([points(steps, values)])
    parts.add([points(steps[:cut], values[:cut]), points(steps[cut:], values[cut:])])
    finite = np.isfinite(values)
    onsets = np.flatnonzero(~finite & np.concatenate([[True], finite[:-1]]))
    for store in (whole, parts):
        [series] = store.series()
        assert series.values.tolist() == values[finite].tolist() and series.nonfinite == int((~finite).sum())
        assert [event.step for event in store.events] == onsets.tolist()
        assert (series.n, series.low is None) == (int(finite.sum()), not finite.any())


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), FINITE), min_size=1, max_size=9), min_size=1, max_size=9))
def test_counts_do_not_depend_on_the_pieces(pieces):
    whole, parts = Column(), Column()
    flat = np.array([pair for piece in pieces for pair in piece], float).T
    whole.append(flat[0], flat[1], np.full(flat.shape[1], np.nan))
    for piece in pieces:
        steps, values = np.array(piece, float).T
        parts.append(steps, values, np.full(len(piece), np.nan))
    for name in ("n", "duplicates", "first", "last", "low", "high", "first_step", "last_step"):
        assert getattr(whole, name) == getattr(parts, name)
    assert whole.starts.tolist() == parts.starts.tolist() == [0, *(1 + np.flatnonzero(np.diff(flat[0]) < 0)).tolist()]


def test_a_full_store_keeps_spikes_and_counts():
    budget = Budget(10_000)
    store = SeriesStore(budget)
    other = SeriesKey("short")
    rng = np.random.default_rng(0)
    store.add([points([1, 2], [5, 6], key=other)])
    for start in range(0, 200_000, 1000):
        values = rng.normal(size=1000)
        values[500] = start + 100.0
        store.add([points(np.arange(start, start + 1000), values)])
    long, short = sorted(store.series(), key=lambda series: -series.n)
    assert (long.n, long.last_step, long.high) == (200_000, 199_999, 199_100.0)
    assert len(long.values) + len(short.values) <= 10_000 and budget.used == len(long.values) + 2
    assert short.values.tolist() == [5, 6]
    spikes = np.arange(0, 200_000, 1000) + 100.0
    assert set(spikes) <= set(long.values.tolist())
    assert (np.diff(long.steps) > 0).all() and np.array_equal(long.steps[-100:], np.arange(199_900, 200_000))


def test_a_budget_is_shared_and_given_back():
    budget = Budget(1000)
    one, two = SeriesStore(budget), SeriesStore(budget)
    one.add([points(range(900), range(900))])
    two.add([points(range(900), range(900))])
    assert budget.used <= 1000
    one.release()
    assert budget.used == len(two.series()[0].values)


def test_events_are_bounded():
    store = SeriesStore()
    store.add([Event("digest", float(i)) for i in range(10_005)])
    assert len(store.events) == 10_000 and store.events[0].step == 5
    assert store.faults.summary() == "Left out: 5 older events."
    store.add([Event("usage", float(i), {"quantizer": "q", "level": i % 2}) for i in range(5000)])
    kept = store.usage()
    assert len(kept) <= 1024 and {event.detail["level"] for event in kept} == {0, 1} and kept[-1].step >= 4990


@settings(deadline=None)
@given(
    values=arrays(np.float64, st.integers(1, 3000), elements=FINITE, fill=st.nothing()),
    cuts=st.lists(st.floats(0, 1), max_size=20), grow=st.floats(0, 1),
)  # fmt: skip
def test_a_pyramid_tells_true_extremes(values, cuts, grow):
    pyramid = Pyramid()
    edges = np.array(sorted({0, len(values), *(int(cut * len(values)) for cut in cuts)}))
    if (early := int(grow * len(values))) > 1:
        pyramid.extremes(values[:early], np.array([0, early]))
    lows, highs, places = pyramid.extremes(values, edges)
    assert places[0] == edges[0] and (np.diff(places) > 0).all()
    for low, high, begin, end in zip(lows, highs, places, [*places[1:], edges[-1]], strict=True):
        assert (low, high) == (values[begin:end].min(), values[begin:end].max())


@settings(deadline=None)
@given(
    n=st.integers(2, 5000), width=st.integers(1, 200), window=st.tuples(st.floats(0, 1), st.floats(0, 1)), segments=st.integers(1, 3),
    spike=st.floats(0, 0.999),
)  # fmt: skip
def test_bins_keep_every_spike_of_the_window(n, width, window, segments, spike):
    column = Column()
    steps = np.concatenate([np.arange(n, dtype=float)] * segments)
    values = np.zeros(len(steps))
    values[int(spike * len(values))] = 7.0
    column.append(steps, values, np.full(len(steps), np.nan))
    first, last = sorted(round(part * n) for part in window)
    bins = column.bins(first, last, width)
    inside = (steps >= first) & (steps <= last)
    if not inside.any():
        assert len(bins.steps) == 0
        return
    assert bins.highs.max() == values[inside].max() and bins.lows.min() == values[inside].min()
    assert len(bins.steps) <= segments * (width + 3) and len(bins.starts) == segments
    assert bins.steps[0] == steps[inside][0] and bins.steps.max() <= last


def test_steps_from_one_end_of_all_numbers_to_the_other_are_taken_without_a_warning():
    store = SeriesStore()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add([points(np.array([1e308, -1e308, 1.7e308]), np.array([1e308, -1e308, 0.0]))])
        [series] = store.series()
    assert series.starts.tolist() == [0, 1]

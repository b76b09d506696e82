"""What every log reader owes: it claims its own and nothing before its turn, and finds the same however the bytes are split."""

from __future__ import annotations

import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.logs import READERS, AutoReader, choose
from vqdoctor.logs.alias_table import METRICS
from vqdoctor.metrics.registry import metrics
from vqdoctor.model import Event

LOGS = runpy.run_path(str(Path(__file__).parents[1] / "logs" / "samples.py"))["LOGS"]
readers = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


def gathered(reader, pieces):
    """Everything found, in a form that does not depend on how it was handed over."""
    found = [item for piece in pieces for item in reader.feed(piece)] + reader.finish()
    series = {}
    for points in found:
        if not isinstance(points, Event):
            assert points.steps.shape == points.values.shape == points.times.shape and points.values.dtype == np.float64
            for column, part in zip(
                series.setdefault(points.key, ([], [], [])), (points.steps, points.values, points.times), strict=True
            ):
                column += map(repr, part.tolist())
    return series, [event for event in found if isinstance(event, Event)], dict(reader.faults.counts)


def split(data, cuts):
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def test_every_reader_has_a_sample():
    assert {reader.name for reader in READERS} == set(LOGS)


@readers
def test_claims_its_own(reader):
    name, data = LOGS[reader.name]
    assert choose(data, name, final=True) is reader


@readers
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 21), max_size=12), near=st.lists(st.integers(0, 1500), max_size=12))
def test_the_same_however_the_bytes_are_split(reader, cuts, near):
    _, data = LOGS[reader.name]
    assert gathered(reader(), split(data, cuts + near)) == gathered(reader(), [data])


@readers
def test_the_same_a_byte_at_a_time(reader):
    _, data = LOGS[reader.name]
    data = data[:3000]
    assert gathered(reader(), split(data, range(len(data)))) == gathered(reader(), [data])


@readers
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), cut=st.integers(0, 400), sample=st.integers(0, 2000))
def test_survives_anything(reader, data, cut, sample):
    _, log = LOGS[reader.name]
    hostile = log[: sample % 1500] + data + log[sample % 1500 : 3000]
    assert gathered(reader(), split(hostile, [cut, sample])) == gathered(reader(), [hostile])


@readers
def test_held_bytes_are_what_is_needed_to_go_on(reader):
    """Stopping anywhere and beginning again that many bytes earlier loses nothing and repeats nothing."""
    if not reader.by_lines:
        pytest.skip("begins at its beginning only")
    _, data = LOGS[reader.name]
    for stop in range(0, len(data), 7):
        first = reader()
        first.feed(data[:stop])
        assert data[: stop - first.held].endswith(b"\n") or stop == first.held or b"\r" in data


@given(cut=st.integers(0, 3000))
def test_the_choice_never_changes(cut):
    for name, data in LOGS.values():
        for file in (name, "log", "a.json"):
            early = choose(data[:cut], file)
            assert early in (None, choose(data, file, final=True))


@readers
def test_auto_reader_is_the_reader(reader):
    name, data = LOGS[reader.name]
    auto = AutoReader(name)
    assert gathered(auto, split(data, range(0, 300, 11))) == gathered(reader(), [data])
    assert auto.name == reader.name and auto.by_lines == reader.by_lines


def test_alias_table_knows_our_metrics():
    assert set(metrics()) == METRICS

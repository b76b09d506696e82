"""A reservoir must favour no part of the stream, however the stream is cut into batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.samples.reservoir import Reservoir, Slots


def _filled(size: int, batches: list[int], seed: int) -> np.ndarray:
    reservoir, start = Reservoir(size, np.random.default_rng(seed)), 0
    for n in batches:
        reservoir.add(np.arange(start, start + n, dtype=np.float32)[:, None])
        start += n
    return reservoir.rows()[:, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(0, 40), max_size=8), st.integers(0, 2**32 - 1))
def test_holds_as_many_different_rows_as_it_can(size: int, batches: list[int], seed: int) -> None:
    if not batches:
        return
    held = _filled(size, batches, seed)
    assert len(held) == min(size, sum(batches))
    assert len(set(held)) == len(held)
    assert set(held) <= set(range(sum(batches)))


@pytest.mark.parametrize("batches", [[1] * 100, [100], [10] * 10, [7, 50, 43]])
def test_every_row_is_as_likely_as_any_other(batches: list[int]) -> None:
    """10 of 100 rows, 1500 times: each is held 150 times, sd 12; a biased sampler is off by hundreds at one end."""
    hits = np.zeros(100)
    for seed in range(1500):
        hits[_filled(10, batches, seed).astype(int)] += 1
    assert abs(hits[:50].sum() / hits.sum() - 0.5) < 0.02
    assert np.abs(hits - 150).max() < 65


def test_goes_on_as_if_never_stopped() -> None:
    stream = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    source, generator = np.random.default_rng(1), np.random.default_rng(9)
    whole, first = Reservoir(40, np.random.default_rng(1)), Reservoir(40, source)
    whole.add(stream[:200])
    first.add(stream[:200])
    second = Reservoir(40, generator)
    second.restore(first.state())
    generator.bit_generator.state = source.bit_generator.state
    whole.add(stream[200:])
    second.add(stream[200:])
    np.testing.assert_array_equal(whole.rows(), second.rows())


def test_cleared_it_starts_over() -> None:
    reservoir = Reservoir(4, np.random.default_rng(0))
    reservoir.add(np.ones((9, 2), np.float32))
    reservoir.clear()
    assert (reservoir.seen, len(reservoir.rows())) == (0, 0)
    reservoir.add(np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(reservoir.rows(), np.zeros((2, 2)))


@pytest.mark.parametrize("cut", [[], [5, 6, 40], [12], [30]])
def test_numbers_and_arrays_stay_together_however_the_stream_is_cut(cut: list[int]) -> None:
    stream = np.arange(60)
    whole, parts = Reservoir(12, np.random.default_rng(3)), Reservoir(12, np.random.default_rng(3))
    whole.add(stream, stream * 10)
    for part in np.split(stream, cut):
        parts.add(part, part * 10)
    numbers, (kept, tens) = parts.finish()
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(numbers, kept)
    np.testing.assert_array_equal(tens, kept * 10)
    np.testing.assert_array_equal(numbers, whole.finish()[0])


def test_a_short_stream_is_kept_whole_and_in_order() -> None:
    reservoir = Reservoir(12, np.random.default_rng(0))
    reservoir.add(np.arange(5))
    reservoir.add(np.arange(5, 9))
    assert reservoir.finish()[1][0].tolist() == list(range(9))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_slots_are_never_given_twice_in_one_block(size: int, blocks: list[int], seed: int) -> None:
    slots = Slots(size, np.random.default_rng(seed))
    for n in blocks:
        rows, places = slots.take(n)
        assert len(set(places.tolist())) == len(places) == len(rows)
        assert (np.diff(rows) > 0).all() and (rows < n).all() and (places < size).all()
    assert slots.held == min(size, sum(blocks))

"""One pass over a sample: what it leaves behind, against plain whole-array computations."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import level_inputs, measure_rows, row_numbers, tally_codes, unseen_distances
from vqdoctor.engines import share as share_module
from vqdoctor.engines.distinct import DistinctRows, row_hashes
from vqdoctor.engines.moments import Moments
from vqdoctor.errors import SampleError
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import encode
from vqdoctor.samples import features
from vqdoctor.samples.features import FiniteRows


class Held(FiniteRows):
    """Feature rows that are in memory."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__("held", len(array), array.shape[1], str(array.dtype))
        self.array = array

    def raw(self, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(self.array), size):
            yield self.array[start : start + size]


def residual_case(n: int = 5000, width: int = 6, seed: int = 0) -> tuple[np.ndarray, Lookup]:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((n, width)) + 3).astype(np.float32)
    rows[n // 2 : n // 2 + 50] = rows[:50]  # 50 repeated inputs
    first = (rng.standard_normal((16, width)) + 3).astype(np.float32)
    second = (0.5 * rng.standard_normal((16, width))).astype(np.float32)
    return rows, Lookup((Stage(first), Stage(second)), "residual", "l2", width)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


class Drawn(FiniteRows):
    """Feature rows that nobody has yet: drawn when they are read."""

    def raw(self, size: int) -> Iterator[np.ndarray]:
        for start in range(0, self.n or 0, size):
            yield np.random.default_rng(start).normal(size=(min(size, self.n - start), self.width)).astype(np.float32)


def test_memory_is_that_of_a_part_also_where_no_file_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART_ROWS", 1000)
    lookup = Lookup((Stage(rng().normal(size=(16, 64)).astype(np.float32)),), "single", "l2", 64)

    def peak(n: int) -> int:
        tracemalloc.start()
        try:
            assert measure_rows(Drawn("drawn", n, 64, "float32"), lookup, rng=rng(), keep=100).n == n
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1000)
    assert peak(64_000) < 1.2 * peak(8000) + (1 << 20)  # all 64,000 rows are 16 MiB


def test_a_pass_leaves_what_whole_arrays_would_say() -> None:
    rows, lookup = residual_case()
    done: list[int] = []
    tally = measure_rows(Held(rows), lookup, rng=rng(), keep=400, progress=done.append)
    plain = encode(rows, lookup)
    wide = rows.astype(np.float64)
    assert (tally.n, tally.dropped, sum(done)) == (5000, 0, 5000)
    for level, found in enumerate(tally.levels):
        np.testing.assert_array_equal(found.counts, np.bincount(plain.codes[:, level], minlength=16))
        assert found.residual == pytest.approx(plain.residuals[:, level].mean(dtype=float), rel=1e-6)
        assert found.batches.count == 4
        assert found.soft is None
    np.testing.assert_allclose(tally.mean, wide.mean(0))
    np.testing.assert_allclose(tally.variance, wide.var(0))
    assert tally.energy == pytest.approx(wide.var(0).sum())
    assert tally.squared_error == pytest.approx(plain.residuals[:, 1].mean(dtype=float), rel=1e-6)
    assert tally.distinct_rows == 4950
    assert len(tally.ids.items) == len(np.unique(plain.codes, axis=0))
    np.testing.assert_array_equal(rows[tally.kept.numbers], tally.kept.rows)
    np.testing.assert_array_equal(plain.codes[tally.kept.numbers], tally.kept.codes)
    largest = tally.groups[0]
    assert all(tuple(plain.codes[row]) == largest.id for row in largest.rows)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(0, 20))
def test_results_do_not_depend_on_blocks(bytes_per_block: int, seed: int) -> None:
    rows, lookup = residual_case(1500, seed=seed)
    whole = measure_rows(Held(rows), lookup, rng=rng(), keep=100)
    share_module.BLOCK_BYTES, before = bytes_per_block * 500, share_module.BLOCK_BYTES
    try:
        parts = measure_rows(Held(rows), lookup, rng=rng(), keep=100)
    finally:
        share_module.BLOCK_BYTES = before
    for one, other in zip(whole.levels, parts.levels, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert one.batches.metrics() == pytest.approx(other.batches.metrics())
    np.testing.assert_array_equal(whole.kept.rows, parts.kept.rows)
    assert whole.groups == parts.groups
    np.testing.assert_allclose(whole.variance, parts.variance)


def test_left_out_rows_keep_the_numbering_right() -> None:
    rows, lookup = residual_case(1000)
    spoiled = rows.copy()
    spoiled[[3, 4, 700]] = np.nan
    spoiled[[0, 500]] = 1e25  # finite, and yet no nearest code
    tally = measure_rows(Held(spoiled), lookup, rng=rng(), keep=2000)
    assert (tally.n, tally.dropped, tally.dropped_rows) == (995, 5, (0, 3, 4, 500, 700))
    np.testing.assert_array_equal(tally.kept.numbers, np.delete(np.arange(1000), [0, 3, 4, 500, 700]))
    np.testing.assert_array_equal(rows[tally.kept.numbers], tally.kept.rows)
    plain = encode(rows, lookup).codes
    assert all(tuple(plain[row]) == group.id for group in tally.groups for row in group.rows)


def test_directionless_rows_are_dropped_under_cosine() -> None:
    rows, lookup = residual_case(100)
    rows[5] = 0
    tally = measure_rows(Held(rows), Lookup(lookup.stages[:1], "single", "cosine", 6), rng=rng())
    assert (tally.n, tally.dropped_rows) == (99, (5,))
    assert tally.ids is None
    assert tally.distinct_rows is None


def test_soft_use_is_a_mean() -> None:
    rows, lookup = residual_case(500)
    tally = measure_rows(Held(rows), lookup, rng=rng(), temperature=0.5)
    for level in tally.levels:
        assert level.soft.sum() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(tally.levels[0].soft, encode(rows, lookup, temperature=0.5).soft[0] / 500, rtol=1e-5)


def test_a_sample_without_a_usable_row_is_empty_not_wrong() -> None:
    _, lookup = residual_case(100)
    tally = measure_rows(Held(np.full((7, 6), np.nan)), lookup, rng=rng())
    assert (tally.n, tally.dropped, tally.energy, tally.kept) == (0, 7, None, None)
    assert tally.levels[0].counts.sum() == 0


def test_the_wrong_width_is_refused() -> None:
    rows, lookup = residual_case(100)
    with pytest.raises(SampleError, match="has rows of 5 columns, the quantiser takes 6"):
        measure_rows(Held(rows[:, :5]), lookup, rng=rng())


def test_product_errors_add_up() -> None:
    rows, _ = residual_case(300)
    stages = (Stage(rows[:8, :2].copy()), Stage(rows[:8, 2:].copy()))
    tally = measure_rows(Held(rows), Lookup(stages, "product", "l2", 6), rng=rng())
    assert tally.squared_error == pytest.approx(sum(level.residual for level in tally.levels))


def test_unseen_codes_are_near_or_far_from_the_inputs_of_their_level() -> None:
    rows, lookup = residual_case(2000)
    tally = measure_rows(Held(rows), lookup, rng=rng(), keep=2000)
    first, second = level_inputs(tally, lookup)
    np.testing.assert_array_equal(first, rows)
    np.testing.assert_allclose(second, rows - lookup.stages[0].codes[tally.kept.codes[:, 0]], rtol=1e-6)
    unseen = np.stack([rows[3] + 0.0, np.full(6, 100.0), np.full(6, np.nan)]).astype(np.float32)
    found = unseen_distances(unseen, first)
    assert found[0] == 0
    assert found[1] == pytest.approx(np.linalg.norm(100 - rows.astype(float), axis=1).min(), rel=1e-5)
    assert np.isnan(found[2])


def test_given_codes_are_counted_like_searched_ones() -> None:
    codes = np.array([[0, 1], [2, 1], [-1, 1], [0, 1], [3, -1]])
    tally = tally_codes([codes[:2], codes[2:]], (4, 2))
    assert (tally.n, tally.dropped, tally.dropped_rows) == (3, 2, (2, 4))
    assert [level.counts.tolist() for level in tally.levels] == [[2, 0, 1, 0], [0, 3]]
    assert (tally.groups[0].id, tally.groups[0].rows) == ((0, 1), (0, 3))
    assert (tally.energy, tally.kept, tally.unique_with_suffix) == (None, None, None)


def test_the_suffix_is_counted_beside_and_hides_no_collision() -> None:
    codes, suffix = np.array([[0, 1], [0, 1], [3, 1], [0, 1]]), np.array([0, 1, -1, 1])
    table = np.column_stack([codes, suffix])
    tally = tally_codes([table[:1], table[1:]], (4, 2), top_suffix=1)
    assert (len(tally.ids.items), tally.unique_with_suffix) == (2, 3)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ([[0, 1], [0, 2]], "row 1 has code 2 at level 1, whose codebook has 2 codes"),
        ([[0, 1], [-2, 0]], "row 1 has code -2 at level 0"),
        ([[0], [1]], "has 1 levels, the quantiser has 2"),
    ],
)
def test_codes_that_no_codebook_has_are_named(codes: list[list[int]], words: str) -> None:
    with pytest.raises(SampleError, match=words):
        tally_codes([np.array(codes)], (4, 2))


def test_moments_survive_a_large_offset() -> None:
    rows = (1e6 + np.random.default_rng(0).standard_normal((5000, 3))).astype(np.float64)
    moments = Moments()
    for part in np.array_split(rows, 7):
        moments.add(part)
    np.testing.assert_allclose(moments.variance, rows.var(0), rtol=1e-9)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-12)


def test_distinct_rows_are_counted_up_to_a_limit() -> None:
    rows = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float16).astype(np.float32)
    counter = DistinctRows()
    for part in (rows, rows[:100], -rows[:10], np.zeros((2, 8), np.float32), -np.zeros((2, 8), np.float32)):
        counter.add(part)
    assert counter.finish() == 3011
    few = DistinctRows(limit=100)
    few.add(rows)
    assert few.finish() is None


def test_hashes_tell_fine_and_coarse_differences_apart() -> None:
    base = np.zeros((65, 64), np.float32)
    base[np.arange(64), np.arange(64)] = 2.0**-20
    base = np.concatenate([base, base * 2, base * 3, base[:, ::-1] * 5])
    assert len(np.unique(row_hashes(base))) == len(np.unique(base, axis=0))


def test_row_numbers_step_over_gaps() -> None:
    kept = [n for n in range(10) if n not in (0, 3, 4, 9)]
    assert row_numbers(np.arange(6), [0, 3, 4, 9]).tolist() == kept
    assert row_numbers(np.arange(3), []).tolist() == [0, 1, 2]

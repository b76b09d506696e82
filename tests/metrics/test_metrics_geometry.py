"""The shape of a codebook: broken, repeated, untouched rows, neighbours, dimensions."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.metrics import (
    earlier_twin,
    measure_geometry,
    nearest_others,
    neighbours,
    pca_map,
    row_norms,
    untouched_rows,
    zero_rows,
)
from vqdoctor.metrics.geometry import participation_by_use, participation_ratio, spectrum
from vqdoctor.metrics.initialisation import looks_initial
from vqdoctor.metrics.neighbours import searchable
from vqdoctor.metrics.rows import median
from vqdoctor.model.quantizer import Initialisation


def book(size=200, dim=16, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dim)).astype(np.float32)


def brute_nearest(rows):
    gaps = np.linalg.norm(rows[:, None].astype(float) - rows[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    return gaps


def test_broken_empty_and_repeated_rows():
    codes = book()
    codes[3, 2] = np.nan
    codes[4, 0] = np.inf
    codes[5] = 0
    codes[6] = 1e-12
    codes[7:9] = codes[1]
    measured = measure_geometry(codes)
    assert measured.facts["nonfinite_rows"] == [3, 4] and measured.metrics["geometry.nonfinite_rows"] == 2
    assert measured.facts["zero_rows"] == [5, 6] and measured.metrics["geometry.zero_rows"] == 2
    assert measured.facts["duplicate_rows"] == [7, 8] and measured.facts["duplicate_of"] == [1, 1]
    assert measured.metrics["geometry.near_duplicate_rows"] == 3  # two copies, and the empty pair
    assert measured.metrics["geometry.distinct"] == 198 - 3
    assert measured.facts["near_duplicate_groups"][0] == [1, 7, 8]
    assert measured.facts["nearest"][3] == -1 and np.isnan(measured.facts["nearest_distance"][3])
    assert measured.facts["nearest"][[1, 7, 8]].tolist() == [7, 1, 1]


def test_an_all_zero_and_an_all_nan_book():
    zeros = measure_geometry(np.zeros((50, 4), dtype=np.float32)).metrics
    assert zeros["geometry.zero_rows"] == 50 and zeros["geometry.duplicate_rows"] == 49 and zeros["geometry.distinct"] == 1
    assert zeros["geometry.effective_rank"] is zeros["geometry.participation_ratio"] is None
    nothing = measure_geometry(np.full((50, 4), np.nan, dtype=np.float32)).metrics
    assert nothing["geometry.nonfinite_rows"] == 50 and nothing["geometry.distinct"] == 0
    assert nothing["geometry.norm_min"] is nothing["geometry.effective_rank"] is None
    one = measure_geometry(np.ones((1, 4), dtype=np.float32)).metrics
    assert one["geometry.distinct"] == 1 and one["geometry.participation_ratio"] is None and one["geometry.effective_rank"] == 1


@pytest.mark.parametrize(("size", "dim", "shift"), [(300, 16, 0), (300, 1, 0), (300, 2, 50), (100, 64, 1000), (600, 4, 0.1)])
def test_neighbours_are_exact(size, dim, shift):
    rows = book(size, dim, seed=size + dim) + np.float32(shift)
    found = nearest_others(rows)
    gaps = brute_nearest(rows)
    assert found.distance == pytest.approx(gaps.min(axis=1), rel=1e-9, abs=1e-12)
    assert gaps[np.arange(size), found.nearest] == pytest.approx(gaps.min(axis=1), rel=1e-9, abs=1e-12)


def test_neighbours_do_not_depend_on_who_does_the_work(monkeypatch):
    monkeypatch.setattr(neighbours, "_WORTH_SHARING", 0)
    grid = np.random.default_rng(0).permutation(np.stack(np.meshgrid(*[range(9)] * 3), -1).reshape(-1, 3)).astype(np.float32)

    def last_first(count, step, work):
        for start in reversed(range(0, count, step)):
            work(slice(start, min(start + step, count)))

    def in_threads(count, step, work):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, (slice(start, min(start + step, count)) for start in range(0, count, step))))

    alone = nearest_others(grid)  # of up to six equally near codes the same one, whatever the order
    assert (alone.distance == 1).all()
    for share in (last_first, in_threads):
        assert (nearest_others(grid, share).nearest == alone.nearest).all()


def test_the_median_is_numpys():
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 8, 101):
        values = rng.normal(size=size)
        assert median(values) == np.median(values)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    rows = (book(64, 8) * scale).astype(np.float32)
    measured = measure_geometry(rows)
    assert measured.metrics["geometry.distinct"] == 64 and measured.metrics["geometry.zero_rows"] == 0
    assert measured.metrics["geometry.participation_ratio"] == pytest.approx(
        measure_geometry(book(64, 8)).metrics["geometry.participation_ratio"], rel=1e-4
    )


def test_a_chain_of_close_codes_is_one_component():
    rows = book(400, 8)
    rows[10:30] = rows[10] + np.arange(20)[:, None].astype(np.float32) * 0.01
    metrics = measure_geometry(rows).metrics
    assert metrics["geometry.near_duplicate_rows"] == 19


def test_cosine_compares_directions():
    rows = book(50, 8)
    rows[1] = 3 * rows[0]
    assert measure_geometry(rows, metric="cosine").metrics["geometry.near_duplicate_rows"] == 1
    assert measure_geometry(rows).metrics["geometry.near_duplicate_rows"] == 0
    assert measure_geometry(rows).metrics["geometry.parallel_rows"] == 2
    assert measure_geometry(rows, metric="cosine").metrics["geometry.parallel_rows"] == 2


def test_a_book_too_large_to_compare_says_so(monkeypatch):
    assert searchable(32768, 256) and not searchable(262144, 256)
    monkeypatch.setattr(neighbours, "MOST_WORK", 10)
    measured = measure_geometry(book())
    assert measured.metrics["geometry.near_duplicate_rows"] is None and measured.metrics["geometry.distinct"] is None
    assert "200 codes" in measured.facts["neighbours_skipped"]
    assert measured.metrics["geometry.duplicate_rows"] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_twins_against_bytes(size, dim, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (size, dim)).astype(rng.choice([np.float16, np.float32, np.float64]))
    seen: dict[bytes, int] = {}
    assert earlier_twin(rows).tolist() == [seen.setdefault(row.tobytes(), number) for number, row in enumerate(rows)]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_order_of_codes_does_not_matter(size, dim, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(size, dim)).astype(np.float32)
    rows[rng.integers(size)] = rows[rng.integers(size)]
    before, after = (measure_geometry(part).metrics for part in (rows, rows[rng.permutation(size)]))
    for name, value in before.items():
        assert after[name] == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9))
    assert before["geometry.near_duplicate_rows"] + before["geometry.distinct"] == size
    assert before["geometry.near_duplicate_rows"] >= before["geometry.duplicate_rows"]
    assert 1 <= before["geometry.effective_rank"] <= min(size, dim) * (1 + 1e-9)


@pytest.mark.parametrize(("size", "dim"), [(300, 12), (8, 40)])
def test_dimensions_against_singular_values(size, dim):
    rows = book(size, dim) + np.float32(2)
    singular = np.linalg.svd(rows.astype(float), compute_uv=False)
    shares = singular / singular.sum()
    variance = np.linalg.svd(rows.astype(float) - rows.astype(float).mean(axis=0), compute_uv=False) ** 2
    metrics = measure_geometry(rows).metrics
    assert metrics["geometry.effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert metrics["geometry.participation_ratio"] == pytest.approx(variance.sum() ** 2 / (variance**2).sum(), rel=1e-9)


def test_norms_and_oversized_rows():
    rows = book(100, 8)
    rows[7] *= 1e5
    measured = measure_geometry(rows)
    norms = np.linalg.norm(rows.astype(float), axis=1)
    assert measured.metrics["geometry.norm_max"] == pytest.approx(norms.max())
    assert measured.metrics["geometry.norm_median"] == pytest.approx(np.median(norms))
    assert measured.facts["oversized_rows"] == [7]
    assert zero_rows(row_norms(np.zeros((2, 3)))).all()


UNIFORM = Initialisation("uniform", 1 / 256, "1/K")


def fresh(size=256, dim=16, bound=1 / 256, seed=0):
    return np.random.default_rng(seed).uniform(-bound, bound, (size, dim)).astype(np.float32)


def test_a_half_trained_book():
    codes = fresh()
    codes[::2] = book(128, 16)
    assert untouched_rows(codes, UNIFORM).rows.tolist() == list(range(1, 256, 2))
    codes[1, 0] = np.nan
    codes[3] = 0  # written, not drawn
    assert untouched_rows(codes, UNIFORM).rows.tolist() == list(range(5, 256, 2))


def test_a_fresh_and_a_decayed_book_are_wholly_untouched():
    for factor in (1, 0.3):
        assert len(untouched_rows(fresh() * np.float32(factor), UNIFORM).rows) == 256


def test_one_column_is_no_evidence_for_single_rows():
    codes = fresh(dim=1)
    assert len(untouched_rows(codes, UNIFORM).rows) == 256
    codes[::2] = book(128, 1)
    assert untouched_rows(codes, UNIFORM).rows is None


def test_small_trained_codes_are_not_untouched():
    wide = Initialisation("uniform", 0.433, "kaiming")
    small = book(256, 32) * np.float32(0.05)
    assert untouched_rows(small, wide).rows is None
    half_inside = book(256, 4) * np.float32(0.3)
    assert untouched_rows(half_inside, wide).rows is None


@pytest.mark.parametrize("kind", ["normal", "frozen", "unknown", "uniform"])
def test_a_start_without_known_support_stays_unmeasured(kind):
    measured = measure_geometry(book(), initialisation=Initialisation(kind))
    assert measured.metrics["geometry.untouched_rows"] is None and measured.facts["untouched_why"]


def test_zero_starts():
    codes = book()
    codes[4] = 0
    measured = measure_geometry(codes, initialisation=Initialisation("zeros"))
    assert measured.metrics["geometry.untouched_rows"] == 1 and measured.facts["untouched_rows"] == [4]


def test_a_book_that_looks_like_its_start():
    assert looks_initial(book(512, 1), Initialisation("normal", 1.0)) is True
    assert looks_initial(book(512, 4) * np.float32(3), Initialisation("normal", 1.0)) is False
    assert looks_initial(fresh(), UNIFORM) is True
    assert looks_initial(book(), Initialisation("unknown")) is None
    assert looks_initial(np.full((3, 3), np.nan), UNIFORM) is None


def test_the_map_is_flat_repeatable_and_small():
    codes = book(3000, 6)
    codes[0, 0] = np.nan
    first, again = pca_map(codes), pca_map(codes)
    assert first == again
    assert len(first["codes"]) == 2000 and 0 not in first["code_rows"] and first["features"] is None
    both = pca_map(codes, book(5000, 6, seed=1))
    assert len(both["codes"]) + len(both["features"]) == 2000
    assert 0 < both["explained"] < 1
    line = pca_map(book(10, 1))
    assert all(point[1] == 0 for point in line["codes"]) and line["explained"] == pytest.approx(1)
    assert pca_map(np.full((2, 3), np.nan))["codes"] == []


def test_the_ratio_by_use_is_that_of_the_quantised_rows():
    rng = np.random.default_rng(0)
    for codes, width in ((12, 5), (5, 12)):
        book, hits = rng.normal(size=(codes, width)), rng.integers(0, 9, size=codes)
        rows = np.repeat(book, hits, axis=0)
        expected = participation_ratio(spectrum(np.cov(rows.T, bias=True)))
        assert participation_by_use(book, hits) == pytest.approx(expected)


def test_a_far_code_that_few_rows_take_does_not_decide_the_ratio_by_use():
    book = np.vstack([np.random.default_rng(0).normal(size=(63, 8)), np.full((1, 8), 100.0)])
    hits = np.r_[np.full(63, 1000), 1]
    centred = book - book.mean(axis=0)
    assert participation_ratio(spectrum(centred.T @ centred)) < 1.1
    assert participation_by_use(book, hits) > 3
    assert participation_by_use(book, np.zeros(64, np.int64)) is None
    assert participation_by_use(np.ones((4, 2)), np.ones(4, np.int64)) is None

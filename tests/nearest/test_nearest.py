"""Nearest codes against brute force in float64, on easy, hostile and degenerate codebooks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.model import Linear, Lookup, Stage
from vqdoctor.nearest import Searcher, assign, encode
from vqdoctor.nearest.tiles import MOST_ROWS, rows_per_tile, single_threaded_blas

ORACLES = json.loads((Path(__file__).parents[1] / "data" / "oracles.json").read_text())


def brute(rows: np.ndarray, codes: np.ndarray, metric: str = "l2") -> np.ndarray:
    """The best finite code of each row, first of equals, by float64 differences."""
    rows, codes = rows.astype(np.float64), codes.astype(np.float64)
    usable = np.isfinite(codes).all(1)
    with np.errstate(invalid="ignore", over="ignore"):
        if metric == "l2":
            worth = np.stack([-((rows - code) ** 2).sum(1) for code in codes], axis=1)
        else:
            norm = np.linalg.norm(codes, axis=1) if metric == "cosine" else np.ones(len(codes))
            usable &= norm > 1e-12
            worth = (rows @ codes.T) / np.where(norm > 0, norm, 1)
    worth[:, ~usable] = -np.inf
    return worth.argmax(1)


def mixture(n: int, width: int, size: int, offset: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.standard_normal((size, width)) + offset
    rows = codes[rng.integers(0, size, n)] + 0.5 * rng.standard_normal((n, width))
    return rows.astype(np.float32), codes.astype(np.float32)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("shape", [(3000, 16, 300), (700, 64, 1024), (50, 3, 1), (1, 1, 5)])
def test_l2_is_exact_at_any_common_offset(shape: tuple[int, int, int], offset: float) -> None:
    rows, codes = mixture(*shape, offset=offset)
    found, distances = assign(rows, codes)
    assert (found == brute(rows, codes)).all()
    true = ((rows.astype(np.float64) - codes[found].astype(np.float64)) ** 2).sum(1)
    np.testing.assert_allclose(distances, true, rtol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_cosine_and_dot_are_exact(metric: str, offset: float) -> None:
    rows, codes = mixture(3000, 24, 400, offset=offset)
    codes *= np.random.default_rng(1).uniform(0.1, 9, (400, 1)).astype(np.float32)
    found, distances = assign(rows, codes, metric)
    assert (found == brute(rows, codes, metric)).all()
    if metric == "cosine":
        cos = (rows * codes[found]).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(codes[found], axis=1)
        np.testing.assert_allclose(distances, 2 - 2 * cos, atol=1e-5)


def test_features_far_from_the_book_are_still_told_apart() -> None:
    """A fresh uniform(±1/K) book against features at 1000: every code is 'equally far' in plain float32."""
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1 / 256, 1 / 256, (256, 32)).astype(np.float32)
    rows = (1000 + rng.standard_normal((500, 32))).astype(np.float32)
    assert (assign(rows, codes)[0] == brute(rows, codes)).all()


def test_a_tight_cluster_far_from_the_other_codes_is_resolved() -> None:
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((512, 16)).astype(np.float32)
    codes[:40] = 50 + 1e-3 * rng.standard_normal((40, 16))
    rows = (50 + 1e-3 * rng.standard_normal((800, 16))).astype(np.float32)
    assert (assign(rows, codes)[0] == brute(rows, codes)).all()


def test_blown_up_codes_do_not_blur_the_others() -> None:
    rows, codes = mixture(2000, 16, 256)
    codes[::7] *= 99_049.5  # what an untouched EMA row becomes after one step
    assert (assign(rows, codes)[0] == brute(rows, codes)).all()


def test_broken_rows_swallow_nothing() -> None:
    case = ORACLES["nonfinite_codebook_row"]
    rows = np.array(case["inputs"]["X"], np.float32)
    codes = np.array(case["inputs"]["E"], dtype=np.float32)
    assert assign(rows, codes)[0].tolist() == case["expected"]["required_assign"]


def test_ties_go_to_the_first_code() -> None:
    case = ORACLES["tie_break"]
    found, _ = assign(np.array(case["inputs"]["X"], np.float32), np.array(case["inputs"]["E"], np.float32))
    assert found.tolist() == [case["expected"]["assign_first"]]


def test_ties_across_thousands_of_codes_go_to_the_first() -> None:
    """More codes than are scored at a time, most rows as near to 16 of them, which lie anywhere in the book."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 4), axis=-1).reshape(-1, 4)
    codes = grid[rng.permutation(len(grid))[:5000]].astype(np.float32)
    rows = (rng.integers(-5, 5, (1200, 4)) + 0.5).astype(np.float32)
    assert (assign(rows, codes)[0] == brute(rows, codes)).all()


def test_of_copies_the_first_is_chosen_and_soft_use_is_shared() -> None:
    rows, codes = mixture(500, 8, 32)
    doubled = np.concatenate([codes, codes])
    found, _ = assign(rows, doubled)
    assert (found == brute(rows, codes)).all()
    (soft,) = encode(rows, Lookup((Stage(doubled),), "single", "l2", 8), temperature=3.0).soft
    np.testing.assert_allclose(soft[:32], soft[32:])
    assert soft.sum() == pytest.approx(500, rel=1e-5)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_soft_use_is_the_mean_softmax(metric: str) -> None:
    rows, codes = mixture(300, 6, 20)
    codes[3] = np.nan
    (soft,) = encode(rows, Lookup((Stage(codes),), "single", metric, 6), temperature=0.7).soft
    x, e = rows.astype(np.float64), np.delete(codes, 3, 0).astype(np.float64)
    if metric == "cosine":
        x, e = x / np.linalg.norm(x, axis=1, keepdims=True), e / np.linalg.norm(e, axis=1, keepdims=True)
    worth = np.exp(-((x[:, None] - e) ** 2).sum(2) / 0.7)
    true = np.insert((worth / worth.sum(1, keepdims=True)).sum(0), 3, 0)
    np.testing.assert_allclose(soft, true, rtol=1e-4, atol=1e-6)


def test_soft_use_of_more_rows_than_are_scored_at_a_time() -> None:
    rows, codes = mixture(1500, 4, 3000)
    (soft,) = encode(rows, Lookup((Stage(codes),), "single", "l2", 4), temperature=0.5).soft
    worth = np.exp(-((rows.astype(np.float64)[:, None] - codes) ** 2).sum(2) / 0.5)
    np.testing.assert_allclose(soft, (worth / worth.sum(1, keepdims=True)).sum(0), rtol=1e-4, atol=1e-6)


def test_rows_and_books_without_an_answer_are_unassigned() -> None:
    codes = np.eye(3, dtype=np.float32)
    rows = np.array([[1, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0], [1e30, 0, 0], [0, 0, 0]], np.float32)
    assert assign(rows, codes)[0].tolist() == [0, -1, -1, -1, 0]
    found, distances = assign(rows, codes, "cosine")
    assert found.tolist() == [0, -1, -1, -1, -1]
    assert np.isnan(distances[1:]).all()
    assert assign(rows[:1], np.full((4, 3), np.nan, np.float32))[0].tolist() == [-1]
    assert assign(rows[:1], np.zeros((4, 3), np.float32), "cosine")[0].tolist() == [-1]
    assert assign(rows[:0], codes)[0].shape == (0,)
    assert assign(rows[:1], np.array([[3e38] * 3, [0, 0, 0]], np.float32))[0].tolist() == [1]


def residual_reference(rows: np.ndarray, stages: list[Stage], normalise: bool = False) -> tuple[np.ndarray, np.ndarray]:
    left, codes, energies = rows.astype(np.float64), [], []
    scale = np.ones((len(rows), 1))
    for stage in stages:
        if normalise:
            norm = np.linalg.norm(left, axis=1, keepdims=True)
            left, scale = left / norm, scale * norm
        z = left if stage.project_in is None else left @ stage.project_in.weight.T + stage.project_in.bias
        pick = brute(z, stage.codes)
        value = (stage.codes if stage.values is None else stage.values)[pick].astype(np.float64)
        if stage.project_out is not None:
            value = value @ stage.project_out.weight.T
        left = left - value
        codes.append(pick)
        energies.append(((left * scale) ** 2).sum(1))
    return np.stack(codes, 1), np.stack(energies, 1)


@pytest.mark.parametrize("normalise", [False, True])
def test_residual_levels_with_projections_values_and_normalisation(normalise: bool) -> None:
    rng = np.random.default_rng(3)
    rows, codes = mixture(1500, 12, 64)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    stages = [
        Stage(codes),
        Stage(draw(32, 12) * 0.3, values=draw(32, 12) * 0.3),
        Stage(draw(40, 5), project_in=Linear(draw(5, 12), draw(5)), project_out=Linear(draw(12, 5) * 0.1)),
    ]
    lookup = Lookup(tuple(stages), "residual", "l2", 12, normalise_residuals=normalise)
    found = encode(rows, lookup, reconstruct=True)
    picks, energies = residual_reference(rows, stages, normalise)
    same = (found.codes == picks).all(1)
    assert same.mean() > 0.995  # deeper levels see float32 residuals
    np.testing.assert_allclose(found.residuals[same], energies[same], rtol=1e-3)
    left = ((rows - found.reconstruction).astype(np.float64) ** 2).sum(1)
    np.testing.assert_allclose(left[same], energies[same, -1], rtol=1e-3, atol=1e-5)


def test_a_projected_column_range_of_a_group() -> None:
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((200, 10)).astype(np.float32)
    enter = Linear(rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal(3).astype(np.float32))
    codes = rng.standard_normal((16, 3)).astype(np.float32)
    found = encode(rows, Lookup((Stage(codes),), "single", "l2", 10, project_in=enter, columns=(4, 8)))
    inner = rows[:, 4:8] @ enter.weight.T + enter.bias
    assert (found.codes[:, 0] == brute(inner, codes)).all()


def test_product_groups_see_their_own_columns() -> None:
    rows, _ = mixture(400, 10, 8)
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((16, 4)).astype(np.float32), rng.standard_normal((8, 6)).astype(np.float32)
    found = encode(rows, Lookup((Stage(first), Stage(second)), "product", "l2", 10), reconstruct=True)
    assert (found.codes[:, 0] == brute(rows[:, :4], first)).all()
    assert (found.codes[:, 1] == brute(rows[:, 4:], second)).all()
    np.testing.assert_array_equal(found.reconstruction, np.hstack([first[found.codes[:, 0]], second[found.codes[:, 1]]]))
    np.testing.assert_allclose(found.residuals.sum(1), ((rows - found.reconstruction) ** 2).sum(1), rtol=1e-5)


def test_level_inputs_are_what_was_looked_up() -> None:
    rows, codes = mixture(100, 6, 16)
    second = (codes * 0.3).astype(np.float32)
    searcher = Searcher(Lookup((Stage(codes), Stage(second)), "residual", "l2", 6))
    found = searcher.encode(rows).codes
    inputs = list(searcher.inputs(rows, found))
    np.testing.assert_array_equal(inputs[0], rows)
    np.testing.assert_array_equal(inputs[1], rows - codes[found[:, 0]])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_codes_do_not_depend_on_blocks_or_threads(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    codes = rng.integers(-2, 3, (data.draw(st.integers(1, 40)), 3)).astype(np.float32)  # integers: full of ties and copies
    rows = rng.integers(-3, 4, (60, 3)).astype(np.float32)
    lookup = Lookup((Stage(codes), Stage(codes)), "residual", "l2", 3)
    whole = Searcher(lookup, threads=1).encode(rows).codes
    assert (whole[:, 0] == brute(rows, codes)).all()
    cut = data.draw(st.integers(0, 60))
    searcher = Searcher(lookup, threads=3)
    parts = np.concatenate([searcher.encode(rows[:cut]).codes, searcher.encode(rows[cut:]).codes])
    assert (whole == parts).all()


def test_several_threads_agree_with_one_and_give_the_blas_back() -> None:
    from threadpoolctl import threadpool_info

    def blas_threads() -> list[int]:  # of numpy's own; one that another test has loaded later is not held
        found = [library for library in threadpool_info() if library["user_api"] == "blas"]
        return [library["num_threads"] for library in found if "numpy" in library["filepath"]]

    rows, codes = mixture(6000, 16, 1024)
    lookup = Lookup((Stage(codes),), "single", "l2", 16)
    before = blas_threads()
    many = Searcher(lookup, threads=3).encode(rows).codes
    assert blas_threads() == before
    assert (many == Searcher(lookup, threads=1).encode(rows).codes).all()
    with single_threaded_blas():
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_working_memory_does_not_grow_with_rows() -> None:
    import tracemalloc

    rows, codes = mixture(20_000, 8, 4096)
    searcher = Searcher(Lookup((Stage(codes),), "single", "l2", 8))
    tracemalloc.start()
    searcher.encode(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize(("rows", "width"), [(100_000, 64), (32_769, 16), (80_001, 8), (10**6, 1), (5, 8), (0, 8), (10**6, 10**6)])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_tiles_are_bounded_and_shared_out_evenly(rows: int, width: int, threads: int) -> None:
    tile = rows_per_tile(rows, width, threads)
    assert 1 <= tile <= MOST_ROWS
    assert tile * width <= max(1 << 19, 64 * width)
    turns = -(-rows // (tile * threads))  # that the busiest thread takes
    assert turns * tile * threads <= rows + threads * turns


def test_wrong_widths_and_metrics_are_refused() -> None:
    codes = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match="width 3"):
        encode(np.zeros((2, 5), np.float32), Lookup((Stage(codes),), "single", "l2", 3))
    with pytest.raises(ValueError, match="differ in width"):
        Searcher(Lookup((Stage(codes), Stage(np.zeros((4, 2), np.float32))), "residual", "l2", 3))
    with pytest.raises(ValueError, match="manhattan"):
        assign(codes, codes, "manhattan")


def test_codes_that_only_begin_alike_are_all_searched() -> None:
    codes = np.array([[1, 2, 3], [1, 2, 4], [5, 6, 7], [1, 2, 4]], np.float32)
    assert assign(codes, codes)[0].tolist() == [0, 1, 2, 1]
    assert assign(codes[:, :1], codes[:, :1])[0].tolist() == [0, 0, 2, 0]

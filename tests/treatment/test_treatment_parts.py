"""The parts of a treatment against worked values and against other implementations."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sick_books import collapsed, mixture, one_sick, opened, told, trainer_level
from synthetic import smoothed

from vqdoctor.kmeans import fit
from vqdoctor.layouts import Write
from vqdoctor.metrics import ema_life
from vqdoctor.model import EmaFacts, Slice, laplace
from vqdoctor.nearest import assign
from vqdoctor.treatment import Patched, TreatmentRequest, plan
from vqdoctor.treatment.books import revive
from vqdoctor.treatment.cells import Cells
from vqdoctor.treatment.matching import MOST_EXACT, assignment, match_codes
from vqdoctor.treatment.patched import differs, overlapping
from vqdoctor.treatment.placement import STARVING, capped, cell_means, draw_seeds, fed, pair_around, relocate, split_cells
from vqdoctor.treatment.rounding import rounded
from vqdoctor.treatment.state import never_hit, remembered, settled_total, writes_for
from vqdoctor.treatment.survival import simulate, steps_to_watch, tokens_per_step

ORACLES = json.loads((Path(__file__).parents[1] / "data" / "oracles.json").read_text(encoding="utf-8"))


def oracle(name: str) -> tuple[dict, dict]:
    return ORACLES[name]["inputs"], ORACLES[name]["expected"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- matching -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["permutation_match", "permutation_match_nan"])
def test_old_and_new_codes_are_matched(name: str) -> None:
    given_, expected = oracle(name)
    old, new = (np.array(given_[side], dtype=np.float64) for side in ("old", "new"))
    perm = match_codes(old, new)
    assert perm.tolist() == expected["perm"]
    if "cost" in expected:
        assert np.square(old - new[perm]).sum() == pytest.approx(expected["cost"], rel=1e-9)


@given(st.integers(1, 12), st.integers(0, 6), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_assignments_cost_what_scipy_s_cost(rows: int, more: int, ties: bool, seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    costs = rng(seed).random((rows, rows + more))
    costs = np.round(costs * 4) if ties else costs
    found = assignment(costs)
    assert len(set(found.tolist())) == rows
    assert costs[np.arange(rows), found].sum() == pytest.approx(costs[optimize.linear_sum_assignment(costs)].sum(), abs=1e-9)


def test_codes_in_use_choose_first_and_a_shuffle_is_undone() -> None:
    new = rng().standard_normal((300, 8))
    shuffle = rng(1).permutation(300)
    assert np.array_equal(match_codes(new[shuffle], new), shuffle)
    use = np.zeros(300)
    use[5] = 1
    assert match_codes(new[shuffle], new, use)[5] == shuffle[5]
    assert sorted(match_codes(new[shuffle], new, use)) == list(range(300))


def test_large_books_are_matched_by_mutual_nearest_pairs() -> None:
    size = MOST_EXACT + 500
    new = rng().standard_normal((size, 4)).astype(np.float32)
    shuffle = rng(1).permutation(size)
    found = match_codes(new[shuffle] + np.float32(1e-3), new)
    assert sorted(found) == list(range(size))
    assert (found == shuffle).mean() > 0.99


# --- placement ------------------------------------------------------------------------------------------------------------------


def test_an_empty_cell_has_no_mean_and_gets_a_badly_served_row() -> None:
    given_, expected = oracle("selective_reset_empty_mean")
    rows, book = np.array(given_["X"], np.float32), np.array(given_["E"], np.float32)
    cells = Cells(book, rows, np.ones(len(rows), bool), "l2")
    assert cells.hits.tolist() == expected["counts"]
    dead = np.flatnonzero(cells.hits < given_["tau"])
    assert dead.tolist() == expected["dead"]
    means = cell_means(rows, cells.found[0], len(book))
    assert [float(mean[0]) for mean in means[:2]] == expected["cluster_mean"][:2]
    moved = revive(cells, dead, rng(), lloyd_start=True)
    assert moved.rows.tolist() == [2]
    assert moved.values[0, 0] in (0.0, 1.0)  # half a unit from its code; the row at 10 is served perfectly


def test_a_donor_of_zeros_is_split() -> None:
    given_, expected = oracle("lbg_split_zero_donor")
    donor = np.array(given_["donor"])
    assert (
        np.array_equal(*(donor * (1 + sign * given_["eps"]) for sign in (1, -1)))
        is not expected["multiplicative_children_distinct"]
    )
    one, two = pair_around(donor, np.array([1.0, 0.0]), given_["eps"])
    assert (not np.array_equal(one, two)) is expected["additive_children_distinct"]
    donors, places, _ = split_cells(mixture(200, 2, 1), np.zeros(200, np.int64), np.zeros((1, 2), np.float32), 1, rng=rng())
    assert donors.tolist() == [0, 0] and not np.array_equal(*places)


def test_a_split_halves_the_mass_and_keeps_the_middle() -> None:
    given_, expected = oracle("split_mass")
    donor, step = np.array(given_["donor"]), np.array([1.0, 2.0]) * given_["eps"]
    pair = pair_around(donor, step / np.linalg.norm(step), float(np.linalg.norm(step)))
    np.testing.assert_allclose(pair, expected["children"], rtol=1e-9)
    _, _, shares = split_cells(mixture(200, 2, 2), np.zeros(200, np.int64), donor[None].astype(np.float32), 1, rng=rng())
    assert (shares * given_["donor_mass"]).tolist() == expected["child_mass"]


def test_splitting_stops_where_rows_are_equal() -> None:
    rows = np.repeat(np.array([[0.0, 0], [1, 1], [5, 5]], np.float32), 10, axis=0)
    donors, places, shares = split_cells(rows, np.zeros(30, np.int64), np.zeros((1, 2), np.float32), 10, rng=rng())
    assert len(donors) == 3 and shares.sum() == 1
    assert sorted(map(tuple, places.tolist())) == [(0, 0), (1, 1), (5, 5)]


def test_seeds_are_different_rows_and_never_rows_that_are_served() -> None:
    rows = np.repeat(mixture(20, 3, 20, spread=0), 30, axis=0)
    distinct = np.unique(rows, axis=0)
    _, squared = assign(rows, distinct[:5])
    seeds = draw_seeds(rows, squared, 100, rng())
    assert len(seeds) == len(np.unique(seeds, axis=0)) == len(distinct) - 5
    assert not {tuple(row) for row in seeds} & {tuple(row) for row in distinct[:5]}
    assert len(relocate(rows, distinct[:5], 100, rng=rng())) == len(distinct) - 5


def test_odd_rows_do_not_take_all_codes() -> None:
    rows = mixture(2000, 4, 40)
    rows[:5] *= 1000
    live = collapsed(rows[5:], 4, 4)
    codes = relocate(rows, live, 30, rng=rng())
    assert (np.linalg.norm(codes, axis=1) > 100).sum() <= 5
    squared = np.array([1.0] * 99 + [1e9])
    assert capped(squared).max() == 1
    assert capped(np.array([0.0] * 200 + [3.0])).max() == 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_relocation_never_serves_rows_worse(seed: int, count: int) -> None:
    rows = mixture(300, 3, 10, seed=seed)
    live = rows[:2]
    codes = relocate(rows, live, count, rng=rng(seed))
    before = assign(rows, live)[1].sum()
    assert len(codes) == count and np.isfinite(codes).all()
    assert assign(rows, np.concatenate([live, codes]))[1].sum() < before


def test_no_code_is_left_to_a_handful_of_odd_rows_where_giving_them_up_costs_nothing() -> None:
    rows = np.concatenate([mixture(4000, 8, 12, spread=1.0), mixture(6, 8, 6, seed=9)]).astype(np.float32)
    centres = fit(rows, 60, rng=rng(1), assign=assign).centres
    centres[:6] = rows[-6:] * 1.0001  # six codes for six rows that others serve nearly as well
    codes = fed(rows, centres, rng=rng())
    (labels, before), (again, after) = assign(rows, centres), assign(rows, codes)
    assert (np.bincount(labels, minlength=60) < STARVING).sum() >= 5
    assert (np.bincount(again, minlength=60) < STARVING).sum() <= 1
    assert codes.shape == centres.shape and after.sum() <= 1.001 * before.sum()


def test_codes_that_stay_feed_no_others_and_none_gets_lost() -> None:
    rows = mixture(3000, 6, 30)
    fixed, odd = collapsed(rows, 8, 8), np.repeat(np.arange(3.0)[:, None], 6, axis=1).astype(np.float32)
    away = assign(rows, fixed)[1]
    codes = fed(rows, np.concatenate([rows[:12], odd + 40]), rng=rng(), away=away)
    labels, squared = assign(rows, codes)
    assert codes.shape == (15, 6)
    assert (np.bincount(labels[squared < away], minlength=15) > 0).all()
    same = np.repeat(rows[:2], 20, axis=0)  # no cell has two different rows
    assert len(fed(same, rows[:5], rng=rng())) == 5
    assert len(fed(same, rows[:0], rng=rng())) == 0


def test_a_code_for_a_far_row_stays_where_it_saves_more_than_all_others() -> None:
    rows = np.concatenate([mixture(2000, 4, 8), np.full((2, 4), 1e4, np.float32)])
    centres = fit(rows, 8, rng=rng(), assign=assign).centres
    np.testing.assert_array_equal(fed(rows, centres, rng=rng()), centres)


# --- state ----------------------------------------------------------------------------------------------------------------------


def test_sums_that_are_count_times_code_would_be_rescaled_unless_the_count_is_the_mean() -> None:
    """Ours are code × smoothed count, so that any count is a fixed point; the worked factors are those of the plain product."""
    given_, expected = oracle("laplace_refold")
    for (mass, total), factor in zip(given_["cases"], expected["factor"], strict=True):
        smooth = (mass + given_["eps"]) / (total + given_["K"] * given_["eps"]) * total
        assert mass / smooth == pytest.approx(factor, rel=1e-9)
        counts = np.full(given_["K"], (total - mass) / (given_["K"] - 1), np.float32)
        counts[0] = mass
        book = rng().standard_normal((given_["K"], 2)).astype(np.float32)
        state = trainer_level(book, 1) | {"quantizer.layers.0.ema_count": counts}
        source, quantizer = opened(state, told())
        writes, _ = writes_for(source, quantizer, 0, np.array([0]), book[[0]] + 1, np.array([mass]))
        after = source_after(source, writes)
        divisor = laplace(after.read("quantizer.layers.0.ema_count"))
        again = after.read("quantizer.layers.0.ema_sum")[0] / divisor[0]
        np.testing.assert_allclose(again, book[0] + 1, rtol=1e-5)


def source_after(source, writes):
    return Patched(source).with_writes(writes)


def test_counts_clear_the_threshold_or_it_is_said() -> None:
    source, quantizer, rows = one_sick(threshold=2.0)
    assert not any("threshold" in one for one in plan(source, quantizer, rows, TreatmentRequest("kmeans")).warnings)
    source.arrays["quantizer.layers.0.ema_count"][:4] = 0.1
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    np.testing.assert_allclose(made.changes["quantizer.layers.0.ema_count"], 4.0)
    assert any("VQ302" in one for one in made.warnings)


def test_a_book_that_was_never_trained_gets_counts_of_one() -> None:
    source, quantizer, rows = one_sick()
    source.arrays["quantizer.layers.0.ema_count"][:] = 0
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    np.testing.assert_array_equal(made.changes["quantizer.layers.0.ema_count"], 1)


def test_the_first_step_of_adam_after_a_repair_is_no_longer_than_one_learning_rate() -> None:
    given_, expected = oracle("adam_after_reset")
    first, second = 1 - given_["b1"], 1 - given_["b2"]
    assert first / math.sqrt(second) == pytest.approx(expected["first_step_over_lr_large_t"], rel=1e-9)
    gradients = rng().standard_normal((50, 3))
    squares = np.square(gradients) + 0.1
    rows, live = np.arange(40, 50), np.arange(40)
    moment = remembered(gradients, "exp_avg", rows, live)
    size = remembered(squares, "exp_avg_sq", rows, live)
    np.testing.assert_allclose(size, np.tile(np.median(squares[:40], axis=0), (10, 1)))
    step = (given_["b1"] * moment + first * 1.0) / np.sqrt(given_["b2"] * size + second * 1.0)
    assert (np.abs(step) < expected["first_step_over_lr_t1"]).all()
    assert not remembered(squares, "exp_avg_sq", rows, np.zeros(0, int)).any()


def test_tied_names_follow_and_overlapping_ones_are_known() -> None:
    whole = rng().standard_normal((6, 2)).astype(np.float32)
    source, _ = opened({"a.codebook.embedding.weight": whole, "tied": whole, "slice": whole[:2], "other": whole.copy()})
    patched = Patched(source).with_writes([Write(Slice("tied"), np.array([5]), np.zeros((1, 2)))])
    assert set(patched.arrays) == {"tied", "a.codebook.embedding.weight"}
    assert overlapping(source, ["slice"]) == {"a.codebook.embedding.weight", "tied", "slice"}
    assert source.arrays["tied"].all() and not patched.read("tied", 5, 6).any()


def test_differences_are_of_bits() -> None:
    left = np.array([0.0, np.nan, 1.0], np.float32)
    right = np.array([-0.0, np.nan, 1.0], np.float32)
    assert differs(left, right).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_rounding_is_torchs(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    values = np.concatenate([rng().standard_normal(3000) * scale for scale in (1e-3, 0.02, 1, 12)]).astype(np.float32)
    held = rounded(values, dtype).astype(np.float32)
    np.testing.assert_array_equal(held, torch.from_numpy(values).to(getattr(torch, dtype)).float().numpy())
    np.testing.assert_array_equal(rounded(held, dtype), held)
    assert np.isnan(rounded(np.array([np.nan], np.float32), dtype)).all()
    halves = (np.unique(held)[1:] + np.unique(held)[:-1]) / 2
    np.testing.assert_array_equal(
        rounded(halves, dtype).astype(np.float32), torch.from_numpy(halves).to(getattr(torch, dtype)).float().numpy()
    )


# --- survival -------------------------------------------------------------------------------------------------------------------


def test_grace_after_a_reset_is_that_of_the_family() -> None:
    _, expected = oracle("ema_reset_grace")
    rows = mixture(500, 2, 4)
    cases = ((0.8, 2.0, "absolute", 2.0), (0.99, 1.0, "absolute", 1.0), (0.99, 0.1, "uniform", 1.0))
    for (decay, threshold, unit, mass), steps in zip(cases, expected["grace_steps"], strict=True):
        assert ema_life(mass, threshold, decay) == steps
        far = np.array([[1e3, 1e3], [0, 0]])
        counts = np.array([mass, 2 - mass if unit == "uniform" else mass])
        ema = EmaFacts(relation="laplace", decay=decay, threshold=threshold, threshold_unit=unit)
        found = simulate(far, counts, np.array([0]), rows, ema, metric="l2", tokens=2, rng=rng())
        assert found["die_again"] == [0] and found["without_hits"] == [0]
        assert found["grace"] == steps
        if unit == "absolute":
            assert found["first_death"] == steps


def test_codes_with_rows_live_on_and_codes_beside_them_die() -> None:
    rows = mixture(4000, 4, 8)
    book = np.concatenate([collapsed(rows, 8, 8), 80 + rng().standard_normal((2, 4))])
    ema = EmaFacts(relation="laplace", decay=0.9, threshold=1.0)
    found = simulate(book, np.full(10, 50.0), np.arange(4, 10), rows, ema, metric="l2", tokens=500, rng=rng())
    assert (found["alive"], found["die_again"], found["without_hits"]) == (4, [8, 9], [8, 9])
    assert found["steps"] == steps_to_watch(0.9) == 57
    assert found["tokens"] == 500 and found["healthy_dead"] == 0 and found["feasible"]


def test_a_threshold_that_even_use_cannot_hold_is_foretold() -> None:
    source, quantizer, rows = one_sick(codes=32, live=4, threshold=40.0, decay=0.9)
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    survival = made.levels[0].survival
    assert not survival["feasible"] and len(survival["die_again"]) > 5
    assert any("fall under count < 40 again" in one and "VQ302" in one for one in made.warnings)
    easy, same, _ = one_sick(codes=32, live=4, threshold=1.0, decay=0.9)
    assert plan(easy, same, rows, TreatmentRequest("reset-dead")).levels[0].survival["die_again"] == []


def test_a_family_whose_own_revival_is_undone_is_told_that_this_one_stays() -> None:
    source, quantizer, rows = one_sick(threshold=1.0, decay=0.9, revival="undone")
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    assert any("VQ306" in one and "stay where they are put" in one for one in made.warnings)
    assert made.levels[0].survival["die_again"] == []


def young_counts(steps: int, decay: float = 0.8, size: int = 64, live: int = 16, tokens: float = 640.0) -> np.ndarray:
    """Running counts from a start at 1, of which all but `live` codes never had a hit."""
    counts = np.full(size, decay**steps)
    counts[:live] += (1 - decay**steps) * tokens / live
    return counts


@given(st.integers(1, 30), st.sampled_from([0.7, 0.8, 0.95]))
@settings(max_examples=20, deadline=None)
def test_tokens_of_a_young_run_are_told_by_what_is_left_of_its_start(steps: int, decay: float) -> None:
    counts, ema = young_counts(steps, decay), EmaFacts(relation="laplace", decay=decay, start_mass=1.0)
    assert settled_total(counts, ema) == pytest.approx(640, rel=1e-9)
    assert tokens_per_step(counts, ema) == pytest.approx(640, rel=1e-9)
    never = never_hit(counts, ema)
    assert never is not None and never.nonzero()[0].tolist() == list(range(16, 64))


def test_counts_that_do_not_tell_their_start_are_taken_as_they_are() -> None:
    ema = EmaFacts(start_mass=1.0)
    assert settled_total(np.ones(8), ema) is None
    assert settled_total(np.arange(8.0) + 3, ema) == 52
    assert never_hit(np.full(8, 0.25), ema) is None  # a repaired book: all at the mean
    assert settled_total(young_counts(3), EmaFacts(start_mass=0.0)) == young_counts(3).sum()


def lucid(counts: np.ndarray, book: np.ndarray, **tree: object):
    sums = (book * smoothed(counts)[:, None]).astype(np.float32)
    tensors = {
        "vq._codebook.initted": np.array([True]), "vq._codebook.cluster_size": counts[None].astype(np.float32),
        "vq._codebook.embed_avg": sums[None], "vq._codebook.embed": book[None],
    }  # fmt: skip
    return opened(tensors, tree or None)


def test_a_young_run_gets_counts_that_an_unstated_threshold_spares() -> None:
    rows = mixture(6000, 6, 60)
    source, quantizer = lucid(young_counts(1, tokens=200.0), collapsed(rows, 64, 16))
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    counts = made.changes["vq._codebook.cluster_size"][0]
    np.testing.assert_allclose(counts[16:], 200 / 64, rtol=1e-4)  # what its tokens settle at, not 1.4
    assert any("young" in one and "threshold_ema_dead_code" in one for one in made.warnings)
    assert made.levels[0].survival["supposed"]["at_once"] == []


def test_an_unstated_threshold_that_would_undo_the_repair_is_said_and_a_stated_one_is_taken() -> None:
    rows = mixture(6000, 6, 60)
    counts = np.full(64, 1e-3)
    counts[:16] = 4.0  # one token a code: no threshold of 2 can be held
    source, quantizer = lucid(counts, collapsed(rows, 64, 16))
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    supposed = made.levels[0].survival["supposed"]
    assert supposed["threshold"] == 2 and len(supposed["at_once"]) > 20 and not supposed["feasible"]
    assert any("does not state threshold_ema_dead_code" in one and "in the first step" in one for one in made.warnings)
    for stated, rule in ((0, "none"), (2, "count < 2")):
        told_source, told_quantizer = lucid(counts, collapsed(rows, 64, 16), threshold_ema_dead_code=stated)
        survival = plan(told_source, told_quantizer, rows, TreatmentRequest("reset-dead")).levels[0].survival
        assert survival["rule"] == rule and "supposed" not in survival

"""Plans on sick books with a known answer: the bars against a fresh k-means, what stays bit for bit, state, undo, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from sick_books import collapsed, mixture, one_sick, opened, told, trainer_level
from synthetic import FakeSource, smoothed

from vqdoctor.errors import SampleError, UsageError
from vqdoctor.kmeans import fit
from vqdoctor.layouts import codes, find_quantizers
from vqdoctor.metrics import measure_geometry
from vqdoctor.nearest import assign
from vqdoctor.treatment import TREATMENTS, Patched, TreatmentRequest, held_out, plan, refuse_undoable, treatment, verify

BOOK, COUNT, SUM, FLAG = (f"quantizer.layers.0.{name}" for name in ("codebook", "ema_count", "ema_sum", "initialised"))
SELECTIVE = [TreatmentRequest("kmeans", only_dead=True), TreatmentRequest("reset-dead"), TreatmentRequest("split")]


def yardstick(rows: np.ndarray, judges: np.ndarray, size: int) -> tuple[float, float]:
    """Utilisation and mean squared error, on `judges`, of a fresh k-means fitted to the rows that are not among them."""
    inside = {row.tobytes() for row in judges}
    fitted = np.array([row for row in rows if row.tobytes() not in inside])
    labels, squared = assign(judges, fit(fitted, size, rng=np.random.default_rng(99), assign=assign).centres)
    return len(np.unique(labels)) / size, float(squared.mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_kmeans_reaches_the_yardstick(seed: int) -> None:
    rows = mixture(6000, 8, 200, seed=seed)
    source, quantizer = opened(trainer_level(collapsed(rows, 64, 3, seed=seed), 3), told())
    (level,) = plan(source, quantizer, rows, TreatmentRequest("kmeans")).levels
    use, error = yardstick(rows, held_out(rows, quantizer, 0), 64)
    assert level.before["usage.utilization"] < 0.1
    assert level.after["usage.utilization"] >= 0.99 * use
    assert level.after["distortion.mse"] <= 1.02 * error


@pytest.mark.parametrize("request_", SELECTIVE, ids=lambda one: one.method)
@pytest.mark.parametrize("seed", [0, 1])
def test_selective_repair_is_within_a_tenth_of_the_yardstick(request_: TreatmentRequest, seed: int) -> None:
    rows = mixture(6000, 8, 200, seed=seed)
    source, quantizer = opened(trainer_level(collapsed(rows, 64, 3, seed=seed), 3), told())
    (level,) = plan(source, quantizer, rows, request_).levels
    _, error = yardstick(rows, held_out(rows, quantizer, 0), 64)
    assert level.after["distortion.mse"] <= 1.10 * error
    assert level.after["distortion.kmeans_ratio"] == pytest.approx(level.after["distortion.mse"] / error, rel=0.1)


@pytest.mark.parametrize("request_", SELECTIVE[:2], ids=lambda one: one.method)
def test_live_codes_stay_bit_for_bit_and_keep_their_tokens(request_: TreatmentRequest) -> None:
    source, quantizer, rows = one_sick()
    made = plan(source, quantizer, rows, request_)
    (level,) = made.levels
    assert level.rows_changed.tolist() == list(range(4, 32))
    for name in (BOOK, COUNT, SUM):
        assert made.changes[name][:4].tobytes() == source.arrays[name][:4].tobytes()
    assert level.flips.on_live == level.flips.from_rewritten == 0
    assert level.flips.to_rewritten == level.flips.rate == made.ids_changed > 0.5
    assert set(level.id_map[4:]) == {-1}


def test_rewritten_rows_have_the_mean_count_and_survive_a_normalisation() -> None:
    source, quantizer, rows = one_sick()
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    np.testing.assert_allclose(made.changes[COUNT], 1024 / 32, rtol=1e-6)
    again = made.changes[SUM] / smoothed(made.changes[COUNT].astype(np.float64))[:, None]
    np.testing.assert_allclose(again, made.changes[BOOK], rtol=1e-5, atol=1e-6)
    assert verify(source, Patched(source, made.changes), made, rows) == []


def test_a_split_halves_the_donors_mass() -> None:
    source, quantizer, rows = one_sick(codes=8, live=7)
    made = plan(source, quantizer, rows, TreatmentRequest("split"))
    changed = made.levels[0].rows_changed
    assert changed[-1] == 7 and len(changed) == 2
    np.testing.assert_allclose(made.changes[COUNT][changed], source.arrays[COUNT][changed[0]] / 2, rtol=1e-6)
    assert made.changes[COUNT].sum() == pytest.approx(1024, rel=1e-6)


def test_a_threshold_makes_starving_codes_dead_too() -> None:
    rows = mixture(6000, 6, 60)
    book = collapsed(rows, 32, 31)
    hits = np.bincount(assign(rows, book)[0], minlength=32)
    least = sorted(hits)[1] + 1  # the code that nobody uses, and the one least used
    source, quantizer = opened(trainer_level(book, 31), told())
    for request, dead in (
        (TreatmentRequest("reset-dead"), [31]),
        (TreatmentRequest("reset-dead", threshold=least * 32 / 6000), np.flatnonzero(hits < least).tolist()),
        (TreatmentRequest("kmeans", threshold_count=float(least)), np.flatnonzero(hits < least).tolist()),
    ):
        assert plan(source, quantizer, rows, request).levels[0].rows_changed.tolist() == dead
    assert len(dead) > 1


def test_too_few_rows_to_call_a_code_dead_are_refused_with_what_is_missing() -> None:
    source, quantizer, rows = one_sick()
    with pytest.raises(SampleError, match="6 more are needed"):
        plan(source, quantizer, rows[:90], TreatmentRequest("reset-dead"))


def test_kmeans_refuses_to_repeat_its_rows_and_says_when_rows_are_few() -> None:
    source, quantizer, rows = one_sick()
    with pytest.raises(SampleError, match="66 different rows"):
        plan(source, quantizer, rows[:60], TreatmentRequest("kmeans"))
    with pytest.raises(SampleError, match="only repeat them"):
        plan(source, quantizer, np.tile(rows[:20], (100, 1)), TreatmentRequest("kmeans"))
    said = plan(source, quantizer, rows[:200], TreatmentRequest("kmeans")).warnings
    assert any("fitted rows a code, under 39" in one for one in said)


def test_rows_that_are_not_the_books_are_refused() -> None:
    source, quantizer, rows = one_sick(codes=32, live=30)
    for request in (TreatmentRequest("reset-dead"), TreatmentRequest("split")):
        with pytest.raises(SampleError, match="not what this book was trained on"):
            plan(source, quantizer, rows - 500, request)
    with pytest.raises(SampleError, match="width 6"):
        plan(source, quantizer, rows[:, :5], TreatmentRequest("kmeans"))
    with pytest.raises(SampleError, match="no row"):
        plan(source, quantizer, np.full((50, 6), np.nan), TreatmentRequest("kmeans"))


def test_a_book_at_its_start_may_lie_anywhere_but_one_that_was_trained_may_not() -> None:
    rows = mixture(3000, 6, 60) + 100
    fresh = np.random.default_rng(0).uniform(-1 / 32, 1 / 32, (32, 6)).astype(np.float32)
    for book, init, refused in ((fresh, "uniform", False), (fresh * 40, "uniform", True)):
        source, quantizer = opened(trainer_level(book, 32), told(init=init))
        if refused:
            with pytest.raises(SampleError, match="not what this book was trained on"):
                plan(source, quantizer, rows, TreatmentRequest("kmeans"))
        else:
            made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
            assert made.levels[0].after["usage.used"] == 32
            assert any("VQ206" in one for one in made.warnings)


def test_broken_feature_rows_are_left_out_and_repeats_are_said() -> None:
    source, quantizer, rows = one_sick()
    rows = np.concatenate([rows[:3000], rows[:300]])
    rows[7] = np.inf
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    assert (made.rows, made.dropped) == (3299, 1)
    assert any("repeat an earlier one" in one for one in made.warnings)
    assert any("NaN or Inf" in one for one in made.warnings)


def test_few_live_codes_make_kmeans_the_better_choice() -> None:
    source, quantizer, rows = one_sick(codes=64, live=2)
    assert "--kmeans" in plan(source, quantizer, rows, TreatmentRequest("reset-dead")).recommendation
    assert plan(source, quantizer, rows, TreatmentRequest("kmeans")).recommendation is None
    healthy, same, _ = one_sick(codes=64, live=60)
    assert plan(healthy, same, rows, TreatmentRequest("reset-dead")).recommendation is None


def test_a_repair_that_makes_things_worse_is_said() -> None:
    rows = np.random.default_rng(0).standard_normal((800, 24)).astype(np.float32)  # no clusters to find, and few rows
    best = fit(
        np.random.default_rng(1).standard_normal((20000, 24)).astype(np.float32), 256, rng=np.random.default_rng(2), assign=assign
    )
    source, quantizer = opened(trainer_level(best.centres, 256), told())
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    assert made.levels[0].after["distortion.mse"] > made.levels[0].before["distortion.mse"]
    assert any("no improvement" in one for one in made.warnings)
    sick, same, rows = one_sick()
    assert not any("no improvement" in one for one in plan(sick, same, rows, TreatmentRequest("kmeans")).warnings)


def test_what_selective_repair_costs_is_said() -> None:
    rows = mixture(6000, 6, 60)
    book = collapsed(rows, 32, 28)
    book[:28] = rows[0] + 0.05 * np.random.default_rng(0).standard_normal((28, 6))  # alive, and all in one cluster
    source, quantizer = opened(trainer_level(book.astype(np.float32), 28), told())
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    assert made.levels[0].after["distortion.kmeans_ratio"] > 1.10
    assert any("more error than --kmeans" in one for one in made.warnings)


def test_the_same_request_gives_the_same_plan_and_another_seed_another() -> None:
    source, quantizer, rows = one_sick()
    one, two, other = (plan(source, quantizer, rows, TreatmentRequest("kmeans", seed=seed)) for seed in (5, 5, 6))
    assert one.changes[BOOK].tobytes() == two.changes[BOOK].tobytes() != other.changes[BOOK].tobytes()


def test_matched_ids_keep_more_tokens_than_unmatched_ones() -> None:
    rows = mixture(6000, 6, 32)
    book = fit(rows, 32, rng=np.random.default_rng(3), assign=assign).centres + 0.05
    source, quantizer = opened(trainer_level(book.astype(np.float32), 32), told())
    flips = [plan(source, quantizer, rows, TreatmentRequest("kmeans", match_ids=match)).ids_changed for match in (None, False)]
    assert flips[0] < 0.3 < 0.8 < flips[1]


def test_residual_levels_are_repaired_from_the_top_each_on_what_is_left() -> None:
    rows = mixture(4000, 6, 100)
    first, second = collapsed(rows, 16, 2), collapsed(rows * 0.1, 16, 1, seed=4)
    tensors = trainer_level(first, 2) | trainer_level(second, 1, prefix="quantizer.layers.1.")
    source, quantizer = opened(tensors, told())
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    judges = held_out(rows, quantizer, 0)
    labels, _ = assign(judges, made.changes[BOOK])
    left = judges - made.changes[BOOK][labels]
    _, squared = assign(left, made.changes["quantizer.layers.1.codebook"])
    assert made.levels[1].after["distortion.mse"] == pytest.approx(float(squared.mean()), rel=1e-5)
    assert made.levels[1].after["distortion.mse"] < 0.6 * made.levels[0].after["distortion.mse"]
    assert made.after["collision.rate"] < made.before["collision.rate"]
    assert made.after["collision.after_suffix"] <= made.after["collision.excess"]
    only = plan(source, quantizer, rows, TreatmentRequest("kmeans", levels=(1,)))
    assert BOOK not in only.changes and only.levels[0].why == "not asked for"


def test_a_book_that_levels_share_is_fitted_to_all_of_them() -> None:
    rows = mixture(3000, 6, 50)
    book = collapsed(rows, 16, 2)
    tensors = {}
    counts, sums = np.full(16, 64, np.float32), (book * 64).astype(np.float32)
    padded = np.concatenate([book, np.zeros((1, 6), np.float32)])
    for i in range(3):
        stem = f"quantizer.codebooks.{i}."
        tensors |= {f"{stem}weight": padded, f"{stem}cluster_size_ema": counts, f"{stem}embed_ema": sums}
    source, quantizer = opened(tensors)
    assert [level.shared_with for level in quantizer.levels] == [None, 0, 0]
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    written = [made.changes[f"quantizer.codebooks.{i}.weight"] for i in range(3)]
    assert all(one.tobytes() == written[0].tobytes() for one in written)
    assert not written[0][-1].any()  # the padding row
    assert made.levels[2].after["distortion.mse"] < 0.3 * made.levels[2].before["distortion.mse"]
    assert verify(source, Patched(source, made.changes), made, rows) == []


def test_what_is_stored_in_bfloat16_is_measured_in_bfloat16() -> None:
    source, _, rows = one_sick()
    narrow, same = opened(source.arrays, source.tree, dtypes=dict.fromkeys((BOOK, COUNT, SUM), "bfloat16"))
    made = plan(narrow, same, rows, TreatmentRequest("kmeans"))
    for name in (BOOK, COUNT, SUM):
        assert not (made.changes[name].view(np.uint32) & 0xFFFF).any()
    assert verify(narrow, Patched(narrow, made.changes), made, rows) == []


def test_numbers_beyond_float16_are_refused() -> None:
    source, _, rows = one_sick()
    tensors = {name: array.astype(np.float16) if name == SUM else array for name, array in source.arrays.items()}
    tensors[COUNT] = np.full(32, 5e4, np.float32)
    narrow, same = opened(tensors, source.tree)
    with pytest.raises(UsageError, match="not finite in float16"):
        plan(narrow, same, rows, TreatmentRequest("kmeans"))


def test_codes_that_a_frozen_basis_cannot_reach_are_said() -> None:
    rows = mixture(3000, 6, 50)
    weight = np.random.default_rng(0).standard_normal((6, 6)).astype(np.float32)
    weight[:, 3:] = weight[:, :3]  # rank 3
    tensors = {"quantize.embedding.weight": collapsed(rows, 16, 3), "quantize.embedding_proj.weight": weight}
    source, quantizer = opened(tensors | {"quantize.embedding_proj.bias": np.zeros(6, np.float32)})
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    assert made.levels[0].unreached > 0.01
    assert any("cannot hold the codes" in one for one in made.warnings)
    assert verify(source, Patched(source, made.changes), made, rows) == []


def test_cosine_books_stay_on_the_sphere() -> None:
    rows = mixture(3000, 6, 50)
    book = collapsed(rows, 16, 3)
    book[3:] = book[0]  # far outside is a direction like others; a copy is never chosen
    book /= np.linalg.norm(book, axis=1, keepdims=True)
    source, quantizer = opened(trainer_level(book, 3), told(metric="cosine"))
    for method in ("kmeans", "reset-dead", "split"):
        made = plan(source, quantizer, rows, TreatmentRequest(method))
        np.testing.assert_allclose(np.linalg.norm(made.changes[BOOK], axis=1), 1, atol=1e-6)
        assert made.levels[0].after["usage.used"] > made.levels[0].before["usage.used"]


def test_the_optimiser_forgets_directions_and_takes_the_typical_size() -> None:
    rows = mixture(3000, 6, 50)
    book = collapsed(rows, 16, 4)
    rng = np.random.default_rng(0)
    moments = {key: rng.uniform(1, 2, (16, 6)).astype(np.float32) for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
    tensors = {"model": {"quantize.embedding.weight": book}, "optimizer": {"state": {"0": moments}}}
    source, quantizer = opened(tensors)
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    first, second = made.changes["optimizer.state.0.exp_avg"], made.changes["optimizer.state.0.exp_avg_sq"]
    assert not first[4:].any() and first[:4].tobytes() == moments["exp_avg"][:4].tobytes()
    np.testing.assert_allclose(second[4:], np.tile(np.median(moments["exp_avg_sq"][:4], axis=0), (12, 1)))
    kept = plan(source, quantizer, rows, TreatmentRequest("reset-dead", keep_optimizer=True))
    assert list(kept.changes) == ["model.quantize.embedding.weight"]
    assert verify(source, Patched(source, made.changes), made, rows) == []


def test_every_copy_is_written() -> None:
    rows = mixture(3000, 6, 50)
    book = collapsed(rows, 16, 4)
    tensors = {name: {"quantize.embedding.weight": book + shift} for name, shift in (("params", 0), ("params_ema", 0.01))}
    source, quantizer = opened(tensors)
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    trained, averaged = (made.changes[f"{name}.quantize.embedding.weight"] for name in ("params", "params_ema"))
    np.testing.assert_array_equal(trained[4:], averaged[4:])
    np.testing.assert_array_equal(averaged[:4], tensors["params_ema"]["quantize.embedding.weight"][:4])


def test_what_a_repair_means_downstream_is_said() -> None:
    rows = mixture(3000, 6, 50)
    source, quantizer = opened({"rq.vq_layers.0.embedding.weight": collapsed(rows, 16, 4)})
    said = " ".join(plan(source, quantizer, rows, TreatmentRequest("kmeans")).warnings)
    assert "get other IDs" in said and "first batch overwrites this" in said
    flagged, same, rows = one_sick()
    assert "VQ303" not in " ".join(plan(flagged, same, rows, TreatmentRequest("kmeans")).warnings)


def test_nothing_to_do_is_an_empty_plan_that_says_so() -> None:
    rows = mixture(3000, 6, 16)
    book = fit(rows, 16, rng=np.random.default_rng(0), assign=assign).centres
    source, quantizer = opened(trainer_level(book, 16), told())
    for method in ("reset-dead", "split", "sanitize", "sync-ema", "freeze-init"):
        made = plan(source, quantizer, rows, TreatmentRequest(method))
        assert made.empty and made.levels[0].why
        assert not len(made.levels[0].rows_changed)


# --- without features ---------------------------------------------------------------------------------------------------------


def test_sanitize_mends_every_kind_of_broken_row_and_touches_no_other() -> None:
    source, quantizer, rows = one_sick(codes=32, live=32)
    book, counts = source.arrays[BOOK], source.arrays[COUNT]
    book[3], book[5, 2], book[7], book[9], counts[11] = np.nan, np.inf, 0, book[1], np.nan
    for features in (None, rows):
        made = plan(source, quantizer, features, TreatmentRequest("sanitize"))
        assert made.levels[0].rows_changed.tolist() == [3, 5, 7, 9, 11]
        whole = np.setdiff1d(np.arange(32), [3, 5, 7, 9, 11])
        assert made.changes[BOOK][whole].tobytes() == book[whole].tobytes()
        found = measure_geometry(made.changes[BOOK]).metrics
        assert not any(found[f"geometry.{kind}_rows"] for kind in ("nonfinite", "zero", "duplicate"))
        assert np.isfinite(made.changes[COUNT]).all() and np.isfinite(made.changes[SUM]).all()
        assert verify(source, Patched(source, made.changes), made, features) == []
    assert len(made.levels[0].after) and made.levels[0].flips.on_live == 0


def test_sanitize_without_a_sound_row_asks_for_features() -> None:
    source, quantizer, rows = one_sick()
    source.arrays[BOOK][:] = 0
    with pytest.raises(UsageError, match="nothing is left"):
        plan(source, quantizer, None, TreatmentRequest("sanitize"))
    made = plan(source, quantizer, rows, TreatmentRequest("sanitize"))
    assert made.levels[0].after["usage.used"] == 32


def test_sync_makes_sums_agree_and_changes_no_code_or_count() -> None:
    source, quantizer, _ = one_sick()
    source.arrays[SUM][5:9] *= 3
    source.arrays[SUM][0] = np.nan
    made = plan(source, quantizer, None, TreatmentRequest("sync-ema"))
    assert list(made.changes) == [SUM]
    assert made.levels[0].rows_changed.tolist() == [0, 5, 6, 7, 8]
    np.testing.assert_allclose(
        made.changes[SUM] / smoothed(source.arrays[COUNT].astype(np.float64))[:, None], source.arrays[BOOK], rtol=1e-5
    )
    assert verify(source, Patched(source, made.changes), made) == []


def test_sync_mends_a_count_that_no_sum_can_stand_beside() -> None:
    source, quantizer, _ = one_sick()
    source.arrays[COUNT][6] = np.nan
    made = plan(source, quantizer, None, TreatmentRequest("sync-ema"))
    assert set(made.changes) == {COUNT, SUM} or set(made.changes) == {COUNT}
    assert verify(source, Patched(source, made.changes), made) == []
    assert made.changes[COUNT][6] == pytest.approx(np.nanmean(source.arrays[COUNT]), rel=1e-5)


def test_freeze_sets_the_flag_of_a_sound_book_only() -> None:
    source, quantizer, _ = one_sick()
    source.arrays[FLAG][...] = 0
    made = plan(source, quantizer, None, TreatmentRequest("freeze-init"))
    assert list(made.changes) == [FLAG] and made.changes[FLAG] == 1
    source.arrays[BOOK][3] = 0
    refused = plan(source, quantizer, None, TreatmentRequest("freeze-init"))
    assert refused.empty and "zero or not finite" in refused.levels[0].why
    with pytest.raises(UsageError, match=r"^--freeze-init cannot be done: quantizer\[0\]: 1 of 32 rows are zero or not finite"):
        refuse_undoable([refused])
    refuse_undoable([refused, made])  # another quantiser's flag is set


def test_dead_codes_are_left_where_no_more_rows_differ_and_that_is_no_refusal() -> None:
    """As many codes as different rows serve them all without error: nothing is left to repair."""
    rows = np.tile(np.float32([[1, 0], [0, 1]]), (200, 1))
    source, quantizer = opened(trainer_level(np.float32([[1, 0], [0, 1], [80, 80], [90, 90]]), 2))
    for method in ("reset-dead", "split"):
        made = plan(source, quantizer, rows, TreatmentRequest(method))
        assert made.empty and made.levels[0].why
        refuse_undoable([made])


# --- what cannot be asked ------------------------------------------------------------------------------------------------------


def test_requests_that_cannot_be_met_are_refused() -> None:
    source, quantizer, rows = one_sick()
    for request, features in (
        (TreatmentRequest("kmeans"), None),
        (TreatmentRequest("kmeans", levels=(1,)), rows),
        (TreatmentRequest("prayer"), rows),
    ):
        with pytest.raises(UsageError):
            plan(source, quantizer, features, request)
    implicit = FakeSource({"quantizer.project_in.weight": np.ones((3, 8), np.float32), "quantizer._levels": np.array([8, 5, 5])})
    for one in find_quantizers(implicit):
        with pytest.raises(UsageError, match="no codebook"):
            plan(implicit, one, rows, TreatmentRequest("kmeans"))


@pytest.mark.parametrize("one", TREATMENTS, ids=lambda one: one.name)
def test_every_treatment_makes_a_plan_of_what_it_says_it_needs(one) -> None:
    assert treatment(one.name) is one and one.option.startswith("--") and one.about
    source, quantizer, rows = one_sick()
    source.arrays[FLAG][...] = 0
    source.arrays[BOOK][20] = np.nan
    source.arrays[SUM][3] *= 2
    made = plan(source, quantizer, rows if one.features == "needed" else None, TreatmentRequest(one.name))
    assert made.method == one.name
    if one.name != "freeze-init":  # which waits until the row is mended
        assert not made.empty
    assert set(made.undo) == set(made.changes)
    for name, undo in made.undo.items():
        assert undo.restored(made.changes[name]).tobytes() == source.arrays[name].tobytes()
    assert np.isfinite(codes(Patched(source, made.changes), quantizer.levels[0])[:3]).all()


def test_a_collapsed_book_is_foretold_to_collapse_again():
    """The simulation holds the encoder still; what the training did once it will do again."""
    rng = np.random.default_rng(0)
    book = rng.normal(size=(64, 8)).astype(np.float32)
    rows = (book[0] + 0.5 * rng.normal(size=(20_000, 8))).astype(np.float32)
    source = FakeSource({"quantize.embedding.weight": np.concatenate([book[:1], book[1:] + 50])})
    (quantizer,) = find_quantizers(source)
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    assert made.levels[0].survival["relapse_expected"]
    assert made.levels[0].survival["because"] == ["collapsed"]
    assert any("unless its cause is changed" in warning for warning in made.warnings)


def test_what_a_moving_encoder_costs_is_foretold():
    """Codes in use after the rows have moved, as anybody would count them; a book with room around its codes loses none."""
    source, quantizer, rows = one_sick(codes=32, live=4)
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    told = made.levels[0].survival
    assert told["in_use"] == made.levels[0].after["usage.used"] == 32
    assert 32 >= told["drift"]["0.1"] > told["drift"]["1.0"] > 0
    book = made.changes[BOOK]
    spread = np.sqrt(rows.var(axis=0).sum())
    ways = np.random.default_rng(5).standard_normal((20, rows.shape[1]))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    used = np.mean([len(np.unique(assign((rows[::2] + spread * way).astype(np.float32), book)[0])) for way in ways])
    assert abs(told["drift"]["1.0"] - used) < 6


def test_codes_that_no_step_ever_used_are_told_from_those_that_died():
    source, quantizer, rows = one_sick(codes=64, live=4)
    counts = source.arrays["quantizer.layers.0.ema_count"]
    counts[4:] = 0.99**300
    counts[4:10] += 0.01  # used once, and lost
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    assert made.levels[0].survival["never_used"] == 54
    assert any("54 of the revived codes were used by no step before, 6 were in use once" in one for one in made.warnings)

"""Every worked value whose quantity has a name in the contract, and which worked values belong elsewhere."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.metrics import (
    batch_statistics,
    counts_of,
    ema_life,
    expected_excess,
    expected_used,
    hits_only,
    hourglass,
    measure_collisions,
    measure_distortion,
    measure_ema,
    measure_geometry,
    measure_illusion,
    measure_levels,
    measure_match,
    measure_usage,
    rarefied,
    rows_to_call_dead,
    threshold_feasibility,
    unseen_rate_upper,
)
from vqdoctor.metrics.entropy import entropy_error_bits, gini_floor
from vqdoctor.metrics.levels import gains_db
from vqdoctor.metrics.richness import coverage, expected_used_deviation, reachable, richness_of
from vqdoctor.metrics.special import binomial_tail
from vqdoctor.metrics.usage import VERDICTS, code_verdicts
from vqdoctor.model.quantizer import EmaFacts, Initialisation, laplace

ORACLES = json.loads((Path(__file__).parent.parent / "data" / "oracles.json").read_text(encoding="utf-8"))
LN2 = math.log(2)

REFERENCE_ONLY = {
    "chao2_incidence": "incidence by batch: no contract name",
    "ema_float32_never_zero": "arithmetic of float32: the reason for a threshold",
    "ema_bfloat16_frozen": "arithmetic of bfloat16: VQ304 knows it",
    "ema_untouched_row_norm_factor": "what an update does to a row: facts for a rule",
    "encodec_kmeans_init_mass_bug": "VQ305's arithmetic",
    "multi_gpu_union": "pooling of ranks",
    "sinkhorn_identical_items": "another algorithm",
    "bootstrap_is_biased_low": "why there is no bootstrap interval",
    "mi_plugin_bias": "mutual information: no contract name",
    "zador_loss_db": "theory of ideal quantisers: no contract name",
    "init_bounds": "the layouts' facts",
    "nonfinite_codebook_row": "nearest-code search",
    "tie_break": "nearest-code search",
    "collision_string_join": "the reader of semantic IDs",
}
TREATMENT = {
    "permutation_match", "permutation_match_nan", "laplace_refold", "cvq_alpha", "adam_after_reset", "selective_reset_empty_mean",
    "lbg_split_zero_donor", "split_mass",
}  # fmt: skip
LIVE_SERIES = {
    "drift_ramp", "drift_reinit_jump_ok", "drift_reinit_relapse", "drift_saturated_constant", "drift_single_dip",
}  # fmt: skip

CHECKS = {}


def oracle(*names):
    """Registers a check for the named worked examples."""

    def register(check):
        CHECKS.update(dict.fromkeys(names, check))
        return check

    return register


def close(value, expected):
    if expected is None:
        assert value is None
    else:
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def counts_in(inputs):
    if "counts" in inputs:
        return np.array(inputs["counts"])
    counts = np.zeros(inputs["K"], dtype=np.int64)
    nonzero = inputs.get("counts_nonzero") or inputs["sample_counts_nonzero"]
    for code, hits in nonzero.items():
        counts[int(code)] = hits
    return counts


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_worked_value(name):
    if name in CHECKS:
        CHECKS[name](ORACLES[name]["inputs"], ORACLES[name]["expected"])
    else:
        assert name in REFERENCE_ONLY or name in TREATMENT or name in LIVE_SERIES


def test_no_worked_value_is_claimed_twice():
    groups = [set(CHECKS), set(REFERENCE_ONLY), TREATMENT, LIVE_SERIES]
    assert sum(map(len, groups)) == len(set.union(*groups)) == len(ORACLES)


USAGE_NAMES = {
    "n": "usage.n", "S_obs": "usage.used", "utilisation": "usage.utilization", "H_bits": "usage.entropy_bits",
    "H_norm": "usage.entropy_normalized", "perplexity": "usage.perplexity", "hill2": "usage.hill2", "gini": "usage.gini",
    "max_share": "usage.max_share", "hill0": "usage.used", "hill1": "usage.perplexity",
}  # fmt: skip


@oracle(
    "util_empty_sample", "util_K1", "entropy_basic", "entropy_two_equal", "entropy_uniform_full", "entropy_single_code",
)  # fmt: skip
def usage_of_counts(inputs, expected):
    counts = counts_in(inputs)
    metrics = measure_usage(counts).metrics
    for theirs, ours in USAGE_NAMES.items():
        if theirs in expected:
            close(metrics[ours], expected[theirs])
    if "H_grassberger" in expected:
        close(metrics["usage.entropy_bits_corrected"], expected["H_grassberger"] / LN2)
    if "H_se" in expected:
        close(entropy_error_bits(counts), expected["H_se"] / LN2)


@oracle("util_two_of_256", "util_unassigned", "minlength_trap")
def usage_of_indices(inputs, expected):
    counts, dropped = counts_of(np.array(inputs["idx"]), inputs["K"])
    metrics = measure_usage(counts).metrics
    close(metrics["usage.utilization"], expected["utilisation"])
    assert counts.tolist() == expected.get("counts", counts.tolist())
    assert dropped == expected.get("unassigned", 0)
    close(metrics["usage.entropy_normalized"], expected.get("entropy_norm", metrics["usage.entropy_normalized"]))


@oracle("util_index_out_of_range", "util_nan_index")
def bad_indices(inputs, expected):
    with pytest.raises(ValueError):
        counts_of(np.array([float(index) for index in inputs["idx"]]), inputs["K"])


@oracle("expected_distinct_uniform")
def ceilings(inputs, expected):
    for (size, n), value in zip(inputs["pairs"], expected["values"], strict=True):
        close(expected_used(size, n), value)
        if n:
            counts = np.zeros(size, dtype=np.int64)
            counts[0] = n
            close(measure_usage(counts).metrics["usage.ceiling"], value / size)
    close(expected_used_deviation(256, 256), expected["sd_256_256"])
    close(expected_used_deviation(256, 1024), expected["sd_256_1024"])


@oracle(
    "richness_basic", "richness_no_doubletons", "richness_one_singleton", "richness_no_singletons", "richness_all_singletons",
)  # fmt: skip
def richness(inputs, expected):
    counts = np.array(inputs["counts"])
    metrics = measure_usage(counts).metrics
    close(metrics["usage.coverage"], expected["coverage_chaojost"])
    close(metrics["usage.reachable"], min(expected["chao1_bc"], inputs["K"]))
    close(metrics["usage.reachable_low"], expected["ci95_K"][0])
    close(metrics["usage.reachable_high"], expected["ci95_K"][1])
    if "ci95_unclipped" in expected:
        _, low, high = reachable(richness_of(counts), 10**9)
        close(low, expected["ci95_unclipped"][0])
        close(high, expected["ci95_unclipped"][1])
    if "unseen_rate_upper" in expected:
        close(unseen_rate_upper(int(counts.sum()), inputs["K"]), expected["unseen_rate_upper"])
    if "rarefy_10" in expected:
        close(rarefied(counts, 10), expected["rarefy_10"])
        close(rarefied(counts, 46), expected["rarefy_46"])


@oracle("samples_needed")
def samples_needed(inputs, expected):
    for (size, rate), one, every in zip(inputs["cases"], expected["n_one_code"], expected["n_all_codes_bonferroni"], strict=True):
        assert rows_to_call_dead(size, rate) == one
        assert rows_to_call_dead(size, rate, together=size) == every
    counts = np.zeros(256, dtype=np.int64)
    counts[0] = 1000
    assert measure_usage(counts).metrics["usage.samples_needed"] == 76690 - 1000


@oracle("unseen_rate_upper")
def unseen_rates(inputs, expected):
    for (n, size), value in zip(inputs["cases"], expected["values"], strict=True):
        close(unseen_rate_upper(n, size), value)


@oracle("code_verdict")
def verdicts(inputs, expected):
    size = inputs["K"]
    for case, verdict, upper in zip(inputs["cases"], expected["verdict"], expected["upper_rel"], strict=True):
        counts = np.zeros(size, dtype=np.int64)
        counts[:2] = case["c"], case["n"] - case["c"]
        assert VERDICTS[code_verdicts(counts)[0]] == verdict
        if upper is not None:
            assert binomial_tail(np.array([case["c"]]), case["n"], upper / size)[0] == pytest.approx(0.05, rel=1e-6)


@oracle("gini_conventions")
def gini_conventions(inputs, expected):
    counts = np.array(inputs["counts"])
    close(measure_usage(counts).metrics["usage.gini"], expected["gini_all_codes"])
    close(measure_usage(np.eye(256, dtype=int)[0] * 100).metrics["usage.gini"], expected["one_live"])


@oracle("gini_poisson_baseline")
def gini_floors(inputs, expected):
    for rate, value in zip(inputs["lam"], expected["values"], strict=True):
        close(gini_floor(rate), value)
    even = measure_usage(np.full(8, 4)).metrics
    close(even["usage.gini_excess"], -expected["values"][inputs["lam"].index(4)])


@oracle("batch_vs_pooled_perplexity")
def batches(inputs, expected):
    counts = np.array(inputs["batches"])
    codes = np.concatenate([np.repeat(np.arange(4), batch) for batch in counts])
    metrics = measure_usage(counts.sum(axis=0), batches=batch_statistics(codes, 4, batch=8)).metrics
    close(metrics["usage.batch_perplexity"], expected["mean_batch_perplexity"])
    close(metrics["usage.batch_utilization"], expected["mean_batch_util"])
    close(metrics["usage.perplexity"], expected["pooled_perplexity"])
    close(metrics["usage.utilization"], expected["pooled_util"])
    close(metrics["usage.entropy_bits"] - metrics["usage.batch_entropy_bits"], expected["jsd_nats"] / LN2)


@oracle("ema_life")
def lives(inputs, expected):
    assert [ema_life(*case) for case in inputs["cases"]] == expected["first_inactive_step"]


@oracle("ema_illusion_curve", "ema_illusion_curve_kmeans_mass8")
def illusion_curve(inputs, expected):
    for decay, curves in expected["active"].items():
        for rule, curve in curves.items():
            if rule in ("ge2", "ge_0.01", "ge_1e-5"):
                threshold = float(rule.removeprefix("ge").removeprefix("_"))
                ema = EmaFacts(counts="ema", threshold=threshold, decay=float(decay), start_mass=inputs["m0"])
                found = [claimed_active(inputs, float(decay), step, ema) for step in inputs["t"]]
                assert found == [
                    active if step else claim_at_start(inputs, active) for step, active in zip(inputs["t"], curve, strict=True)
                ]


def claimed_active(inputs, decay, step, ema):
    counts = np.full(inputs["K"], inputs["m0"] * decay**step)
    counts[: inputs["live"]] += (1 - decay**step) * inputs["tokens_per_step"] / inputs["live"]
    return measure_ema(counts, ema=ema).metrics["ema.active"]


def claim_at_start(inputs, active):
    """Counts that are all exactly 1 say nothing yet."""
    return None if inputs["m0"] == 1.0 else active


@oracle("ema_hits_only")
def without_initial_mass(inputs, expected):
    found = hits_only(np.array(inputs["N"]), inputs["m0"], inputs["gamma"], inputs["t"])
    assert found == pytest.approx(expected["hits_only"], abs=1e-12)


@oracle("ema_reset_grace")
def grace(inputs, expected):
    assert [ema_life(2, 2, 0.8), ema_life(1, 1, 0.99), ema_life(1, 0.1, 0.99)] == expected["grace_steps"]


@oracle("ema_threshold_feasible")
def feasibility(inputs, expected):
    for case, moments, false_dead in zip(inputs["cases"], expected["mean_sd"], expected["p_false_dead"], strict=True):
        found = threshold_feasibility(case["n"], case["K"], case["gamma"], case["tau"])
        close(found["mean"], moments[0])
        close(found["deviation"], moments[1])
        assert found["false_dead"] == pytest.approx(false_dead, rel=1e-9)
        assert found["feasible"] is bool(moments[0] >= case["tau"] + 4 * moments[1])


@oracle("laplace_floor", "laplace_all_zero")
def smoothing(inputs, expected):
    with np.errstate(invalid="ignore"):
        smoothed = laplace(np.array(inputs["N"]), inputs["eps"])
    assert smoothed == pytest.approx(expected["smoothed"], rel=1e-9)


@oracle("ema_illusion_gap")
def illusion(inputs, expected):
    usage = measure_usage(counts_in(inputs)).metrics
    gap = measure_illusion(inputs["ema_active"] / inputs["K"], usage, inputs["K"]).metrics
    close(usage["usage.utilization"], expected["real"])
    close(usage["usage.reachable_high"], expected["chao1_hi"])
    close(gap["ema.illusion_gap"], expected["gap"])
    close(gap["ema.illusion_gap_conservative"], expected["conservative_gap"])


@oracle("ema_illusion_gap_false_alarm")
def no_illusion(inputs, expected):
    counts = np.zeros(inputs["K"], dtype=np.int64)
    counts[: inputs["f1"]] = 1
    counts[inputs["f1"] : inputs["f1"] + inputs["f2"]] = 2
    usage = measure_usage(counts)
    gap = measure_illusion(1.0, usage.metrics, inputs["K"]).metrics
    close(usage.metrics["usage.utilization"], expected["real"])
    close(usage.metrics["usage.reachable"], expected["chao1_bc"])
    close(usage.metrics["usage.reachable_high"], expected["chao1_hi"])
    close(gap["ema.illusion_gap"], expected["naive_gap"])
    close(gap["ema.illusion_gap_conservative"], expected["conservative_gap"])
    close(usage.facts["expected_used"], expected["expected_distinct_uniform"])
    close(usage.facts["unseen_rate_upper"], expected["unseen_rate_upper"])


@oracle("level_count_product")
def capacity(inputs, expected):
    metrics = measure_collisions(np.ones(inputs["N"], dtype=int), sizes=inputs["Ks"]).metrics
    assert metrics["collision.capacity"] == expected["capacity"]
    close(expected_used(256**2, inputs["N"]), expected["expected_unique_prefix2"])
    close(expected_used(256**3, inputs["N"]), expected["expected_unique_prefix3"])
    close(inputs["N"] - metrics["collision.expected_excess"], expected["expected_unique_prefix3"])


@oracle("multilevel_8x3")
def several_levels(inputs, expected):
    ids, items = np.unique(np.array(inputs["codes"]), axis=0, return_counts=True)
    measured = measure_levels(ids, items, sizes=inputs["Ks"])
    close(measured.metrics["levels.joint_entropy_bits"], expected["prefix_H_bits"][-1])
    assert measured.metrics["levels.conditional_entropy_bits"] == pytest.approx(expected["cond_H_bits"])
    assert measured.facts["prefixes"]["nodes"] == expected["trie_nodes"]
    assert measured.facts["prefixes"]["branching"] == pytest.approx(expected["mean_branching"])
    assert measured.facts["prefixes"]["dominant_share"] == pytest.approx(expected["dominant_path_share"])
    close(hourglass(expected["level_H_norm"]), expected["hourglass_index"])


@oracle("hourglass_L2")
def too_few_levels(inputs, expected):
    assert hourglass(inputs["h_norm"]) is expected["index"] is None


@oracle("residual_energy")
def gains(inputs, expected):
    assert gains_db(inputs["residual_energy"]) == pytest.approx(expected["gain_db"])


COLLISION_NAMES = {
    "N": "collision.items", "unique": "collision.unique", "excess_items": "collision.excess", "collision_rate": "collision.rate",
    "conflict_items": "collision.conflict_items", "conflict_item_rate": "collision.conflict_rate",
    "max_bucket": "collision.max_group",
    "pair_collision_prob": "collision.pair_probability",
}  # fmt: skip


def collisions_agree(measured, expected):
    for theirs, ours in COLLISION_NAMES.items():
        if theirs in expected:
            close(measured.metrics[ours], expected[theirs])
    assert measured.facts["groups"] == expected.get("conflict_groups", measured.facts["groups"])
    assert measured.facts["pairs"] == expected.get("colliding_pairs", measured.facts["pairs"])


@oracle("collision_variants")
def collision_variants(inputs, expected):
    groups = np.unique(np.array(inputs["sids"]), axis=0, return_counts=True)[1]
    collisions_agree(measure_collisions(groups), expected)


@oracle("collision_edge")
def collision_edges(inputs, expected):
    collisions_agree(measure_collisions(np.array([], dtype=int)), expected["N0"])
    collisions_agree(measure_collisions(np.array([1])), expected["N1"])


@oracle("collision_seed_3883", "collision_seed_total_collapse")
def collision_seeds(inputs, expected):
    groups = np.ones(inputs["unique"], dtype=int)
    groups[0] += inputs["N"] - inputs["unique"]
    collisions_agree(measure_collisions(groups), expected)


@oracle("expected_excess")
def chance(inputs, expected):
    for (items, size), value in zip(inputs["cases"], expected["values"], strict=True):
        assert expected_excess(items, size) == pytest.approx(value, rel=1e-9)


@oracle("collision_floor")
def collision_floor(inputs, expected):
    groups = np.array([3, 2, 2, 1, 1, 1])
    measured = measure_collisions(groups, sizes=[6], unique_with_suffix=10, distinct_inputs=inputs["distinct_embeddings"])
    assert measured.metrics["collision.excess"] == expected["excess"]
    assert measured.metrics["collision.floor_excess"] == expected["floor_excess"]
    assert measured.metrics["collision.after_suffix"] == expected["after_suffix_excess"]
    assert measured.facts["avoidable_excess"] == expected["avoidable_excess"]
    assert measured.facts["forced_excess"] == expected["capacity_bound_M6"]


@oracle("near_dup_majority", "near_dup_cosine")
def near_duplicates(inputs, expected):
    codes = np.array(inputs["E"], dtype=np.float32)
    measured = measure_geometry(codes, metric=inputs.get("metric", "l2"))
    assert measured.metrics["geometry.distinct"] == expected["components"]
    assert measured.metrics["geometry.near_duplicate_rows"] == expected["valid_rows"] - expected["components"]
    assert measured.facts["closeness"]["scale"] == pytest.approx(expected["scale"], rel=1e-6)


@oracle("effective_rank")
def ranks(inputs, expected):
    metrics = measure_geometry(np.array(inputs["A"], dtype=np.float32)).metrics
    close(metrics["geometry.effective_rank"], expected["effective_rank_svals"])
    close(metrics["geometry.participation_ratio"], expected["participation_ratio"])
    assert measure_geometry(np.zeros((3, 2), dtype=np.float32)).metrics["geometry.effective_rank"] is expected["zero_matrix"]


@oracle("distortion_basic", "distortion_constant_features")
def distortion(inputs, expected):
    features, codes = np.array(inputs["X"]), np.array(inputs["E"])
    gaps = ((features[:, None] - codes) ** 2).sum(axis=-1)
    measured = measure_distortion(
        len(features), float(gaps.min(axis=1).sum()), float(((features - features.mean(axis=0)) ** 2).sum())
    )
    close(measured.metrics["distortion.mse"], expected["mse"])
    close(measured.metrics["distortion.snr_db"], expected["snr_centred_db"])
    if "code2_class" in expected:
        nearest = np.sqrt(gaps.min(axis=0))
        assert nearest[2] == expected["code2_nearest_feature"]
        match = measure_match(
            codes, feature_mean=features.mean(axis=0), feature_variance=features.var(axis=0), unseen=np.array([False, False, True]),
            nearest_feature=nearest, median_error=expected["rmse_median"],
        )  # fmt: skip
        assert match.facts["orphan_rows"] == [2] and match.metrics["match.orphans"] == 1


@oracle("w2_diag")
def mean_shift(inputs, expected):
    codes = np.array([inputs["me"]]) + np.array([[1, 1], [-1, -1]]) * np.array(inputs["se"])
    match = measure_match(codes, feature_mean=np.array(inputs["mx"]), feature_variance=np.array(inputs["sx"]) ** 2)
    close(match.metrics["match.mean_shift"], expected["mean_shift_rel"])
    close(match.metrics["match.scale_ratio"], math.sqrt(2 / 5))


@oracle("init_uniform_ks")
def still_initial(inputs, expected):
    size, width = inputs["K"], inputs["D"]
    grid = (((np.arange(size * width) + 0.5) / (size * width) * 2 - 1) / size).reshape(width, size).T.astype(np.float32)
    for factor, case in ((1, "untouched"), (3, "scaled_by_3"), (0.5, "decayed_by_0p5")):
        found = measure_geometry(grid * np.float32(factor), initialisation=Initialisation("uniform", 1 / size, "1/K"))
        assert (found.metrics["geometry.untouched_rows"] == size) is expected[case]["inside_support"]


def test_coverage_needs_two_rows():
    assert coverage(richness_of(np.array([1, 0, 0]))) is None

"""What the rules say of cases with a known answer: worked examples, the edges of each threshold, causes before resets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rule_cases import EMA, TWO_CODES, K, case, ids, quantizer

from vqdoctor.diagnosis import diagnose, verdict
from vqdoctor.metrics.ema import measure_ema, measure_illusion
from vqdoctor.metrics.usage import measure_usage
from vqdoctor.model import EmaFacts


def judged(subject, rule):
    """(severity, where) of each finding of a rule."""
    return [(finding.severity, finding.where) for finding in diagnose(subject) if finding.rule == rule]


def only(subject, rule):
    return next(finding for finding in diagnose(subject) if finding.rule == rule)


# collapse


def test_collapse_is_proven_by_a_hundred_rows_and_not_by_ten():
    one_code = TWO_CODES | {"usage.used": 1, "usage.perplexity": 1.0, "usage.perplexity_high": 1.0, "usage.max_share": 1.0}
    hundred = {"usage.n": 100, "usage.ceiling": 0.323, "usage.adjusted": 1 / 82.7}
    assert judged(case(one_code | hundred), "VQ101") == [("error", "q[0]")]
    assert judged(case(one_code | hundred | {"usage.n": 10}), "VQ101") == []


def test_below_k_rows_a_thin_book_is_not_called_collapsing():
    thin = {"usage.used": 90, "usage.adjusted": 0.45, "usage.ceiling": 0.78, "usage.perplexity_high": 70.0}
    assert judged(case(thin | {"usage.n": K}), "VQ101") == [("warning", "q[0]")]
    assert judged(case(thin | {"usage.n": K - 1}), "VQ101") == []


def test_one_code_with_nearly_all_rows_is_a_collapse_though_all_are_used():
    assert judged(case({"usage.max_share": 0.93, "usage.perplexity_high": 20.0}), "VQ101") == [("error", "q[0]")]


@pytest.mark.parametrize(("perplexity", "fires"), [(1.4, True), (2.1, False)])
def test_a_tiny_book_collapses_only_under_half_of_it(perplexity, fires):
    small = case({"usage.perplexity": perplexity, "usage.perplexity_high": perplexity, "usage.max_share": 0.6})
    level = replace(small.report.levels[0], codes=4)
    assert bool(judged(replace(small, report=replace(small.report, levels=(level,))), "VQ101")) is fires


def test_the_remedy_names_causes_before_resets_and_the_seed_advice():
    text = only(case(TWO_CODES), "VQ101").remedy.text
    assert text.index("straight-through") < text.index("loss terms") < text.index("learning rate") < text.index("k-means")
    for advice in ("temperature (2.5, up to 3.0)", "EMA decay (0.7, down to 0.5)", "then 32", "batch (128)", "diversity loss"):
        assert advice in text


@pytest.mark.parametrize(
    ("metrics", "facts", "cause"),
    [
        ({"match.scale_ratio": 0.004}, {}, "codes at 0.004 × the scale"),
        ({}, {"features.participation_ratio": 1.1}, "vary along 1.1 directions"),
        ({"geometry.untouched_rows": 250}, {}, "97.7 % of the codes never trained"),
        ({"geometry.nonfinite_rows": 1}, {}, "NaN or Inf (VQ201)"),
    ],
)
def test_a_cause_that_the_numbers_show_is_said_first(metrics, facts, cause):
    text = only(case(TWO_CODES | metrics, facts), "VQ101").remedy.text
    assert text.startswith("The numbers point at") and cause in text.split("Rule out first")[0]


# dead codes and samples


def test_a_sample_too_small_to_tell_calls_nothing_dead():
    half_seen = {"usage.n": 4 * K, "usage.used": 194, "usage.adjusted": 0.77, "usage.unseen": 62, "usage.undecided": 200}
    findings = diagnose(case(half_seen | {"usage.samples_needed": 75_666}))
    assert [(finding.rule, finding.severity) for finding in findings] == [("VQ105", "info")]
    assert "75 666 more rows" in findings[0].message and "dead" in findings[0].message


def test_items_fewer_than_codes_must_leave_codes_unused():
    few = {"usage.n": 100, "usage.used": 100, "usage.adjusted": 1.2, "usage.dead": 156, "usage.unseen": 156}
    assert judged(case(few, population=True), "VQ102") == []
    assert judged(case(few | {"usage.dead": 200}, population=True), "VQ102") == [("warning", "q[0]")]


@pytest.mark.parametrize(
    ("dead", "rare", "severity"), [(13, 0, "warning"), (129, 0, "error"), (0, 25, None), (0, 26, "warning"), (100, 29, "error")]
)
def test_dead_codes_by_share(dead, rare, severity):
    found = judged(case({"usage.dead": dead, "usage.rare_or_dead": rare, "usage.unseen": dead + rare}), "VQ102")
    assert found == ([(severity, "q[0]")] if severity else [])


# EMA illusion: the two worked examples of the reference


def test_two_codes_of_256_behind_a_full_counter_are_an_illusion():
    illusion = TWO_CODES | {"ema.illusion_gap": 0.9921875, "ema.illusion_gap_conservative": 0.9921875}
    assert judged(case(illusion), "VQ103") == [("error", "q[0]")]


def test_the_measures_and_the_rules_speak_the_same_names():
    hits, ema = np.zeros(K, dtype=np.int64), EmaFacts(relation="laplace", decay=0.99)
    hits[[3, 9]] = 500, 524
    use = measure_usage(hits).metrics
    claim = measure_ema(np.where(hits > 0, 256.0, 0.01), ema=ema).metrics
    gap = measure_illusion(claim["ema.utilization"], use, K).metrics
    subject = case(use | claim | gap, quantizer=quantizer(ema=ema))
    findings = diagnose(subject)
    assert [(finding.rule, finding.severity) for finding in findings] == [("VQ101", "error"), ("VQ103", "error")]
    assert findings[0].message.startswith("2 of 256 codes take all 1 024 rows (attainable at this n: 251). Perplexity 2 of 256;")
    assert findings[1].message.startswith("EMA counts 256 of 256 codes active; 1 024 real rows use 2.")
    assert verdict(findings, [subject]) == "sick"


@pytest.mark.parametrize("n", [4 * K, 40 * K, 400 * K])
def test_even_use_is_healthy_at_any_judgeable_sample(n):
    hits = np.bincount(np.random.default_rng(n).integers(0, K, n), minlength=K)
    subject = case(measure_usage(hits).metrics)
    assert not [finding for finding in diagnose(subject) if finding.severity != "info"]
    assert verdict(diagnose(subject), [subject]) == "healthy"


def test_zipf_like_use_is_healthy():
    shares = 1 / np.arange(1, K + 1)
    hits = np.random.default_rng(0).multinomial(40 * K, shares / shares.sum())
    assert not [finding for finding in diagnose(case(measure_usage(hits).metrics)) if finding.severity == "error"]


def test_one_batch_of_a_large_book_is_no_illusion():
    batch = case({"usage.n": 1020, "usage.used": 960, "ema.illusion_gap": 0.941, "ema.illusion_gap_conservative": 0.405})
    large = replace(batch.report.levels[0], codes=16384)
    assert judged(replace(batch, report=replace(batch.report, levels=(large,))), "VQ103") == []


def illusion_of(ema, **metrics):
    gap = {"ema.illusion_gap_conservative": 0.9, "usage.n": 65_533, "usage.used": 2, **metrics}
    return only(case(gap, quantizer=quantizer(ema=ema)), "VQ103").message


def test_says_how_long_a_count_outlives_its_last_hit():
    ema = EmaFacts(relation="laplace", decay=0.99, start_mass=0.0)
    told = illusion_of(ema, **{"ema.threshold": 1e-5})
    assert "EMA counts 256 of 256 codes active; 65 533 real rows use 2." in told
    assert "stays over 1e-05 for 1 146 steps at decay 0.99 (the family's stock decay" in told
    assert "stock" not in illusion_of(replace(ema, basis="stated"), **{"ema.threshold": 1e-5})


def test_says_that_cumulative_counts_never_decay_and_nothing_of_unknown_decay():
    assert "never decay" in illusion_of(EmaFacts(counts="cumulative"), **{"ema.threshold": 1.0})
    assert "steps" not in illusion_of(EmaFacts(decay=None), **{"ema.threshold": 1e-5})
    assert "steps" not in illusion_of(EmaFacts(decay=1.0), **{"ema.threshold": 1e-5})


# rows and geometry


def test_an_all_zero_book_is_said_once():
    zero = {"geometry.zero_rows": K, "geometry.duplicate_rows": K - 1, "match.scale_ratio": 0.0, "geometry.untouched_rows": K}
    findings = diagnose(case(zero, {"all_zero": True, "flag": 0.0}))
    assert [finding.rule for finding in findings] == ["VQ303"]
    assert findings[0].remedy.command is None and "never initialised" in findings[0].message


def test_an_exact_copy_below_the_limit_is_an_info():
    assert judged(case({"geometry.duplicate_rows": 1, "geometry.near_duplicate_rows": 1}), "VQ202") == [("info", "q[0]")]


def test_a_gradient_that_never_came_is_certain():
    found = only(case(facts={"optimizer.untouched": 200}), "VQ204")
    assert found.confidence == "certain" and "no gradient ever reached" in found.message
    assert only(case({"geometry.untouched_rows": 200}), "VQ204").confidence == "likely"


@pytest.mark.parametrize(
    ("rank", "facts", "severity"),
    [
        (3.9, {}, "warning"),
        (0.7, {}, "error"),
        (3.9, {"features.participation_ratio": None}, None),
        (3.0, {"features.participation_ratio": None}, "info"),
        (3.0, {"codes.participation_ratio": 8.0}, None),  # by row, as the features count, the codes span enough
        (3.0, {"codes.participation_ratio": 2.0}, "warning"),
        (0.7, {"codes.participation_ratio": 3.9}, "warning"),
        (3.0, {"codes.participation_ratio": 8.0, "features.participation_ratio": None}, "info"),
        (3.9, {"features.dim": 20_000}, None),  # fewer than ten rows a column: the features do not judge
    ],
)
def test_rank_is_judged_against_the_features(rank, facts, severity):
    found = judged(case({"geometry.participation_ratio": rank}, facts), "VQ205")
    assert found == ([(severity, "q[0]")] if severity else [])


def test_a_small_book_cannot_have_a_high_rank():
    four = case({"geometry.participation_ratio": 2.5})
    assert judged(replace(four, report=replace(four.report, levels=(replace(four.report.levels[0], codes=4),))), "VQ205") == []


def test_orphans_need_enough_rows():
    assert judged(case({"match.orphans": 200}), "VQ207") == [("error", "q[0]")]
    assert judged(case({"match.orphans": 200, "usage.n": 700}), "VQ207") == []


# EMA state


@pytest.mark.parametrize(
    ("total", "ema", "severity"),
    [
        (1.9 * K, EMA, "error"),
        (2.3 * K, EMA, "warning"),
        (1.9 * K, replace(EMA, basis="family"), "warning"),
        (1.9 * K, replace(EMA, revival="undone"), "info"),
        (1.9 * K, replace(EMA, revival="none"), None),
        (1.9 * K, replace(EMA, threshold=None), None),
        (1.9 * K, replace(EMA, counts="probability"), None),
        (4.0 * K, EMA, None),
    ],
)
def test_feasibility_follows_how_surely_the_threshold_acts(total, ema, severity):
    found = judged(case({"ema.total": total}, quantizer=quantizer(ema=ema)), "VQ302")
    assert found == ([(severity, "q[0]")] if severity else [])


def test_infeasibility_needs_four_deviations():
    # n = 512, K = 256, decay 0.99: mean 2, deviation 0.100; so 2 + 4 × 0.106 = 2.42 at that mean
    assert judged(case({"ema.total": 2.42 * K}), "VQ302") and not judged(case({"ema.total": 2.46 * K}), "VQ302")


@pytest.mark.parametrize(
    ("rows", "share", "decay", "fires"),
    [
        (64, 0.05, 0.9, False),  # what a repair advises for K = 256: 0.06 % of evenly used codes are below it, though 2 deviations
        (64, 0.1, 0.99, False),  # Moshi
        (64, 0.1, 0.8, True),
        (256, 1.1, 0.99, True),
    ],
)
def test_a_relative_threshold_is_judged_by_the_codes_that_it_takes(rows, share, decay, fires):
    ema = replace(EMA, threshold=share, threshold_unit="uniform", decay=decay)
    subject = case({"ema.total": float(rows), "ema.threshold": share * rows / K}, quantizer=quantizer(ema=ema))
    assert bool(judged(subject, "VQ302")) is fires
    if fires and share < 1:
        assert "of evenly used codes fail it by chance" in only(subject, "VQ302").message
        assert "lower share of the mean count" in only(subject, "VQ302").remedy.text


@pytest.mark.parametrize(
    ("facts", "kmeans", "severity"),
    [
        ({"flag": 0.0}, True, "error"),
        ({"flag": 0.0}, False, "warning"),
        ({"flag": None}, True, "warning"),
        ({"flag": 1.0}, True, None),
    ],
)
def test_the_flag_beside_trained_codes(facts, kmeans, severity):
    found = judged(case(facts=facts, quantizer=quantizer(kmeans_start=kmeans)), "VQ303")
    assert found == ([(severity, "q[0]")] if severity else [])


def test_a_family_without_a_flag_is_told_as_possible():
    flagless = case(quantizer=quantizer(kmeans_start=True))
    facts = {name: value for name, value in flagless.report.levels[0].facts.items() if name != "flag"}
    flagless = replace(flagless, report=replace(flagless.report, levels=(replace(flagless.report.levels[0], facts=facts),)))
    found = only(flagless, "VQ303")
    assert (found.severity, found.confidence, found.remedy.command) == ("info", "possible", None)


@pytest.mark.parametrize(
    ("dtype", "decay", "severity"),
    [
        ("bfloat16", 0.999, "error"),
        ("bfloat16", 0.99, "warning"),
        ("float16", 0.999, "warning"),
        ("float16", 0.9999, "error"),
        ("float8_e4m3fn", 0.99, "error"),
        ("float8_e5m2", 0.9, "warning"),
    ],
)
def test_half_precision_counts(dtype, decay, severity):
    stored = case(facts={"ema.dtype": dtype}, quantizer=quantizer(ema=replace(EMA, decay=decay)))
    assert judged(stored, "VQ304") == [(severity, "q[0]")]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn"])
def test_half_precision_codes_alone_are_an_info(dtype):
    assert judged(case(facts={"dtype": dtype}), "VQ304") == [("info", "q[0]")]


@pytest.mark.parametrize(("zero", "dim", "found"), [(1, 1, []), (2, 1, ["VQ203"]), (1, 2, ["VQ203"])])
def test_the_zero_of_a_scalar_grid_is_a_value_like_any_other(zero, dim, found):
    grid = case({"geometry.zero_rows": zero})
    level = replace(grid.report.levels[0], dim=dim)
    grid = replace(grid, report=replace(grid.report, levels=(level,)))
    assert [each.rule for each in diagnose(grid) if each.rule == "VQ203"] == found


def test_replaced_codes_without_their_sums_are_named():
    found = only(case({"ema.inconsistent_rows": 5}, {"ema.inconsistent_dead": 5}), "VQ301")
    assert found.severity == "warning" and "replaced codes" in found.message
    assert judged(case({"ema.inconsistent_rows": 200}), "VQ301") == [("error", "q[0]")]


def test_a_shrunken_start_explains_the_inconsistency():
    findings = diagnose(case({"ema.inconsistent_rows": 200}, {"ema.shrunken": 200}))
    assert [finding.rule for finding in findings] == ["VQ305"]


def test_a_small_book_in_a_family_with_a_shrunken_start_is_possible():
    found = only(case({"match.scale_ratio": 0.1}, quantizer=quantizer(ema=replace(EMA, centroid_start=True))), "VQ305")
    assert (found.severity, found.confidence) == ("warning", "possible")


# semantic IDs


@pytest.mark.parametrize(
    ("rate", "floor", "expected", "severity"),
    [
        (0.04, 0, 0.5, "warning"),  # 320 × uniform
        (0.04, 0, 40.0, None),  # 4 × uniform
        (0.02, 0, 0.5, None),
        (0.06, 0, 200.0, "warning"),
        (0.06, 60, 200.0, None),
        (0.31, 0, 200.0, "error"),
        (0.31, 80, 200.0, "warning"),
        (0.04, 0, None, None),
    ],
)
def test_collisions_beyond_what_inputs_force(rate, floor, expected, severity):
    file = ids(**{"collision.rate": rate, "collision.floor_excess": floor, "collision.expected_excess": expected})
    assert judged(file, "VQ401") == ([(severity, "q")] if severity else [])


def test_the_seeds_collisions_are_told_in_its_numbers():
    numbers = {"collision.items": 3883, "collision.unique": 3359, "collision.excess": 524, "collision.rate": 524 / 3883}
    found = only(ids(**numbers, **{"collision.floor_excess": None}), "VQ401")
    assert found.message.startswith("13.5 % of 3 883 items are in excess of their IDs (3 359 distinct)")
    assert "not known" in found.message and found.confidence == "certain"


def test_few_items_are_not_judged():
    assert judged(ids(**{"collision.items": 99, "collision.rate": 0.5}), "VQ401") == []


def test_rows_that_are_no_catalogue_share_ids_with_less_confidence():
    frames = case(together={"collision.rate": 0.2, "collision.capacity": 4000}, levels=3)
    found = only(frames, "VQ401")
    assert found.confidence == "likely" and "--population" in found.message
    assert judged(frames, "VQ403") == []


def test_capacity():
    assert judged(ids(**{"collision.capacity": 3999}), "VQ403") == [("error", "q")]


def test_hourglass_names_the_waist():
    narrow = {2: {"usage.entropy_normalized": 0.4, "usage.gini": 0.5}}
    assert judged(case(together={"levels.hourglass": 0.4}, levels=4, by_level=narrow), "VQ404") == [("error", "q[2]")]
    assert judged(case(together={"levels.hourglass": 0.4}, levels=4, by_level=narrow | {0: {"usage.n": 9 * K}}), "VQ404") == []


def test_idle_levels():
    gains = case(together={"levels.gain_db": [6.0, 3.0, -0.41]}, levels=3)
    assert judged(gains, "VQ405") == [("error", "q[2]")]
    determined = case(together={"levels.conditional_entropy_bits": [7.6, 0.01, 4.0]}, levels=3)
    assert judged(determined, "VQ405") == [("warning", "q[1]")]
    constant = case(levels=3, by_level={2: {"usage.used": 1, "usage.perplexity": 1.0}})
    assert ("warning", "q[2]") in judged(constant, "VQ405")


def test_a_last_level_that_unique_prefixes_leave_nothing_to_is_arithmetic():
    exhausted = case(together={"levels.conditional_entropy_bits": [8.0, 7.9, 0.0]}, levels=3)
    assert judged(exhausted, "VQ405") == []


def test_rows_that_are_no_items_may_share_their_codes():
    from dataclasses import replace

    shared = {"collision.items": 4000, "collision.rate": 0.98, "collision.unique": 80, "collision.max_group": 84}
    codec = case(together=shared, levels=3)
    assert judged(codec, "VQ401") == [("info", "q")]
    recommender = replace(codec, quantizer=replace(codec.quantizer, items=True))
    assert judged(recommender, "VQ401") == [("error", "q")]


@pytest.mark.parametrize(
    ("ratio", "snr", "found"),
    [
        (0.3, 0.32, False),
        (0.03, 0.063, True),
        (0.0012, 0.0021, True),
        (9.0, -19.0, True),
        (12.7, -0.0005, True),
        (1.0, 10.0, False),
        (0.4, None, True),
    ],
)
def test_the_scale_of_a_book_is_judged_against_the_best_codes_of_its_rows(ratio, snr, found):
    """The first three: k-means with 64 codes on N(0, 1) in 128 dimensions, as it is, at a tenth and at 0.004 of its scale."""
    assert bool(judged(case({"match.scale_ratio": ratio, "distortion.snr_db": snr, "match.mean_shift": 0.0}), "VQ206")) is found


@pytest.mark.parametrize(("adjusted", "snr", "found"), [(0.9, 11.1, False), (0.2, 11.1, True), (0.9, 1.0, True)])
def test_codes_of_a_few_far_rows_are_where_they_belong(adjusted, snr, found):
    """A level of residuals that are mostly tiny: the sample with an hourglass has a ratio of 4.6."""
    wide = {"match.scale_ratio": 4.6, "distortion.snr_db": snr, "usage.adjusted": adjusted}
    assert bool(judged(case(wide), "VQ206")) is found


def test_real_use_decides_what_a_scale_does():
    even, uneven = (only(case({"match.scale_ratio": 0.004, "usage.adjusted": used}), "VQ206").message for used in (0.9, 0.1))
    assert "spread over the codes" in even and "A few codes then win" in uneven


def test_zero_rows_are_no_near_copies_of_each_other():
    zero = {"geometry.zero_rows": 20, "geometry.duplicate_rows": 19, "geometry.near_duplicate_rows": 19}
    assert not judged(case(zero), "VQ202") and judged(case(zero | {"geometry.near_duplicate_rows": 60}), "VQ202")


def test_refitting_is_named_only_where_codes_lie_idle():
    many = {"together": {"collision.rate": 0.4, "collision.excess": 1600}, "levels": 3, "population": True}
    crowded, idle = (only(case({"usage.unseen": unseen}, **many), "VQ401").remedy for unseen in (0, 20))
    assert crowded.command is None and "codes of all levels are in use" in crowded.text
    assert crowded.text.index("VQ402") < crowded.text.index("One more level")
    assert idle.command == "vqdoctor repair ckpt.pt --kmeans --features f.npy -o repaired.pt" and "k-means" in idle.text


def test_a_flag_that_no_file_of_the_family_has_cannot_be_set():
    assert only(case(facts={"flag": None}, quantizer=quantizer(kmeans_start=True)), "VQ303").remedy.command is None


@pytest.mark.parametrize(("ratio", "dim", "found"), [(1.0, 8, True), (1.3, 8, False), (1.0, 2, False)])
def test_codes_on_a_line_are_remarked_without_features(ratio, dim, found):
    alone = case({"geometry.participation_ratio": ratio}, facts={"features.participation_ratio": None, "geometry.dim": dim})
    assert judged(alone, "VQ205") == ([("info", "q[0]")] if found else [])

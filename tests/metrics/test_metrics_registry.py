"""The registry holds the contract's names, no more and no fewer, and every name is measured in one place."""

import math

import numpy as np
import pytest

import vqdoctor.metrics as measures
from vqdoctor.metrics import METRICS, NEEDS, metric, metrics
from vqdoctor.model.quantizer import EmaFacts

CONTRACT = """
usage.n usage.used usage.utilization usage.ceiling usage.adjusted usage.batch_used usage.batch_utilization usage.batch_entropy_bits
usage.batch_entropy_normalized usage.batch_perplexity usage.entropy_bits usage.entropy_normalized usage.perplexity
usage.entropy_bits_corrected usage.perplexity_low usage.perplexity_high usage.hill2 usage.gini usage.gini_excess usage.max_share
usage.coverage usage.reachable usage.reachable_low usage.reachable_high usage.unseen usage.dead usage.rare_or_dead usage.rare
usage.undecided usage.live usage.samples_needed usage.soft_perplexity
ema.total ema.threshold ema.active ema.utilization ema.entropy_bits ema.entropy_normalized ema.perplexity ema.inconsistent_rows
ema.illusion_gap ema.illusion_gap_conservative
geometry.nonfinite_rows geometry.zero_rows geometry.duplicate_rows geometry.near_duplicate_rows geometry.distinct
geometry.parallel_rows geometry.untouched_rows geometry.norm_min geometry.norm_median geometry.norm_max geometry.effective_rank
geometry.participation_ratio
distortion.mse distortion.snr_db distortion.kmeans_ratio match.mean_shift match.scale_ratio match.orphans match.shadowed
match.agreement
collision.items collision.unique collision.excess collision.rate collision.conflict_items collision.conflict_rate
collision.max_group collision.pair_probability collision.after_suffix collision.floor_excess collision.expected_excess
collision.capacity
levels.joint_entropy_bits levels.conditional_entropy_bits levels.gain_db levels.hourglass
""".split()  # noqa: SIM905


def every_measure():
    """One run of each measure on healthy input."""
    counts = np.array([5, 4, 3, 1])
    codes = np.random.default_rng(0).normal(size=(4, 3))
    usage = measures.measure_usage(counts)
    return [
        usage,
        measures.measure_soft_usage(counts / counts.sum()),
        measures.measure_ema(counts, sums=codes, codes=codes, ema=EmaFacts(relation="laplace")),
        measures.measure_illusion(1.0, usage.metrics, 4),
        measures.measure_geometry(codes),
        measures.measure_distortion(4, 1.0, 2.0),
        measures.measure_match(codes, feature_mean=np.zeros(3), feature_variance=np.ones(3)),
        measures.measure_agreement(counts, counts),
        measures.measure_collisions(counts),
        measures.measure_levels(np.arange(4)[:, None], counts),
    ]


def test_the_registry_is_the_contract():
    assert sorted(metrics()) == sorted(CONTRACT)
    assert len(METRICS) == len(CONTRACT)


def test_each_name_is_measured_once():
    produced = [name for measured in every_measure() for name in measured.metrics]
    assert sorted(produced) == sorted(CONTRACT)


def test_numbers_are_plain_and_finite():
    for measured in every_measure():
        for name, value in measured.metrics.items():
            for number in value if isinstance(value, list) else [value]:
                assert number is None or type(number) in (int, float), name
                assert number is None or math.isfinite(number), name


@pytest.mark.parametrize("page", METRICS, ids=lambda page: page.name)
def test_a_page_is_complete(page):
    assert page.better in ("higher", "lower", "none")
    assert page.needs and set(page.needs) <= set(NEEDS)
    assert page.title and page.formula and page.range and page.text.endswith(".")
    assert metric(page.name) is page


def test_names_in_pages_exist():
    for page in METRICS:
        for word in f"{page.text} {page.formula}".replace("(", " ").replace(")", " ").replace(":", " ").split():
            family, dot, _ = word.strip(".,;").partition(".")
            if dot and family in ("usage", "ema", "geometry", "distortion", "match", "collision", "levels") and "*" not in word:
                assert word.strip(".,;") in CONTRACT, page.name


def test_an_unknown_metric():
    with pytest.raises(KeyError):
        metric("usage.unheard_of")


def test_public_names_are_complete_and_sorted():
    assert sorted(set(measures.__all__)) == sorted(measures.__all__)
    assert all(hasattr(measures, name) for name in measures.__all__)

"""Codebook against features."""

import numpy as np
import pytest

from vqdoctor.metrics import measure_agreement, measure_distortion, measure_match


def test_distortion_at_its_edges():
    assert measure_distortion(0, 0.0, 0.0).metrics == dict.fromkeys(
        ["distortion.mse", "distortion.snr_db", "distortion.kmeans_ratio"]
    )
    perfect = measure_distortion(4, 0.0, 3.0, kmeans_mse=0.0)
    assert perfect.metrics["distortion.snr_db"] is perfect.metrics["distortion.kmeans_ratio"] is None
    assert perfect.facts["snr_infinite"] is True
    assert measure_distortion(4, 2.0, 8.0, kmeans_mse=0.25).metrics == {
        "distortion.mse": 0.5, "distortion.snr_db": pytest.approx(6.0206, abs=1e-4), "distortion.kmeans_ratio": 2.0,
    }  # fmt: skip


def test_unseen_codes_are_orphans_or_shadowed():
    codes = np.array([[0.0], [0.1], [50.0], [np.nan]])
    measured = measure_match(
        codes, feature_mean=np.zeros(1), feature_variance=np.ones(1), unseen=np.array([False, True, True, True]),
        nearest_feature=np.array([np.nan, 0.2, 48.0, 1.0]), nearest_code=np.array([1, 0, 1, 0]), median_error=0.5,
    )  # fmt: skip
    assert measured.metrics["match.orphans"] == 1 and measured.metrics["match.shadowed"] == 1
    assert measured.facts["orphan_rows"] == [2] and measured.facts["shadowed_rows"] == [1] and measured.facts["shadowed_by"] == [0]


def test_moments():
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (5000, 4))
    same = measure_match(features[:500], feature_mean=features.mean(axis=0), feature_variance=features.var(axis=0))
    assert same.metrics["match.scale_ratio"] == pytest.approx(1, abs=0.1)
    assert same.metrics["match.mean_shift"] == pytest.approx(0, abs=0.1)
    assert same.metrics["match.orphans"] is None
    tiny = measure_match(features[:500] * 1e-3, feature_mean=features.mean(axis=0), feature_variance=features.var(axis=0))
    assert tiny.metrics["match.scale_ratio"] == pytest.approx(1e-3, rel=0.1)
    assert tiny.facts["code_norm"] / tiny.facts["feature_norm"] == pytest.approx(1e-3, rel=0.1)


def test_moments_without_spread_are_undefined():
    still = measure_match(np.ones((3, 2)), feature_mean=np.zeros(2), feature_variance=np.zeros(2)).metrics
    assert still["match.mean_shift"] is still["match.scale_ratio"] is None
    single = measure_match(np.ones((1, 2)), feature_mean=np.zeros(2), feature_variance=np.ones(2)).metrics
    assert single["match.scale_ratio"] is None and single["match.mean_shift"] == 1
    broken = measure_match(np.full((3, 2), np.nan), feature_mean=np.zeros(2), feature_variance=np.ones(2)).metrics
    assert broken["match.mean_shift"] is None


def test_agreement_leaves_out_rows_without_a_code():
    measured = measure_agreement(np.array([0, 1, -1, 3]), np.array([0, 2, 2, 3]))
    assert measured.metrics["match.agreement"] == pytest.approx(2 / 3) and measured.facts["agreement_rows"] == 3
    assert measure_agreement(np.array([-1]), np.array([0])).metrics["match.agreement"] is None

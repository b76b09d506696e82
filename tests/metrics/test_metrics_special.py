"""Special functions against scipy where it is installed, and against identities where it is not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.metrics.richness import rarefied
from vqdoctor.metrics.special import binomial_tail, digamma, scaled_bessel, stirling_error

ARGUMENTS = np.concatenate([np.linspace(0.01, 40, 400), [1e2, 1e4, 1e8]])


def test_digamma_and_stirling_error_follow_their_recurrences():
    x = ARGUMENTS
    assert digamma(x + 1) - digamma(x) == pytest.approx(1 / x, rel=1e-8, abs=1e-8)
    assert digamma(np.array([1.0]))[0] == pytest.approx(-0.5772156649015329, rel=1e-14)
    log_gamma = (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + stirling_error(x)
    assert log_gamma == pytest.approx([math.lgamma(value) for value in x], rel=1e-13, abs=1e-13)


def test_arguments_are_left_alone():
    x = np.array([0.5, 2.0])
    digamma(x)
    stirling_error(x)
    assert x.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 4.0, 29.9, 30.1, 200.0, 1e6])
def test_scaled_bessel_against_scipy(order, x):
    special = pytest.importorskip("scipy.special")
    assert scaled_bessel(order, x) == pytest.approx(float(special.ive(order, x)), rel=1e-13)


@pytest.mark.parametrize("n", [2, 30, 76690, 10**7, 10**9])
def test_the_binomial_tail_against_scipy(n):
    stats = pytest.importorskip("scipy.stats")
    for rate in (0.9, 0.1, 1e-3, 1e-6):
        hits = np.unique(np.geomspace(1, max(1, min(0.999 * n * rate, 10**6)), 20).astype(int) - 1)
        hits = hits[hits < n * rate]
        assert binomial_tail(hits, n, rate) == pytest.approx(stats.binom.cdf(hits, n, rate), rel=1e-7, abs=1e-300)


@given(st.integers(1, 10**6), st.floats(1e-6, 1.0), st.data())
def test_the_binomial_tail_is_a_growing_probability(n, rate, data):
    most = min(n, 2000, int(np.ceil(n * rate)) - 1)
    hits = np.array(sorted(data.draw(st.lists(st.integers(0, most), min_size=1, max_size=6))))
    tail = binomial_tail(hits, n, rate)
    assert ((tail >= 0) & (tail <= 1 + 1e-9)).all() and (np.diff(tail) >= -1e-12).all()


def test_rarefaction_by_enumeration():
    from itertools import combinations

    rows = [0, 0, 0, 1, 1, 2]
    mean = np.mean([len(set(chosen)) for chosen in combinations(rows, 3)])
    assert rarefied(np.array([3, 2, 1]), 3) == pytest.approx(mean)
    with pytest.raises(ValueError, match="rarefy"):
        rarefied(np.array([3, 2, 1]), 7)

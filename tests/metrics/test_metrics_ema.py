"""The counters' claims: each kind of counter, the family's test, and the consistency of sums and codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.metrics import counts_from, ema_life, measure_ema, measure_illusion, measure_usage
from vqdoctor.metrics.ema import chance_below
from vqdoctor.model.quantizer import EmaFacts, laplace

SMOOTHED = EmaFacts(relation="laplace", counts="ema", decay=0.99, start_mass=1.0, threshold=2.0)


def consistent_book(rng, size=32, dim=8, relation="laplace"):
    counts = rng.gamma(1.0, 10.0, size)
    sums = rng.normal(size=(size, dim)) * counts[:, None]
    divisor = laplace(counts) if relation == "laplace" else counts
    codes = sums / divisor[:, None]
    if relation == "cosine":
        codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    return counts.astype(np.float32), sums.astype(np.float32), codes.astype(np.float32)


def test_the_family_decides_what_is_active():
    counts = np.array([3.0, 2.0, 1.9, 0.0])
    metrics = measure_ema(counts, ema=SMOOTHED).metrics
    assert metrics["ema.active"] == 2 and metrics["ema.utilization"] == 0.5 and metrics["ema.threshold"] == 2
    assert metrics["ema.total"] == pytest.approx(6.9)
    relative = EmaFacts(counts="ema", threshold=0.1, threshold_unit="uniform")
    assert measure_ema(counts, ema=relative).metrics["ema.threshold"] == pytest.approx(0.1 * 6.9 / 4)
    for none in (None, 0.0):
        default = measure_ema(counts, ema=EmaFacts(threshold=none))
        assert default.metrics["ema.threshold"] == 1e-5 and default.facts["threshold_source"] == "default"


def test_every_known_threshold_is_tried():
    facts = measure_ema(np.array([4.0, 1.5, 0.05, 0.001, 0.0]), ema=SMOOTHED).facts
    assert facts["thresholds"] == {
        "1e-5": 0.8, "0.01": 0.6, "0.1": 0.4, "1": 0.4, "2": 0.2, "0.08×uniform": 0.4, "0.1×uniform": 0.4,
    }  # fmt: skip
    shares = measure_ema(np.array([0.5, 0.3]), ema=EmaFacts(counts="probability")).facts
    assert set(shares["thresholds"]) == {"0.08×uniform", "0.1×uniform"}


def test_how_long_the_counters_cannot_see():
    facts = measure_ema(np.full(4, 8.0) + np.arange(4), ema=EmaFacts(counts="ema", decay=0.99, start_mass=1.0)).facts
    assert facts["life"] == 1146
    assert facts["fade"] == ema_life(9.5, 1e-5, 0.99)
    assert facts["feasibility"] is None
    thrash = measure_ema(np.array([0.6, 0.4, 0.5, 0.5]), ema=SMOOTHED).facts["feasibility"]
    assert thrash["feasible"] is False and thrash["false_dead"] > 0.99


@pytest.mark.parametrize(
    ("counts", "ema"),
    [
        (np.zeros(4), SMOOTHED),
        (np.ones(4), SMOOTHED),
        (np.array([1.0, np.nan]), SMOOTHED),
        (np.array([1.0, -2.0]), SMOOTHED),
        (np.array([3.0, 2.0]), EmaFacts(counts="stale")),
        (np.array([3.0, 2.0]), EmaFacts(counts="countdown")),
        (np.array([64.0, 0.0]), EmaFacts(counts="ring")),
    ],
)
def test_counters_that_say_nothing(counts, ema):
    measured = measure_ema(counts, sums=np.ones((len(counts), 2)), codes=np.zeros((len(counts), 2)), ema=ema)
    assert set(measured.metrics.values()) == {None}
    assert measured.facts["uninformative"]


def test_what_a_file_stores_becomes_counts():
    assert counts_from(np.array([2, 2, 0], dtype=np.float32), EmaFacts(counts="ring"), 4).tolist() == [1, 0, 2, 0]
    assert counts_from(np.ones((3, 4)), EmaFacts(counts="scales"), 4).tolist() == [3] * 4
    assert counts_from(np.arange(4), EmaFacts(), 4).dtype == np.float64
    with pytest.raises(ValueError, match="indices"):
        counts_from(np.array([5.0]), EmaFacts(counts="ring"), 4)
    with pytest.raises(ValueError, match="does not fit 4 codes"):
        counts_from(np.ones(5), EmaFacts(), 4)


@pytest.mark.parametrize("relation", ["laplace", "ratio", "cosine"])
def test_rows_that_do_not_follow_are_found(relation):
    counts, sums, codes = consistent_book(np.random.default_rng(0), relation=relation)
    ema = EmaFacts(relation=relation, counts="ema", threshold=2.0)
    assert measure_ema(counts, sums=sums, codes=codes, ema=ema).metrics["ema.inconsistent_rows"] == 0
    codes[5] *= 1.01
    codes[9] = np.nan  # broken, and counted as such elsewhere
    sums[11, 0] = np.nan  # the next step would write it
    measured = measure_ema(counts, sums=sums, codes=codes, ema=ema)
    assert measured.metrics["ema.inconsistent_rows"] == 2
    assert measured.facts["inconsistent_rows"] == [5, 11]
    assert measured.facts["inconsistency"] == pytest.approx(0.01, rel=0.05)


def test_the_stored_type_sets_the_tolerance():
    torch = pytest.importorskip("torch")
    rounded = [torch.from_numpy(part).bfloat16().float().numpy() for part in consistent_book(np.random.default_rng(1))]
    ema = EmaFacts(relation="laplace", counts="ema")
    assert (
        measure_ema(rounded[0], sums=rounded[1], codes=rounded[2], ema=ema, dtype="bfloat16").metrics["ema.inconsistent_rows"] == 0
    )
    assert measure_ema(rounded[0], sums=rounded[1], codes=rounded[2], ema=ema).metrics["ema.inconsistent_rows"] > 0


def test_codes_that_are_not_derived_have_no_consistency():
    counts, sums, codes = consistent_book(np.random.default_rng(2))
    for relation in ("clamped", "none"):
        measured = measure_ema(counts, sums=sums, codes=codes, ema=EmaFacts(relation=relation))
        assert measured.metrics["ema.inconsistent_rows"] is None
    assert measure_ema(counts, ema=SMOOTHED).metrics["ema.inconsistent_rows"] is None


def test_a_shrunken_start_is_seen():
    centroids = np.random.default_rng(3).normal(size=(6, 4))
    bins = np.array([10.0, 3.0, 1.0, 7.0, 2.0, 5.0])
    measured = measure_ema(bins, sums=centroids, codes=centroids, ema=SMOOTHED)
    assert measured.facts["sum_is_code_rows"] == 5


def test_expired_rows_are_told_from_others():
    counts, sums, codes = consistent_book(np.random.default_rng(4))
    expired = counts < 2
    codes[expired] += 1
    facts = measure_ema(counts, sums=sums, codes=codes, ema=SMOOTHED).facts
    assert facts["inconsistent_inactive"] == expired.sum() > 0


def test_the_gap_needs_both_sides():
    usage = measure_usage(np.array([5, 5, 0, 0])).metrics
    assert measure_illusion(None, usage, 4).metrics == {"ema.illusion_gap": None, "ema.illusion_gap_conservative": None}
    empty = measure_usage(np.zeros(4, dtype=int)).metrics
    assert measure_illusion(1.0, empty, 4).metrics["ema.illusion_gap"] is None
    assert measure_illusion(1.0, usage, 4).metrics["ema.illusion_gap"] == 0.5


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.randoms())
def test_claims_are_bounded_and_blind_to_order(values, random):
    counts = np.array(values)
    shuffled = counts.copy()
    random.shuffle(shuffled)
    first, second = (measure_ema(part, ema=SMOOTHED).metrics for part in (counts, shuffled))
    assert first["ema.active"] == second["ema.active"]
    if first["ema.active"] is not None:
        assert 0 <= first["ema.active"] <= counts.size
        assert 1 - 1e-9 <= first["ema.perplexity"] <= counts.size * (1 + 1e-9)


@given(st.floats(1e-3, 1e3), st.floats(1e-6, 10), st.floats(0.5, 0.9999))
def test_life_is_the_first_inactive_step(mass, threshold, decay):
    steps = ema_life(mass, threshold, decay)
    assert mass * decay**steps < threshold
    assert steps == 0 or mass * decay ** (steps - 1) >= threshold


def test_a_threshold_of_zero_is_never_reached():
    assert ema_life(1, 0, 0.99) is None and ema_life(1, 0.5, 1.0) is None and ema_life(1, 0.5, 0.0) == 1


@pytest.mark.parametrize(
    ("size", "tokens", "decay", "share"), [(256, 64, 0.9, 0.05), (256, 64, 0.9, 0.2), (64, 256, 0.8, 0.5), (64, 8, 0.99, 0.5)]
)
def test_the_chance_of_an_even_code_to_starve_is_bounded_and_not_far_off(size, tokens, decay, share):
    rng = np.random.default_rng(0)
    mean = tokens / size
    counts, below = np.full(size, mean), []
    for step in range(4000):
        counts = decay * counts + (1 - decay) * rng.multinomial(tokens, np.full(size, 1 / size))
        if step >= 1000:
            below.append((counts < share * mean).mean())
    found, bound = float(np.mean(below)), chance_below(mean, decay, share * mean)
    assert found <= bound <= 20 * found


def test_a_threshold_that_nothing_can_meet_or_miss():
    assert chance_below(1.0, 0.9, 1.0) == 1.0 and chance_below(1.0, 0.0, 0.5) == 1.0
    assert chance_below(1.0, 1.0, 0.5) == 0.0

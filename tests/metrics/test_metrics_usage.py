"""Laws of real use that hold for any counts, and the cases at the edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.metrics import BatchMeans, assigned, batch_statistics, counts_of, measure_soft_usage, measure_usage
from vqdoctor.metrics.usage import DEAD, LIVE, RARE, UNDECIDED, VERDICTS, code_verdicts

COUNTS = st.lists(st.one_of(st.integers(0, 6), st.integers(0, 10**6)), min_size=1, max_size=60).map(np.array)


@given(COUNTS)
def test_verdicts_partition_the_codebook(counts):
    for population in (False, True):
        measured = measure_usage(counts, population=population)
        assert len(measured.facts["verdicts"]) == counts.size
        if counts.sum():
            assert sum(measured.metrics[f"usage.{name}"] for name in VERDICTS) == counts.size


@given(COUNTS, st.randoms())
def test_the_order_of_codes_does_not_matter(counts, random):
    shuffled = counts.tolist()
    random.shuffle(shuffled)
    before, after = measure_usage(counts).metrics, measure_usage(np.array(shuffled)).metrics
    for name, value in before.items():
        assert after[name] == pytest.approx(value, rel=1e-9, abs=1e-9) if value is not None else after[name] is None


@given(COUNTS)
def test_bounds(counts):
    metrics = measure_usage(counts).metrics
    size, n = counts.size, int(counts.sum())
    if not n:
        assert {name for name, value in metrics.items() if value is not None} == {"usage.n"}
        return
    used = metrics["usage.used"]
    slack = 1e-9
    assert 1 <= used <= min(n, size)
    assert used <= metrics["usage.reachable_low"] + slack
    assert metrics["usage.reachable_low"] <= metrics["usage.reachable_high"] + slack <= size + 2 * slack
    assert 1 - slack <= metrics["usage.hill2"] <= metrics["usage.perplexity"] + slack <= used + 2 * slack
    assert 1 <= metrics["usage.perplexity_low"] <= metrics["usage.perplexity_high"] <= size * (1 + slack)
    assert 0 <= metrics["usage.entropy_bits_corrected"] <= np.log2(size)
    assert 0 <= metrics["usage.gini"] <= (size - 1) / size + slack
    assert 1 / size - slack <= metrics["usage.max_share"] <= 1
    assert (metrics["usage.entropy_normalized"] is None) is (size == 1)
    assert metrics["usage.unseen"] == size - used


@given(COUNTS, st.integers(1, 50))
def test_more_rows_of_the_same_kind_never_hide_a_code(counts, times):
    once, often = measure_usage(counts).metrics, measure_usage(counts * times).metrics
    assert once["usage.used"] == often["usage.used"]
    if counts.sum():
        assert often["usage.samples_needed"] <= once["usage.samples_needed"]
        assert often["usage.undecided"] <= once["usage.undecided"]
        assert often["usage.entropy_bits"] == pytest.approx(once["usage.entropy_bits"])


def test_a_population_knows_its_dead():
    metrics = measure_usage(np.array([4, 0, 3, 0]), population=True).metrics
    assert metrics["usage.dead"] == 2 and metrics["usage.undecided"] == 0 and metrics["usage.samples_needed"] == 0
    assert metrics["usage.reachable_low"] == metrics["usage.reachable"] == metrics["usage.reachable_high"] == 2
    assert metrics["usage.coverage"] == 1


def test_a_sample_of_the_same_counts_does_not():
    metrics = measure_usage(np.array([4, 0, 3, 0])).metrics
    assert metrics["usage.dead"] == 0 and metrics["usage.undecided"] == 2 and metrics["usage.unseen"] == 2


def test_a_used_code_of_a_population_is_never_dead():
    verdicts = code_verdicts(np.array([10**7, 1, 0, 10**7]), population=True)
    assert verdicts.tolist() == [LIVE, RARE, DEAD, LIVE]
    assert code_verdicts(np.zeros(3, dtype=int), population=True).tolist() == [UNDECIDED] * 3


def test_one_code():
    metrics = measure_usage(np.array([5])).metrics
    assert metrics["usage.utilization"] == metrics["usage.ceiling"] == metrics["usage.perplexity"] == 1
    assert metrics["usage.entropy_bits"] == metrics["usage.gini"] == 0
    assert metrics["usage.entropy_normalized"] is None


def test_collapse_is_provable_with_few_rows():
    counts = np.zeros(256, dtype=int)
    counts[:2] = 512
    assert measure_usage(counts).facts["z"] == pytest.approx(-121, abs=1)


@pytest.mark.parametrize("codes", [[0, -2], [0, 4], [0.5], [np.inf], ["a"]])
def test_bad_indices_are_refused(codes):
    with pytest.raises(ValueError, match="indices"):
        counts_of(np.array(codes), 4)


def test_indices_of_any_shape_and_type():
    counts, dropped = counts_of(np.array([[0.0, -1.0], [3.0, 3.0]], dtype=np.float32), 4)
    assert counts.tolist() == [1, 0, 0, 2] and dropped == 1
    assert counts_of(np.zeros(0, dtype=np.uint8), 2)[0].tolist() == [0, 0]


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.float32])
def test_many_codes_are_counted_as_few_are(kind):
    codes = np.random.default_rng(0).integers(-1, 300, 200_000).astype(kind)
    counts, dropped = counts_of(codes, 300)
    assert counts.tolist() == np.bincount(codes[codes >= 0].astype(int), minlength=300).tolist()
    assert dropped == np.sum(codes == -1)
    codes[-1] = 300
    with pytest.raises(ValueError, match=r"found -1(\.0)?…300"):
        counts_of(codes, 300)
    assert assigned(np.array([7, 3], dtype=np.uint16), 8)[0].tolist() == [7, 3]


@pytest.mark.parametrize("counts", [[], [[1]], [-1, 2], [0.5]])
def test_bad_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts"):
        measure_usage(np.array(counts))


def test_soft_use():
    assert measure_soft_usage(np.full(8, 1 / 8)).metrics == {"usage.soft_perplexity": pytest.approx(8)}
    assert measure_soft_usage(np.zeros(8)).metrics == {"usage.soft_perplexity": None}


@given(st.lists(st.integers(0, 6), max_size=90), st.integers(1, 20), st.integers(1, 30))
def test_batches_are_the_same_however_the_rows_arrive(codes, batch, block):
    codes = np.array(codes, dtype=np.int64)
    whole = batch_statistics(codes, 7, batch).metrics()
    parts = BatchMeans(7, batch)
    for start in range(0, codes.size, block):
        parts.feed(codes[start : start + block])
    counted = BatchMeans(7, batch)
    for start in range(0, codes.size, batch):
        rows = codes[start : start + batch]
        if rows.size == batch or codes.size < batch:
            counted.add(np.bincount(rows, minlength=7))
    for name, value in whole.items():
        for other in (parts, counted):
            assert other.metrics()[name] == (None if value is None else pytest.approx(value))


def test_a_partial_last_batch_counts_only_alone():
    means = batch_statistics(np.array([0, 0, 1, 1, 1]), 4, batch=4)
    assert means.count == 1 and means.metrics()["usage.batch_used"] == 2
    alone = batch_statistics(np.array([0, 2, 3]), 4, batch=4)
    assert alone.count == 1 and alone.metrics()["usage.batch_used"] == 3
    assert BatchMeans(4).metrics()["usage.batch_used"] is None
    with pytest.raises(ValueError, match="at least 1"):
        BatchMeans(4, 0)

"""Counting on the device gives what the room `metrics` measures from the same codes, and waits for nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_models import WAITING, Operations

from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.metrics.usage import measure_usage
from vqdoctor.monitor.counts import Counts
from vqdoctor.monitor.reservoir import DeviceReservoir

CPU = torch.device("cpu")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.integers(0, 2**31),
)
def test_it_counts_what_metrics_measure(sizes: list[int], batches: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts, means, pooled = Counts(sizes, CPU), [BatchMeans(size) for size in sizes], [np.zeros(size, int) for size in sizes]
    for n in batches:
        codes = np.stack([rng.integers(0, size, n) for size in sizes])
        counts.add(torch.from_numpy(codes))
        for level, size in enumerate(sizes):
            hits = np.bincount(codes[level], minlength=size)
            means[level].add(hits)
            pooled[level] += hits
    for window, mean, hits in zip(counts.take(), means, pooled, strict=True):
        found = window.metrics()
        for name, value in mean.metrics().items():
            assert found[name] == pytest.approx(value, abs=1e-5), name
        expected = measure_usage(hits).metrics
        assert all(
            found[name] == expected[name] for name in ("usage.n", "usage.utilization", "usage.perplexity", "usage.max_share")
        )
        np.testing.assert_array_equal(window.hits, hits)


def test_what_has_no_code_counts_nowhere() -> None:
    counts = Counts([4, 2], CPU)
    counts.add(torch.tensor([[0, -1, 3, 4], [1, 1, 2, 3]]))
    first, second = counts.take()
    assert first.hits.tolist() == [1, 0, 0, 1] and second.hits.tolist() == [0, 2]
    assert first.metrics()["usage.batch_entropy_bits"] == pytest.approx(1.0)


def test_levels_that_a_forward_left_out_have_no_batch() -> None:
    counts = Counts([4, 4], CPU)
    counts.add(torch.tensor([[0, 1]]))
    counts.add(torch.tensor([[2, 2], [-1, -1]]))
    first, second = counts.take()
    assert (first.batches, second.batches) == (2, 0)
    assert second.metrics()["usage.batch_utilization"] is None and second.metrics()["usage.n"] == 0
    assert first.metrics()["usage.batch_used"] == pytest.approx(1.5)


def test_a_window_starts_empty() -> None:
    counts = Counts([4], CPU)
    counts.add(torch.tensor([[1, 1]]))
    counts.take()
    assert counts.take()[0].hits.sum() == 0


def test_nothing_waits_for_the_device_between_reports() -> None:
    counts, reservoir = Counts([16, 8], CPU), DeviceReservoir(20, np.random.default_rng(0))
    with Operations() as asked:
        for _ in range(3):
            counts.add(torch.randint(0, 8, (2, 30)))
            reservoir.add(torch.randn(30, 4))
    assert not WAITING & set(asked.names)
    meta = Counts([16, 8], torch.device("meta"))  # holds no values: whatever reads one raises
    meta.add(torch.empty((2, 30), dtype=torch.int64, device="meta"))
    DeviceReservoir(20, np.random.default_rng(0)).add(torch.empty((30, 4), device="meta"))


def test_it_works_where_torch_must_be_deterministic() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        counts = Counts([4], CPU)
        counts.add(torch.tensor([[1, 1, 3]]))
        assert counts.take()[0].hits.tolist() == [0, 2, 0, 1]
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_reservoir_on_the_device_holds_a_uniform_sample() -> None:
    hits = np.zeros(60)
    for seed in range(600):
        reservoir = DeviceReservoir(12, np.random.default_rng(seed))
        for part in torch.arange(60.0)[:, None].split(25):
            reservoir.add(part)
        held = reservoir.rows()[:, 0].astype(int)
        assert len(set(held)) == 12
        hits[held] += 1
    expected = 600 * 12 / 60
    assert ((hits - expected) ** 2 / (expected * 0.8)).sum() < 100  # χ² with 59 degrees of freedom: p ≈ 0.0007


def test_the_reservoir_keeps_half_precision_rows_and_drops_no_gradient_graph() -> None:
    reservoir = DeviceReservoir(4, np.random.default_rng(0))
    rows = torch.randn(3, 2, dtype=torch.bfloat16, requires_grad=True)
    reservoir.add(rows)
    assert reservoir.rows().dtype == np.float32
    np.testing.assert_array_equal(reservoir.rows(), rows.detach().float().numpy())
    reservoir.add(torch.ones(2, 5))  # another width: what was kept is of another quantiser
    assert reservoir.rows().shape == (2, 5)

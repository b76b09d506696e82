"""Counting equal keys: the same as np.unique, however the work is cut and shared."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import runs

DTYPES = ("u2", "u4", "u8", "S3")


def keys_of(dtype: str, n: int, different: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(0, different, n)
    if dtype == "S3":
        return drawn.astype(">u4")[:, None].view(np.uint8)[:, 1:].copy().view("S3")[:, 0]
    return drawn.astype(dtype)


def same(found: runs.Counted, keys: np.ndarray) -> None:
    distinct, items = np.unique(keys, return_counts=True)
    assert np.array_equal(found[0], distinct) and found[0].dtype == keys.dtype
    assert np.array_equal(found[1], items) and found[1].dtype == np.int64


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(runs, "_PART", 7)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DTYPES), st.integers(0, 300), st.integers(1, 60), st.integers(0, 9), st.sampled_from([1, 2, 3]))
def test_counted_by_sorting(dtype, n, different, seed, threads):
    keys = keys_of(dtype, n, different, seed)
    same(runs.count_keys(keys.copy(), threads=threads), keys)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DTYPES), st.integers(0, 300), st.integers(0, 300), st.integers(1, 200), st.sampled_from([1, 2, 3]))
def test_two_tables_merged(dtype, n, m, different, threads):
    one, other = keys_of(dtype, n, different, 1), keys_of(dtype, m, different, 2)
    found = runs.merge(runs.count_keys(one.copy()), runs.count_keys(other.copy()), threads)
    same(found, np.concatenate([one, other]))


@given(st.integers(0, 100), st.integers(1, 60))
def test_few_different_keys_are_counted_without_sorting(n, different):
    keys = keys_of("u2", n, different, 0)
    same(runs.count_keys(given := keys.copy(), below=different), keys)
    assert (given == keys).all()


def test_shared_where_there_are_many(monkeypatch):
    monkeypatch.setattr(runs, "usable_threads", lambda: 64)
    assert runs.threads_for(runs.FEWEST_SHARED - 1) == 1
    assert 1 < runs.threads_for(runs.FEWEST_SHARED) <= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    def counted() -> list[int]:
        return runs.count_keys(np.arange(1000, dtype=np.uint32) % 7, threads=2)[1].tolist()

    expected = counted()
    child = os.fork()
    if not child:
        signal.alarm(20)  # else it would wait for ever for threads that it has not
        os._exit(counted() != expected)
    assert os.waitpid(child, 0)[1] == 0

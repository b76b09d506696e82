"""Counting on disk: the same numbers as in memory, whatever the budget, and again after an interruption."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import IdTable
from vqdoctor.engines import spill as spill_module
from vqdoctor.engines.spill import SpillingIds
from vqdoctor.errors import UsageError

SIZES = [(256, 256, 256, 256), (4, 5), (1 << 16,) * 4, (300,) * 9]


def codes_of(sizes, n, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, n) for size in sizes], axis=1).astype(np.int32)
    codes[n // 2 :] = codes[rng.integers(0, max(1, n // 2), n - n // 2)]
    return codes


def fed(table, codes, step):
    for start in range(0, len(codes), step):
        table.add(codes[start : start + step])
    return table


@pytest.mark.parametrize("sizes", SIZES)
@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 9000), step=st.integers(1, 4000), budget=st.sampled_from([1, 20_000, 100_000, 1 << 30]))
def test_the_same_numbers_as_in_memory(sizes, n, step, budget):
    codes = codes_of(sizes, n)
    expected = fed(IdTable(sizes), codes, step).finish()
    found = fed(SpillingIds(sizes, budget_bytes=budget), codes, step).finish()
    assert np.array_equal(found.keys, expected.keys)
    assert np.array_equal(found.items, expected.items) and found.items.dtype == np.int64
    assert [(group.id, group.items) for group in found.largest()] == [(group.id, group.items) for group in expected.largest()]
    assert found.n == n


def test_goes_on_where_it_was_interrupted(tmp_path):
    codes, sizes = codes_of((1000, 1000), 20_000), (1000, 1000)
    folder = str(tmp_path / "spill")
    first = fed(SpillingIds(sizes, folder=folder, budget_bytes=1, source="a"), codes[:11_111], 700)
    del first
    with open(tmp_path / "spill" / "000.keys", "ab") as file:
        file.write(b"what was being written when the power went")
    again = SpillingIds(sizes, folder=folder, budget_bytes=1, source="a")
    assert 0 < again.resumed <= 11_111
    found, expected = fed(again, codes, 900).finish(), fed(IdTable(sizes), codes, 900).finish()
    assert np.array_equal(found.keys, expected.keys) and np.array_equal(found.items, expected.items)
    assert not (tmp_path / "spill").exists()


def test_a_folder_of_something_else_is_refused(tmp_path):
    fed(SpillingIds((100, 100), folder=str(tmp_path / "spill"), budget_bytes=1, source="a"), codes_of((100, 100), 5000), 500)
    with pytest.raises(UsageError, match="another file"):
        SpillingIds((100, 100), folder=str(tmp_path / "spill"), source="b")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        SpillingIds((100, 100), folder=str(tmp_path / "notes"))
    (tmp_path / "spill" / spill_module.MANIFEST).write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        SpillingIds((100, 100), folder=str(tmp_path / "spill"), source="a")


def test_nothing_is_written_within_the_budget(monkeypatch):
    monkeypatch.setattr(spill_module.tempfile, "mkdtemp", lambda **_: pytest.fail("spilled"))
    fed(SpillingIds((100, 100)), codes_of((100, 100), 5000), 500).finish()


def test_a_full_disk_is_told(monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spill_module.np, "save", full)
    with pytest.raises(UsageError, match="No space left on device"):
        fed(SpillingIds((100, 100), folder=str(tmp_path / "spill"), budget_bytes=1), codes_of((100, 100), 5000), 500).finish()

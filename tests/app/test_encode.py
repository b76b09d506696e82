"""Codes of all rows, set aside: those of an encoding in memory, in blocks of any size, and how bad rows are told of."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app import encode as encoding
from vqdoctor.app.encode import encode, encode_rows
from vqdoctor.errors import SampleError
from vqdoctor.samples import parts
from vqdoctor.samples.id_writing import slices_of, write_ids


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Rows of which many share a code."""
    np.save(tmp_path / "f.npy", np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32).repeat(2, axis=0).round(0))
    return tmp_path / "f.npy"


@pytest.mark.parametrize("dedup", [False, True])
def test_blocks_of_any_size_hold_the_table(rq_checkpoint: Path, features: Path, dedup: bool, monkeypatch) -> None:
    whole = encode(str(rq_checkpoint), features=str(features), dedup=dedup)
    monkeypatch.setattr(parts, "PART_ROWS", 70)
    monkeypatch.setattr(encoding, "BLOCK", 64)
    rows = encode_rows(str(rq_checkpoint), features=str(features), dedup=dedup)
    assert (rows.n, rows.levels, rows.unique, rows.marks) == (1000, 3, whole.unique, whole.marks)
    for size in (1, 99, 1000, 5000):
        assert np.array_equal(np.concatenate(list(rows.blocks(size))), whole.table)
    again = encode(str(rq_checkpoint), features=str(features), dedup=dedup)
    assert again.codes.dtype == np.int32 and np.array_equal(again.table, whole.table)


def test_ranks_number_the_rows_of_equal_id(rq_checkpoint: Path, features: Path) -> None:
    found = encode(str(rq_checkpoint), features=str(features), dedup=True)
    seen: Counter[tuple[int, ...]] = Counter()
    for codes, rank in zip(map(tuple, found.codes.tolist()), found.ranks.tolist(), strict=True):
        assert rank == seen[codes]
        seen[codes] += 1
    assert len(seen) == found.unique < 600


@pytest.mark.parametrize("dedup", [False, True])
def test_tokens_are_those_that_are_written(rq_checkpoint: Path, features: Path, tmp_path: Path, dedup: bool) -> None:
    found = encode(str(rq_checkpoint), features=str(features), dedup=dedup)
    path = tmp_path / "items.index.json"
    write_ids(str(path), len(found.table), slices_of(found.table), found.marks)
    assert list(found.tokens()) == list(json.loads(path.read_text(encoding="utf-8")).values())


@pytest.mark.parametrize(("bad", "words"), [(5, "5 rows .*rows 3, 23, 43, 63, 83"), (7, "7 rows .*rows 3, 23, 43, 63, 83, …")])
def test_all_rows_without_a_code_are_counted_and_the_first_named(
    rq_checkpoint: Path, tmp_path: Path, bad: int, words: str, monkeypatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 10)
    rows = np.ones((200, 8), np.float32)
    rows[3 : 3 + 20 * bad : 20] = np.nan
    np.save(tmp_path / "f.npy", rows)
    with pytest.raises(SampleError, match=words + r"\)"):
        encode_rows(str(rq_checkpoint), features=str(tmp_path / "f.npy"))

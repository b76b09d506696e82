"""Codes of all rows: those that a search of all at once finds, however the rows are cut; rows without one are named."""

from __future__ import annotations

import numpy as np
import pytest

from vqdoctor.engines import encode_rows
from vqdoctor.errors import SampleError
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher
from vqdoctor.samples import ArrayRows, StoredArray, parts

RNG = np.random.default_rng(0)
BOOKS = tuple(Stage(RNG.normal(size=(300, 8)).astype(np.float32)) for _ in range(2))
LOOKUP = Lookup(BOOKS, "residual", "l2", 8)


def held(rows):
    return ArrayRows(StoredArray("held", "", rows.shape, "float32", lambda start, stop: rows[start:stop]))


@pytest.mark.parametrize("size", [1, 77, 4000])
def test_the_codes_of_a_search_of_all_rows(size, monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", size)
    rows, seen = RNG.normal(size=(300, 8)).astype(np.float32), []
    found = list(encode_rows(held(rows), LOOKUP, progress=seen.append))
    codes = np.concatenate([part.codes for part in found])
    assert np.array_equal(codes, Searcher(LOOKUP).encode(rows).codes) and codes.dtype == np.uint16
    assert sum(seen) == 300 and not any(len(part.unusable) or len(part.lost) for part in found)


def test_rows_without_a_code_are_named_by_their_number(monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 10)
    rows = RNG.normal(size=(40, 8)).astype(np.float32)
    rows[[3, 25]], rows[[13, 39]] = np.nan, 1e25
    found = list(encode_rows(held(rows), LOOKUP))
    assert np.concatenate([part.unusable for part in found]).tolist() == [3, 25]
    assert np.concatenate([part.lost for part in found]).tolist() == [13, 39]
    assert [len(part.codes) for part in found] == [9, 9, 9, 9]


def test_rows_of_another_width_are_refused():
    with pytest.raises(SampleError, match="has rows of 7 columns, the quantiser takes 8"):
        list(encode_rows(held(np.zeros((5, 7), np.float32)), LOOKUP))

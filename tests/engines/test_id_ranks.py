"""Ranks of rows of equal ID: those that one look at all rows gives, in however many passes and blocks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.engines.ranks import rank_rows
from vqdoctor.engines.spill import SpillingIds


def plain(rows: list[list[int]]) -> list[int]:
    """One row after the other."""
    seen: Counter[tuple[int, ...]] = Counter()
    ranks = []
    for row in map(tuple, rows):
        ranks.append(seen[row])
        seen[row] += 1
    return ranks


def ranked(rows: np.ndarray, sizes: list[int], block: int, most: int, budget: int = 1 << 20) -> list[int]:
    def blocks():
        return (rows[at : at + block] for at in range(0, len(rows), block))

    table = SpillingIds(sizes, budget_bytes=budget)
    for part in blocks():
        table.add(part)
    ranks = rank_rows(blocks, table.finish(), most)
    assert len(ranks) == len(rows)
    return ranks.read(0, len(rows)).tolist()


@given(
    st.integers(1, 3).flatmap(lambda levels: st.lists(st.lists(st.integers(0, 3), min_size=levels, max_size=levels), max_size=60)),
    st.sampled_from([[4] * 3, [1 << 40, 4, 1 << 30]]),  # the second: keys are no integers
    st.integers(1, 70),
    st.integers(1, 9),
)
def test_they_are_those_of_one_row_after_the_other(rows, sizes, block, most) -> None:
    levels = len(rows[0]) if rows else 2
    assert ranked(np.array(rows, np.int64).reshape(-1, levels), sizes[:levels], block, most) == plain(rows)


@pytest.mark.parametrize("most", [700, 1 << 21])
def test_also_of_ids_that_were_spilled(most: int) -> None:
    rows = np.random.default_rng(0).integers(0, 90, (30_000, 2))
    assert ranked(rows, [90, 90], 4096, most, budget=1) == plain(rows.tolist())

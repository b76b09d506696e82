"""Counting IDs: the same as tuples in a dictionary, at any size, width and split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.engines import IdTable
from vqdoctor.engines import ids as ids_module

SIZES = [
    (256, 256, 256, 256),
    (256, 256, 256),
    (4, 5),
    (1024,) * 3,
    (1 << 16, 1 << 16, 1 << 16, 1 << 16),
    (1024,) * 9,
    (3,) * 12,
    (16, 9, 16, 5),
    (200, 3, 200, 200),
    (256,) * 8,
    (1, 1),
    (300,) * 33,
]


def draw(sizes: tuple[int, ...], n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.stack(
        [np.minimum(rng.geometric(0.3, n) - 1, size - 1) if size < 10 else rng.integers(0, size, n) for size in sizes], axis=1
    )
    codes[n // 2 :] = codes[rng.integers(0, max(1, n // 2), n - n // 2)]  # half the items repeat an earlier one
    return codes.astype(np.int32)


@pytest.mark.parametrize("sizes", SIZES)
def test_counts_are_those_of_a_dictionary(sizes: tuple[int, ...]) -> None:
    codes = draw(sizes, 2000)
    table = IdTable(sizes)
    table.add(codes)
    found = table.finish()
    plain = Counter(map(tuple, codes.tolist()))
    assert Counter(dict(zip(map(tuple, found.codes.tolist()), found.items.tolist(), strict=True))) == plain
    assert found.codes.tolist() == sorted(map(list, plain))
    assert found.n == 2000


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SIZES), st.lists(st.integers(0, 300), max_size=4), st.integers(0, 50))
def test_blocks_do_not_matter(sizes: tuple[int, ...], cuts: list[int], seed: int) -> None:
    codes = draw(sizes, 300, seed)
    whole = IdTable(sizes)
    whole.add(codes)
    parts = IdTable(sizes)
    for part in np.split(codes, sorted(cuts)):
        parts.add(part)
        if seed % 2:
            parts.finish()  # merges what waits, as a full buffer would
    one, other = whole.finish(), parts.finish()
    assert (one.codes == other.codes).all()
    assert (one.items == other.items).all()
    assert one.largest() == other.largest()


def test_ids_that_read_alike_when_joined_stay_apart() -> None:
    table = IdTable((256, 256))
    table.add(np.array([[1, 12], [11, 2]]))
    assert table.finish().items.tolist() == [1, 1]


def test_largest_groups_and_their_members() -> None:
    codes = np.array([[5, 1], [2, 2], [5, 1], [0, 0], [2, 2], [5, 1]])
    table = IdTable((8, 8))
    table.add(codes)
    first, second = table.finish().largest()
    assert (first.id, first.items, first.rows) == ((5, 1), 3, (0, 2, 5))
    assert (second.id, second.items, second.rows) == ((2, 2), 2, (1, 4))
    assert table.finish().largest(groups=1, members=2)[0].rows == (0, 2)


def test_members_are_forgotten_beyond_the_limit() -> None:
    table = IdTable((8, 8), member_bytes=4)
    for _ in range(3):
        table.add(np.array([[1, 1], [2, 2]]))
    found = table.finish()
    assert found.rows is None
    assert [group.rows for group in found.largest()] == [(), ()]
    assert found.items.tolist() == [3, 3]


def test_memory_follows_distinct_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids_module, "_WAITING_BYTES", 1000)
    table = IdTable((256, 256), member_bytes=0)
    for _ in range(50):
        table.add(np.tile(draw((4, 4), 100), (3, 1)))
        assert sum(map(len, table._waiting)) < 2000
    assert table.finish().n == 15_000


def test_nothing_counted() -> None:
    found = IdTable((4, 4)).finish()
    assert (found.n, found.codes.shape, found.largest()) == (0, (0, 2), ())

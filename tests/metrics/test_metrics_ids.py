"""Semantic IDs: collisions and levels, against counting by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.metrics import expected_excess, measure_collisions, measure_levels, sizes
from vqdoctor.metrics.entropy import entropy_bits
from vqdoctor.metrics.levels import gains_db, hourglass

GROUPS = st.lists(st.integers(1, 50), max_size=40).map(lambda groups: np.array(groups, dtype=np.int64))
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[st.integers(0, 3)] * width), min_size=1, max_size=60))


@given(GROUPS)
def test_collision_identities(groups):
    metrics = measure_collisions(groups).metrics
    excess, conflict = metrics["collision.excess"], metrics["collision.conflict_items"]
    if not groups.size:
        assert metrics["collision.items"] == metrics["collision.unique"] == 0
        assert {value for name, value in metrics.items() if name not in ("collision.items", "collision.unique")} == {None}
        return
    assert metrics["collision.items"] == metrics["collision.unique"] + excess
    assert conflict == 0 if excess == 0 else excess + 1 <= conflict <= 2 * excess
    assert 0 <= metrics["collision.rate"] <= metrics["collision.conflict_rate"] <= 1
    assert metrics["collision.max_group"] == groups.max()
    assert metrics["collision.after_suffix"] is metrics["collision.floor_excess"] is metrics["collision.capacity"] is None


@given(st.integers(0, 10**7), st.integers(1, 2**80))
def test_chance_is_between_what_is_forced_and_one_id(items, capacity):
    chance = expected_excess(items, capacity)
    assert max(0, items - capacity) * (1 - 1e-9) <= chance <= max(0, items - 1)


def test_capacity_fits_json():
    assert measure_collisions(np.ones(3, dtype=int), sizes=[256] * 4).metrics["collision.capacity"] == 2**32
    huge = measure_collisions(np.ones(3, dtype=int), sizes=[2048] * 32).metrics["collision.capacity"]
    assert isinstance(huge, float) and huge == 2.0**352
    beyond = measure_collisions(np.ones(3, dtype=int), sizes=[2**20] * 60)
    assert beyond.metrics["collision.capacity"] is None and beyond.metrics["collision.expected_excess"] == 0


def test_the_toy_of_four_definitions():
    metrics = measure_collisions(np.array([6, 2, 1, 1])).metrics
    assert metrics["collision.rate"] == 0.6 and metrics["collision.conflict_rate"] == 0.8
    assert metrics["collision.pair_probability"] == pytest.approx(16 / 45)


@given(TABLES, st.randoms())
def test_levels_by_counting_prefixes(rows, random):
    table = Counter(rows)
    distinct = list(table)
    random.shuffle(distinct)
    width = len(rows[0])
    measured = measure_levels(np.array(distinct), np.array([table[row] for row in distinct]), sizes=[4] * width)
    prefixes = [Counter(row[:depth] for row in rows) for depth in range(1, width + 1)]
    joint = [entropy_bits(np.array(list(prefix.values()))) for prefix in prefixes]
    assert measured.metrics["levels.joint_entropy_bits"] == pytest.approx(joint[-1])
    steps = np.diff([0, *joint])
    assert measured.metrics["levels.conditional_entropy_bits"] == pytest.approx(steps.tolist(), abs=1e-9)
    tree = measured.facts["prefixes"]
    assert tree["nodes"] == [len(prefix) for prefix in prefixes]
    assert tree["dominant_share"] == pytest.approx([max(prefix.values()) / len(rows) for prefix in prefixes])
    shared = [sum(number for number in prefix.values() if number > 1) / len(rows) for prefix in prefixes]
    assert tree["shared"] == pytest.approx(shared)
    children = [Counter(prefix[:-1] for prefix in level) for level in prefixes]
    assert tree["max_branching"] == [max(level.values()) for level in children]
    assert tree["single_child"] == pytest.approx([np.mean([number == 1 for number in level.values()]) for level in children])
    path = tuple(tree["path"])
    for depth, level in enumerate(prefixes):
        siblings = [number for prefix, number in level.items() if prefix[:-1] == path[:depth]]
        assert level[path[: depth + 1]] == max(siblings)
        assert tree["path_share"][depth] == pytest.approx(max(siblings) / len(rows))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 9))
def test_where_a_block_ends_does_not_matter(rows, block, small):
    """Neither does it matter which sizes are common enough for the vector."""
    ids, items = np.unique(np.array(rows), axis=0, return_counts=True)

    def measured():
        return measure_levels(ids, items, sizes=[4] * 3), measure_collisions(items, sizes=[4] * 3, unique_with_suffix=len(rows))

    whole = measured()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "BLOCK", block)
        patch.setattr(sizes, "_SMALL", small)
        assert measured() == whole


def test_levels_without_items_sizes_or_energies():
    empty = measure_levels(np.zeros((0, 3), dtype=int), np.zeros(0, dtype=int), residual_energy=[4.0, 1.0])
    assert empty.metrics["levels.joint_entropy_bits"] is None and empty.metrics["levels.gain_db"] == [
        pytest.approx(6.0206, abs=1e-4)
    ]
    unsized = measure_levels(np.array([[0, 0, 0]]), np.array([2]))
    assert unsized.metrics["levels.hourglass"] is None and unsized.metrics["levels.gain_db"] is None
    assert unsized.metrics["levels.joint_entropy_bits"] == 0


def test_an_hourglass():
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, 16, 4000), rng.geometric(0.7, 4000).clip(max=16) - 1, rng.integers(0, 16, 4000)])
    ids, items = np.unique(codes, axis=0, return_counts=True)
    measured = measure_levels(ids, items, sizes=[16, 16, 16])
    assert measured.metrics["levels.hourglass"] > 0.5
    assert measured.facts["gini"][1] > measured.facts["gini"][0] + 0.4
    assert hourglass([0.5, None, 0.5]) is None


def test_gains_without_energy_are_undefined():
    assert gains_db([0.0, 0.0]) == [None] and gains_db([1.0, 0.0]) == [None] and gains_db([1.0]) == []

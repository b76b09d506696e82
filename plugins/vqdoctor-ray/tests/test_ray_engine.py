"""On a cluster of several nodes, one of which is lost on the way, the report is that of one process."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402
from vqdoctor_ray import encode_there, measure_rows  # noqa: E402

from vqdoctor.engines import measure_rows as measure_here  # noqa: E402
from vqdoctor.model import Lookup, Stage  # noqa: E402
from vqdoctor.nearest import Searcher  # noqa: E402
from vqdoctor.samples.features import FiniteRows  # noqa: E402


class Held(FiniteRows):
    """Rows in memory, in small blocks."""

    def __init__(self, rows, step):
        super().__init__("held", len(rows), rows.shape[1], "float32")
        self._rows, self._step = rows, step

    def raw(self, size):
        for start in range(0, len(self._rows), self._step):
            yield self._rows[start : start + self._step]


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    nodes = [made.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def residual(seed=0, levels=3, codes=64, width=8):
    rng = np.random.default_rng(seed)
    stages = tuple(Stage(rng.normal(size=(codes, width)).astype(np.float32) / (1 + level)) for level in range(levels))
    return Lookup(stages, "residual", "l2", width)


def rows_of(n=6000, width=8):
    rows = np.random.default_rng(1).normal(size=(n, width)).astype(np.float32)
    rows[::997] = np.nan
    return rows


def same(one, other):
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
        )
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return vars(one).keys() == vars(other).keys() if hasattr(one, "__dict__") and not isinstance(one, int | float) else one == other


def wait_until(holds, seconds=60):
    """The cluster hears of a lost node by its own health checks: sooner or later, not at once."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the cluster never noticed that a node was gone"
        time.sleep(0.1)


def test_the_tally_is_that_of_one_process_bit_for_bit(cluster):
    lookup, rows = residual(), rows_of()
    for temperature in (None, 0.5):
        here = measure_here(Held(rows, 500), lookup, rng=np.random.default_rng(0), temperature=temperature)
        there = measure_rows(Held(rows, 500), lookup, rng=np.random.default_rng(0), temperature=temperature)
        assert here.n == there.n == 6000 - len(range(0, 6000, 997))
        for one, other in zip(here.levels, there.levels, strict=True):
            assert np.array_equal(one.counts, other.counts) and one.residual == other.residual
            assert one.soft is None or np.array_equal(one.soft, other.soft)
        assert same(here.ids.keys, there.ids.keys) and same(here.ids.items, there.ids.items)
        assert same(here.kept, there.kept) and same(here.groups, there.groups)
        assert (here.dropped_rows, here.distinct_rows, here.squared_error) == (
            there.dropped_rows, there.distinct_rows, there.squared_error,
        )  # fmt: skip


def test_a_lost_node_is_made_up_for_and_counted_once(cluster):
    made, nodes = cluster
    lookup, rows = residual(codes=256), rows_of(40_000)
    blocks = [rows[start : start + 1000] for start in range(1, 40_000, 1000)]
    blocks = [block[np.isfinite(block).all(axis=1)] for block in blocks]
    given = 0

    def slowly():
        for at, block in enumerate(blocks):
            if at == 10:  # its work is under way: what was handed out before is lost with the node
                made.remove_node(nodes[0], allow_graceful=False)
            time.sleep(0.02)
            yield block

    here = Searcher(lookup)
    for block, found in encode_there(lookup, slowly(), None):
        assert block is blocks[given]
        assert np.array_equal(found.codes, here.encode(block).codes)
        given += 1
    assert given == len(blocks)
    wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)

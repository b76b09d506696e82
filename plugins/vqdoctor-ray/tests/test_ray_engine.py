"""On a cluster of several nodes, one of which is lost on the way, the report is that of one process."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402
from vqdoctor_ray import ClusterError, counting, encode_rows, kmeans, measure_rows  # noqa: E402
from vqdoctor_ray.cluster import explained, join_cluster  # noqa: E402

from vqdoctor.cli.entry import run  # noqa: E402
from vqdoctor.engines import encode_rows as encode_here  # noqa: E402
from vqdoctor.engines import measure_rows as measure_here  # noqa: E402
from vqdoctor.errors import CorruptInput, MissingInput, SampleError  # noqa: E402
from vqdoctor.kmeans import fit  # noqa: E402
from vqdoctor.model import Lookup, Stage  # noqa: E402
from vqdoctor.nearest import assign  # noqa: E402
from vqdoctor.samples import ArrayRows, StoredArray, open_rows, parts  # noqa: E402

WIDTH = 8
SAMPLES = Path(__file__).parents[3] / "sample_checkpoints"


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    nodes = [made.add_node(wait=False, num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    made.wait_for_nodes(timeout=300)  # a loaded machine takes long to start three of them
    ray.init(address=made.address, log_to_driver=False)
    yield made, nodes
    ray.shutdown()
    made.shutdown()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 1000)


def residual(levels=3, codes=64):
    rng = np.random.default_rng(0)
    stages = tuple(Stage(rng.normal(size=(codes, WIDTH)).astype(np.float32) / (1 + level)) for level in range(levels))
    return Lookup(stages, "residual" if levels > 1 else "single", "l2", WIDTH)


def rows_of(n=6000):
    rows = np.random.default_rng(1).normal(size=(n, WIDTH)).astype(np.float32)
    rows[::97] = np.nan  # so that batches go over the ends of parts
    rows[::1013] = 1e25
    rows[n // 2 : n // 2 + 500] = rows[:500]
    return rows


def held(rows):
    return ArrayRows(StoredArray("held", "", rows.shape, "float32", lambda start, stop: rows[start:stop]))


def shards(folder, rows, steps=9):
    folder.mkdir()
    for i, shard in enumerate(np.array_split(rows, steps)):
        np.save(folder / f"{i}.npy", shard)
    return open_rows(folder)


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


def wait_until(holds, seconds=300):
    """The cluster hears of a lost node by its own health checks: sooner or later, not at once."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the cluster never noticed that a node was gone"
        time.sleep(0.1)


def assert_same_tally(here, there):
    assert (here.n, here.dropped, here.dropped_rows) == (there.n, there.dropped, there.dropped_rows)
    for one, other in zip(here.levels, there.levels, strict=True):
        assert np.array_equal(one.counts, other.counts) and one.residual == other.residual
        assert one.batches.metrics() == other.batches.metrics()
    assert (here.ids is None) == (there.ids is None)
    if here.ids is not None:
        assert same(here.ids.sizes, there.ids.sizes) and same(here.ids.tree, there.ids.tree)
        assert all(np.array_equal(here.ids.branch(prefix), there.ids.branch(prefix)) for prefix in ((), (3,), (3, 1)))
        assert np.array_equal(here.ids.keys, there.ids.keys) and np.array_equal(here.ids.items, there.ids.items)
    assert same(here.kept, there.kept) and same(here.groups, there.groups)
    assert (here.distinct_rows, here.squared_error, here.energy) == (there.distinct_rows, there.squared_error, there.energy)


@pytest.mark.parametrize("levels", [1, 3])
def test_the_tally_is_that_of_one_process_bit_for_bit(cluster, tmp_path, levels):
    lookup, rows, done = residual(levels), rows_of(), []
    options = {"batch": 64, "keep": 700}
    here = measure_here(held(rows), lookup, rng=np.random.default_rng(0), **options)
    assert here.dropped and (levels == 1 or (here.groups[0].rows and here.distinct_rows < here.n))
    there = measure_rows(held(rows), lookup, rng=np.random.default_rng(0), progress=done.append, **options)
    assert_same_tally(here, there)
    assert done == [1000] * 6
    one, other = (
        engine(shards(tmp_path / name, rows), lookup, rng=np.random.default_rng(0), temperature=0.5, **options)
        for name, engine in (("here", measure_here), ("there", measure_rows))
    )
    assert_same_tally(one, other)
    for a, b in zip(one.levels, other.levels, strict=True):
        np.testing.assert_allclose(a.soft, b.soft, rtol=1e-6)


def test_a_sample_without_a_good_row_is_empty_on_a_cluster_too(cluster):
    there = measure_rows(held(np.full((2500, WIDTH), np.nan, np.float32)), residual(), rng=np.random.default_rng(0))
    assert (there.n, there.dropped, len(there.ids.keys)) == (0, 2500, 0)


def test_a_worker_that_cannot_read_its_shard_says_which_and_why(cluster, tmp_path, capfd):
    rows = shards(tmp_path / "gone", rows_of())
    (tmp_path / "gone" / "7.npy").unlink()
    with pytest.raises(MissingInput, match=r"gone/7\.npy: no such file\. Workers read the features themselves"):
        measure_rows(rows, residual(), rng=np.random.default_rng(0))
    rows = shards(tmp_path / "cut", rows_of())
    np.save(tmp_path / "cut" / "7.npy", np.zeros((10, WIDTH), np.float32))
    for count in (lambda: measure_rows(rows, residual(), rng=np.random.default_rng(0)), lambda: kmeans(rows, 8)):
        with pytest.raises(CorruptInput, match=r"cut/7\.npy: holds other rows than when it was first opened"):
            count()
    with pytest.raises(ClusterError, match=r"a worker failed: ValueError: no such lookup metric: 'odd'\. Is the same"):
        measure_rows(held(rows_of()), dataclasses.replace(residual(), metric="odd"), rng=np.random.default_rng(0))
    assert "Error" not in capfd.readouterr().err  # of the tasks that nobody asks any more


@pytest.mark.parametrize("command", ["inspect", "gate"])
def test_the_report_and_the_gate_are_those_of_the_local_engine(cluster, tmp_path, monkeypatch, capfd, command):
    """As typed, on files: every number, bit for bit."""
    shards(tmp_path / "shards", np.load(SAMPLES / "collapsed-rq.features.npy"), 3)
    monkeypatch.chdir(tmp_path)  # the workers stand elsewhere
    given = [command, str(SAMPLES / "collapsed-rq.pt"), "--features", "shards", "--batch", "50", "--quiet", "--format", "json"]
    said = {}
    for engine in ("local", "ray"):
        status = run([*given, "--engine", engine])
        said[engine] = (status, json.loads(capfd.readouterr().out))
    assert said["ray"] == said["local"]
    assert "collision.excess" in json.dumps(said["ray"]) or command == "gate"


@pytest.mark.parametrize("name", ["x.npy", "x.index.json"])
def test_what_is_encoded_is_the_file_of_the_local_engine(cluster, tmp_path, capfd, name):
    shards(tmp_path / "shards", np.load(SAMPLES / "collapsed-rq.features.npy"), 7)
    written = []
    for chosen in ("local", "ray"):
        out = tmp_path / chosen / name
        out.parent.mkdir()
        given = [str(SAMPLES / "collapsed-rq.pt"), "--features", str(tmp_path / "shards"), "--dedup", "--quiet"]
        assert run(["encode", *given, "--engine", chosen, "-o", str(out)]) == 0, capfd.readouterr().err
        written.append(out.read_bytes())
    assert written[0] == written[1] and len(written[0]) > 10_000


def test_rows_without_a_code_are_those_of_the_local_engine(cluster, tmp_path):
    rows, done = rows_of(), []
    for given in (held(rows), shards(tmp_path / "shards", rows)):
        here = list(encode_here(given, residual()))
        there = list(encode_rows(given, residual(), progress=done.append))
        assert len(here) == len(there) > 3 and sum(done) % 6000 == 0
        for one, other in zip(here, there, strict=True):
            assert same(one, other) and one.codes.dtype == other.codes.dtype
    missing = np.sort(np.concatenate([part for each in there for part in (each.unusable, each.lost)]))
    assert len(np.setdiff1d(np.flatnonzero(np.isnan(rows[:, 0])), missing)) == 0 and sum(
        len(part.codes) for part in there
    ) == 6000 - len(missing)
    (tmp_path / "shards" / "7.npy").unlink()
    with pytest.raises(MissingInput, match=r"7\.npy: no such file"):
        list(encode_rows(given, residual()))


def test_nobody_at_the_address_of_the_cluster_is_said_at_once(tmp_path):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "vqdoctor", "inspect", SAMPLES / "healthy-vq.pt", "--engine", "ray"],
            env=os.environ | {"RAY_ADDRESS": address}, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"vqdoctor: error: no Ray cluster answers at {address}: ") and done.stderr.count("\n") == 1


class Terminated(BaseException):
    """What the host program makes of SIGTERM."""


@pytest.fixture
def ended():
    """The handler of a host program, in place for the test."""

    def end(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def test_whoever_is_terminated_leaves_the_cluster_and_ends_as_without_one(monkeypatch, ended):
    left = []
    monkeypatch.setattr(ray, "shutdown", lambda: left.append(True))
    with pytest.raises(Terminated), explained():
        signal.raise_signal(signal.SIGTERM)
    assert left and signal.getsignal(signal.SIGTERM) is ended


def test_whoever_is_terminated_while_ray_starts_ends_once_it_has_started(monkeypatch, ended):
    seen = []

    def start(**_):
        seen.append("starting")
        ray._private.utils.set_sigterm_handler(lambda number, frame: seen.append("Ray's own"))
        signal.raise_signal(signal.SIGTERM)
        seen.append("started")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append("shut down"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(Terminated):
        join_cluster()
    assert seen == ["starting", "started", "shut down"] and signal.getsignal(signal.SIGTERM) is ended


def test_centres_of_all_rows_are_those_of_one_process(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 4000)
    rng = np.random.default_rng(0)
    rows = (4 * rng.normal(size=(12, WIDTH))[rng.integers(0, 12, 20_000)] + rng.normal(size=(20_000, WIDTH))).astype(np.float32)
    rows[5], rows[7000] = np.nan, 1e25
    good = np.delete(rows, [5, 7000], axis=0)
    found = kmeans(shards(tmp_path / "shards", rows, 20), 30, seed=3)
    assert found.n == 19_998 and found.centres.shape == (30, WIDTH)
    assert found.inertia == pytest.approx(float(assign(good, found.centres)[1].sum(dtype=np.float64)), rel=1e-5)
    alone = fit(good, 30, rng=np.random.default_rng(3), assign=assign)
    assert found.inertia <= 1.02 * alone.inertia
    again = kmeans(str(tmp_path / "shards"), 30, seed=3)
    assert np.array_equal(found.centres, again.centres) and found.inertia == again.inertia
    round_ones = kmeans(held(rows), 30, seed=3, metric="cosine").centres
    np.testing.assert_allclose(np.linalg.norm(round_ones, axis=1), 1, rtol=1e-5)
    with pytest.raises(SampleError, match="199 of its rows can be used, 200 centres are wanted"):
        kmeans(held(rows[:200]), 200)


def test_a_lost_node_is_made_up_for_and_counted_once(cluster, tmp_path, monkeypatch):
    """One goes with what it was working on, codes that nobody had placed yet, and runs of IDs that are merged at the end."""
    made, nodes = cluster
    monkeypatch.setattr(parts, "PART_ROWS", 40_000)
    monkeypatch.setattr(counting, "PIECES", 2)  # results of over 100 kB: smaller ones do not stay where they were made
    lookup, rows = residual(), rows_of(240_000)
    here = measure_here(shards(tmp_path / "here", rows, 6), lookup, rng=np.random.default_rng(0))
    centres = kmeans(tmp_path / "here", 20, iterations=2).centres
    done = []

    def lose(n):
        done.append(n)
        if len(done) == 3:
            made.remove_node(nodes[0], allow_graceful=False)

    there = measure_rows(shards(tmp_path / "there", rows, 6), lookup, rng=np.random.default_rng(0), progress=lose)
    assert done == [40_000] * 6
    assert_same_tally(here, there)
    wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)
    assert np.array_equal(centres, kmeans(tmp_path / "here", 20, iterations=2).centres)  # by two workers as by three


def test_codes_that_went_with_a_node_are_found_again(cluster, tmp_path, monkeypatch):
    made, nodes = cluster
    monkeypatch.setattr(parts, "PART_ROWS", 40_000)  # results of over 100 kB: smaller ones do not stay where they were made
    rows = shards(tmp_path / "shards", rows_of(240_000), 6)
    here, there = list(encode_here(rows, residual())), []
    for found in encode_rows(rows, residual()):
        there.append(found)
        if len(there) == 1:
            made.remove_node(nodes[1], allow_graceful=False)
    assert len(there) == 6 and all(same(one, other) for one, other in zip(here, there, strict=True))

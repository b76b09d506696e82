"""Checkpoints as they appear: opened once each, never while they are written, in the run that they are of."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from watch_logs import Clock, event, own_log

from vqdoctor.app.watching.arrivals import MOST, Arrivals
from vqdoctor.app.watching.checkpoints import FROZEN, Looked, look_at
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.watcher import Watcher

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"


@pytest.fixture
def clock():
    return Clock()


def checkpoint(path, rows, step=None):
    """A lone EMA book of taming's shape, with its counters."""
    from safetensors.numpy import save_file

    tensors = {"quantize.embedding.weight": rows, "quantize.embedding.cluster_size": np.ones(len(rows), np.float32),
               "quantize.embedding.embed_avg": rows.copy()}  # fmt: skip
    save_file(tensors, path, metadata=None if step is None else {"step": str(step)})


def of(run, name):
    """The series of a checkpoint's metric."""
    return next((one for one in run.series if one.key.name == name and one.key.scope == "checkpoint"), None)


def test_a_checkpoint_is_a_point_of_its_run_with_real_use_where_features_lie_beside(tmp_path, clock):
    for name in ("ema-illusion.pt", "ema-illusion.features.npy", "ema-illusion.features.json", "ema-illusion.log.jsonl"):
        shutil.copy(SAMPLES / name, tmp_path)
    [run] = Watcher([tmp_path], clock=clock).finish().runs
    assert of(run, "ema.utilization").last == 1.0
    assert of(run, "usage.used").last == 1 and of(run, "usage.used").last_step == 952
    [found] = [each for each in run.events if each.kind == "checkpoint" and each.detail.get("measured")]
    assert found.step == 952 and found.detail["verdict"] == "sick" and "VQ103" in found.detail["rules"]


def test_no_checkpoints_leaves_them_unopened(tmp_path, clock):
    (tmp_path / "log.jsonl").write_text(own_log(3))
    checkpoint(tmp_path / "last.safetensors", np.eye(8, 4, dtype=np.float32))
    [run] = Watcher([tmp_path], WatchRequest(checkpoints=False), clock=clock).finish().runs
    assert of(run, "ema.active") is None


def test_rows_that_do_not_move_are_counted_also_where_the_file_is_overwritten(tmp_path, clock):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 4)).astype(np.float32)
    log, path = tmp_path / "log.jsonl", tmp_path / "last.safetensors"
    log.write_text(own_log(10) + event("checkpoint", 10, file=path.name))
    checkpoint(path, rows)
    watcher = Watcher([tmp_path], clock=clock)
    watcher.finish()
    rows[:3] += 1
    with log.open("a") as file:
        file.write(own_log(10, start=11) + event("checkpoint", 20, file=path.name))
    checkpoint(path, rows)
    clock.now += 5
    [run] = watcher.finish().runs
    frozen = of(run, FROZEN)
    assert (frozen.n, frozen.last, frozen.last_step) == (1, 5, 20)
    hashes = [each.detail["hash"] for each in run.events if each.kind == "digest"]
    assert len(set(hashes)) == 2


def test_a_book_that_nothing_trains_is_found_by_its_checkpoints(tmp_path, clock):
    log, path = tmp_path / "log.jsonl", tmp_path / "last.safetensors"
    log.write_text(own_log(1))
    rows = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    watcher = Watcher([tmp_path], clock=clock)
    for step in range(100, 600, 100):
        with log.open("a") as file:
            file.write(own_log(1, start=step) + event("checkpoint", step, file=path.name))
            file.write(f'{{"kind":"scalars","step":{step},"time":1.0,"values":{{"loss":{1 / step}}}}}\n')
        checkpoint(path, rows)
        os.utime(path, (clock.now - 1000 + step,) * 2)
        [run] = watcher.finish().runs
    assert "VQ511" in {finding.rule for finding in run.findings}


def test_nothing_is_opened_while_it_is_written_and_each_state_once(tmp_path, clock):
    path = tmp_path / "a.safetensors"
    opened = []

    def look(name):
        opened.append(name)
        return Looked(name, 0.0)

    arrivals = Arrivals(str(tmp_path), look, clock)
    rows = np.eye(4, dtype=np.float32)
    for size in (2, 3, 4):  # it grows at each look
        checkpoint(path, rows[:size])
        os.utime(path, (clock.now, clock.now))
        assert arrivals.poll() == [] and opened == []
        clock.now += 3
    arrivals.poll()  # the same twice
    for _ in range(6000):  # another thread looks; on a busy machine it comes to it late
        if opened:
            break
        time.sleep(0.01)
    clock.now += 3
    arrivals.poll()
    clock.now += 100
    arrivals.poll()
    arrivals.close()
    assert opened == [str(path)]


def test_of_many_that_are_there_the_newest_are_enough(tmp_path, clock):
    rows = np.eye(4, dtype=np.float32)
    checkpoint(tmp_path / "0.safetensors", rows)
    for number in range(1, MOST + 5):
        shutil.copy(tmp_path / "0.safetensors", tmp_path / f"{number}.safetensors")
        os.utime(tmp_path / f"{number}.safetensors", (clock.now - 1000 + number,) * 2)
    os.utime(tmp_path / "0.safetensors", (clock.now - 1000,) * 2)
    opened = []
    arrivals = Arrivals(str(tmp_path), lambda path: opened.append(path), clock)
    arrivals.finish()
    arrivals.close()
    assert len(opened) == MOST and arrivals.skipped == 5
    assert str(tmp_path / "0.safetensors") not in opened


def test_a_broken_checkpoint_is_noted_and_nothing_ends(tmp_path, clock):
    (tmp_path / "log.jsonl").write_text(own_log(3))
    shutil.copy(SAMPLES / "ema-illusion.pt", tmp_path / "x.pt")
    with (tmp_path / "x.pt").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 3000)
    [run] = Watcher([tmp_path], clock=clock).finish().runs
    assert run.last_step == 3 and run.state == "live"
    assert any(note.startswith("x.pt: could not be looked at") for note in run.notes)


def test_a_look_that_fails_in_a_way_nobody_foresaw_does_not_end_the_watch(tmp_path, clock):
    checkpoint(tmp_path / "a.safetensors", np.eye(4, dtype=np.float32))

    def look(path):
        raise ZeroDivisionError("odd")

    arrivals = Arrivals(str(tmp_path), look, clock)
    [looked] = arrivals.finish()
    assert looked.trouble == "ZeroDivisionError: odd"


def test_a_checkpoint_that_changes_while_it_is_opened_is_looked_at_again(tmp_path, monkeypatch):
    import vqdoctor.app.inspect as room

    path = tmp_path / "a.safetensors"
    checkpoint(path, np.eye(4, dtype=np.float32))
    real = room.inspect

    def meanwhile(paths, request):
        report = real(paths, request)
        checkpoint(path, np.eye(5, dtype=np.float32))
        return report

    monkeypatch.setattr(room, "inspect", meanwhile)
    assert look_at(str(path), {}) is None


def test_a_folder_of_checkpoints_alone_is_a_run(tmp_path, clock):
    for step in (100, 200):
        checkpoint(tmp_path / f"step_{step}_collision_0.{step}.safetensors", np.eye(6, 4, dtype=np.float32))
        os.utime(tmp_path / f"step_{step}_collision_0.{step}.safetensors", (clock.now - 1000 + step,) * 2)
    [run] = Watcher([tmp_path], clock=clock).finish().runs
    assert run.path == str(tmp_path) and run.reader == ""
    collision = of(run, "collision")
    assert collision.meaning.metric == "collision.rate" and collision.values.tolist() == [0.1, 0.2]
    assert of(run, FROZEN).last == 6


def test_checkpoints_that_could_be_of_several_logs_join_none(tmp_path, clock):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(own_log(3))
    checkpoint(tmp_path / "model.safetensors", np.eye(8, 4, dtype=np.float32))
    checkpoint(tmp_path / "a.safetensors", np.eye(8, 4, dtype=np.float32))
    runs = {Path(run.path).name: run for run in Watcher([tmp_path], clock=clock).finish().runs}
    assert set(runs) == {"a.jsonl", "b.jsonl", tmp_path.name}
    assert of(runs["a.jsonl"], "geometry.duplicate_rows") is not None  # by its name
    assert of(runs["b.jsonl"], "geometry.duplicate_rows") is None
    [alone] = Watcher([tmp_path / "b.jsonl"], clock=clock).finish().runs
    assert of(alone, "geometry.duplicate_rows") is None
    assert any("beside several logs" in note for note in alone.notes)

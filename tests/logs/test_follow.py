"""Folders of logs, how each is doing, and runs as a whole: live equals reading everything at the end."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.errors import MissingInput
from vqdoctor.logs import Follower, Runs, follow, looks_like_log, preview, read_file_name, read_runs
from vqdoctor.logs.follow import LONG_AGO, STALL


class Clock:
    def __init__(self) -> None:
        self.now = 1.8e9

    def __call__(self) -> float:
        return self.now


def rows(steps, **values) -> bytes:
    return b"".join(json.dumps({"step": step, **values}).encode() + b"\n" for step in steps)


def append(path: Path, data: bytes, clock: Clock) -> None:
    with path.open("ab") as log:
        log.write(data)
    os.utime(path, (clock.now, clock.now))


def test_a_folder_of_runs_newest_first_and_files_that_appear_later(tmp_path):
    clock, runs = Clock(), Runs()
    for i, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        append(tmp_path / name / "log.jsonl", rows(range(3), loss=i), clock)
        clock.now += 10
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / ".hidden").mkdir()
    append(tmp_path / ".hidden" / "log.jsonl", rows([1], loss=0), clock)
    follower = Follower(tmp_path, wanted=looks_like_log, clock=clock)
    runs.take(follower.poll(), follower)
    assert [Path(run.path).parent.name for run in runs.newest_first(follower)] == ["b", "a"]
    append(tmp_path / "a" / "log.jsonl", rows([3], loss=5), clock)
    append(tmp_path / "c.csv.log", b"step=1 loss=2\n", clock)
    assert [run.path for run in runs.take(follower.poll(), follower)] == [str(tmp_path / "a" / "log.jsonl")]
    clock.now += 5
    assert [run.path for run in runs.take(follower.poll(), follower)] == [str(tmp_path / "c.csv.log")]
    assert runs.by_path[str(tmp_path / "a" / "log.jsonl")].series()[0].steps.tolist() == [0, 1, 2, 3]


def test_states(tmp_path):
    clock, log = Clock(), tmp_path / "log.jsonl"
    follower, runs = Follower(log, wanted=looks_like_log, clock=clock), Runs()

    def look() -> str:
        runs.take(follower.poll(1), follower)
        return follower.state(str(log))

    assert look() == "waiting"
    append(log, b"", clock)
    assert look() == "waiting"
    for _ in range(5):
        clock.now += 100
        append(log, rows([1], loss=1), clock)
        assert look() == "live"
    clock.now += STALL + 30
    assert look() == "live"  # the usual gap is 100 s
    clock.now += 250
    assert look() == "stalled"
    append(log, rows(range(80_000), loss=1), clock)
    assert look() == "lagging"
    while follower.behind:
        look()
    assert look() == "live"
    log.unlink()
    log.mkdir()
    assert [look() for _ in range(2)][-1] == "failed" and follower.tails[str(log)].failure == "not a regular file"


def test_an_old_log_has_ended_and_one_that_says_so(tmp_path):
    clock, old, own = Clock(), tmp_path / "old.log", tmp_path / "own.jsonl"
    append(old, b"step=1 loss=1\n", clock)
    clock.now += LONG_AGO + 1
    own_lines = [{"schema": "vqdoctor.log/1", "kind": "run"}, {"kind": "scalars", "step": 2, "values": {"loss": 1}},
                 {"kind": "event", "step": 2, "event": "end", "detail": {"reason": "error"}}]  # fmt: skip
    append(own, b"".join(json.dumps(line).encode() + b"\n" for line in own_lines), clock)
    runs, follower = Runs(), Follower(tmp_path, wanted=looks_like_log, clock=clock)
    runs.take(follower.poll(), follower)
    assert (follower.state(str(old)), follower.state(str(own))) == ("ended", "failed")
    append(own, json.dumps({"kind": "scalars", "step": 3, "values": {"loss": 1}}).encode() + b"\n", clock)
    runs.take(follower.poll(), follower)
    assert follower.state(str(own)) == "live" and runs.by_path[str(own)].outcome is None


def test_a_log_begun_anew_is_read_anew(tmp_path):
    clock, log = Clock(), tmp_path / "metrics.csv"
    follower, runs = Follower(log, wanted=looks_like_log, clock=clock), Runs()
    log.write_bytes(b"step,a\n1,1\n2,2\n")
    runs.take(follower.poll(), follower)
    log.write_bytes(b"step,a,b\n1,1,\n2,2,\n3,3,5\n")  # as Lightning does when a metric is new
    runs.take(follower.poll(), follower)
    [run] = runs.by_path.values()
    assert {series.key.name: series.values.tolist() for series in run.series()} == {"a": [1, 2, 3], "b": [5]}
    assert [event.kind for event in run.events] == ["restarted"]
    assert all(series.starts.tolist() == [0] for series in run.series())


def test_a_rotated_log_goes_on_with_its_step(tmp_path):
    clock, log = Clock(), tmp_path / "train.log"
    follower, runs = Follower(log, wanted=looks_like_log, clock=clock), Runs()
    log.write_bytes(b"step 7 loss: 1\nstep 8")
    runs.take(follower.poll(), follower)
    log.rename(tmp_path / "train.log.1")
    log.write_bytes(b"loss: 2\n")
    for _ in range(3):
        runs.take(follower.poll(), follower)
    [run] = runs.by_path.values()
    [series] = run.series()
    assert list(zip(series.steps, series.values, strict=True)) == [(7, 1), (8, 2)]
    assert [event.kind for event in run.events] == ["rotated"]


def test_event_files_of_a_folder_are_one_run(tmp_path):
    import runpy

    scalar_event = runpy.run_path(str(Path(__file__).with_name("samples.py")))["scalar_event"]
    (tmp_path / "events.out.tfevents.1.a").write_bytes(scalar_event("loss", 1, 1.0) + scalar_event("loss", 5, 2.0))
    (tmp_path / "events.out.tfevents.2.a").write_bytes(scalar_event("loss", 3, 3.0) + scalar_event("rvq_expired", 3, 0.25))
    [run], _ = read_runs(tmp_path, clock=Clock())
    loss, expired = run.series()
    assert (run.path, run.reader) == (str(tmp_path), "tensorboard")
    assert loss.steps.tolist() == [1, 5, 3] and loss.starts.tolist() == [0, 2] and (loss.first, loss.last, loss.n) == (1, 3, 3)
    assert expired.meaning.metric == "ema.utilization" and expired.values.tolist() == [0.75]
    bins = run.bins(loss.key, 0, 10, 5)
    assert bins.highs.tolist() == [1, 2, 3] and bins.starts.tolist() == [0, 2]
    assert run.bins(expired.key, 0, 10, 5).lows.tolist() == [0.75]


def test_stopped_and_gone_on(tmp_path):
    """Two processes, one after the other, see every row once, half a line in between included."""
    clock, log = Clock(), tmp_path / "log.jsonl"
    data = rows(range(20), loss=0.5)
    for cut in (0, 1, 15, 40, 41, len(data) - 1, len(data)):
        log.unlink(missing_ok=True)
        log.write_bytes(data[:cut])
        first, runs = Follower(log, wanted=looks_like_log, clock=clock), Runs()
        runs.take(first.poll(), first)
        held = {path: size for run in runs.by_path.values() for path, size in run.held.items()}
        second = Follower(log, wanted=looks_like_log, clock=clock, positions=first.positions(held))
        append(log, data[cut:], clock)
        later = Runs()
        later.take(second.poll(), second)
        seen = [step for part in (runs, later) for run in part.by_path.values() for series in run.series() for step in series.steps]
        assert seen == list(range(20))


def test_many_writers_of_one_file(tmp_path):
    clock, log = Clock(), tmp_path / "log.jsonl"
    follower, runs = Follower(log, wanted=looks_like_log, clock=clock), Runs()
    writers = [log.open("ab", buffering=0) for _ in range(4)]
    for i, writer in zip(range(400), itertools.cycle(writers), strict=False):
        writer.write(rows([i // 4], loss=i))
        if i % 7 == 0:
            runs.take(follower.poll(), follower)
    runs.take(follower.poll(), follower)
    [series] = runs.by_path[str(log)].series()
    assert series.values.tolist() == list(range(400)) and series.duplicates == 300 and series.starts.tolist() == [0]
    for writer in writers:
        writer.close()


def test_follow_sleeps_only_when_all_is_read(tmp_path):
    log, naps = tmp_path / "log.jsonl", []
    log.write_bytes(rows(range(100_000), loss=1))
    follower = Follower(log, wanted=looks_like_log, clock=Clock())
    looks = follow(follower, interval=0.5, sleep=naps.append)
    read = sum(len(chunk.data) for _ in range(6) for chunk in next(looks))
    assert read == log.stat().st_size and naps and set(naps) == {0.5}


def test_thousands_of_open_files_are_not_needed(tmp_path):
    for i in range(100):
        (tmp_path / f"{i}.log").write_bytes(b"step=1 loss=1\n")
    clock = Clock()
    follower = Follower(tmp_path, wanted=looks_like_log, clock=clock)
    assert len(follower.poll()) == 100 and sum(tail.is_open for tail in follower.tails.values()) == 64
    for i in range(100):
        append(tmp_path / f"{i}.log", b"step=2 loss=1\n", clock)
    assert [chunk.data for chunk in follower.poll()] == [b"step=2 loss=1\n"] * 100


def test_a_preview_shows_both_ends(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(rows(range(50_000), loss=0.5))
    first = preview(str(log), size=4000)
    [series] = first.store.series()
    assert series.first_step == 0 and series.last_step == 49_999 and 200 < series.n < 400 and first.notes == []


def test_what_is_not_there(tmp_path):
    with pytest.raises(MissingInput, match="no such file or folder"):
        read_runs(tmp_path / "none", clock=Clock())
    assert read_runs(tmp_path, clock=Clock())[0] == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("epoch_12_collision_0.0412_model.pth", [("collision", 12, 0.0412)]), ("epoch=3-val_loss=0.12.ckpt", [("val_loss", 3, 0.12)]),
        ("epoch_0007_collision_0.0412.pt", [("collision", 7, 0.0412)]), ("epoch=3-step=1200-val/perplexity=12.5.ckpt", [("val/perplexity", 1200, 12.5)]),
        ("last.pt", []), ("epoch=3-step=1200.ckpt", []), ("model_v2.pt", []), ("net_g_10000.pth", []), ("vqvae_560.pt", []), ("notes_1.txt", []),
    ],
)  # fmt: skip
def test_names_of_checkpoints(name, found):
    read = [(points.key.name, points.steps.tolist()[0], points.values.tolist()[0]) for points in read_file_name(name, time=1.7e9)]
    assert read == found


def test_our_own_runs_are_read_whole():
    folder = Path(__file__).parents[2] / "sample_checkpoints"
    runs, follower = read_runs(folder, clock=Clock())
    assert len(runs) == len(list(folder.glob("*.log.jsonl")))
    for run in runs:
        assert run.reader == "vqdoctor.log/1" and run.outcome == "ended" and run.notes == [] and run.usage
        assert follower.state(run.path) == "ended"
        names = {series.meaning.metric for series in run.series()}
        assert {"ema.active", "usage.batch_utilization", "usage.batch_entropy_bits", "ema.entropy_normalized"} <= names
        assert all(np.isfinite(series.values).all() for series in run.series())

"""The reducer behind `vqdoctor watch`: what a view says of logs as they come, and that it stays put when nothing does."""

from __future__ import annotations

import json

import pytest

from vqdoctor.app.watching.names import run_name
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.errors import UsageError


class Clock:
    """Seconds that pass when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    import time

    return Clock(time.time())


def own_log(steps, *, start=1, ended=False):
    """Lines of `vqdoctor.log/1`."""
    head = {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.0, "run": "r", "config": {"total_steps": 1000}}
    rows = [head] if start == 1 else []
    for step in range(start, start + steps):
        values = {"usage.batch_utilization": 0.5, "ema.utilization": 1.0}
        rows.append({"kind": "metrics", "step": step, "time": 1.0, "quantizer": "vq", "level": 0, "values": values})
    if ended:
        rows.append({"kind": "event", "step": start + steps - 1, "time": 2.0, "event": "end", "detail": {}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def watch(*paths, clock, **asked):
    return Watcher(paths, WatchRequest(**asked), clock=clock)


def test_a_log_is_seen_as_it_grows_and_the_view_stays_put_when_it_does_not(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(5))
    watcher = watch(path, clock=clock)
    first = watcher.poll()
    [run] = first.runs
    assert (run.reader, run.state, run.first_step, run.last_step, run.total_steps) == ("vqdoctor.log/1", "live", 1, 5, 1000)
    assert watcher.poll().version == first.version
    with path.open("a") as log:
        log.write(own_log(2, start=6))
    clock.now += 1
    second = watcher.poll()
    assert second.version > first.version
    assert second.runs[0].version > run.version
    assert second.runs[0].last_step == 7
    clock.now += 5
    third = watcher.poll()
    assert third.version == second.version and third.runs[0].silence > second.runs[0].silence


def test_a_run_that_says_it_is_over_is_over(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(3, ended=True))
    assert watch(path, clock=clock).poll().runs[0].state == "ended"


def test_what_is_not_there_yet_is_missing_and_then_it_is_seen(tmp_path, clock):
    path = tmp_path / "late.jsonl"
    watcher = watch(path, clock=clock)
    view = watcher.poll()
    assert view.missing == (str(path),) and view.runs == ()
    path.write_text(own_log(1))
    clock.now += 3
    view = watcher.poll()
    assert view.missing == () and view.runs[0].last_step == 1


def test_a_folder_is_a_set_of_runs_newest_first_each_with_a_name_of_its_own(tmp_path, clock):
    import os

    for age, name in enumerate(["a/one/log.jsonl", "b/one/log.jsonl", "two.log.jsonl"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(own_log(2))
        os.utime(path, (clock.now - age, clock.now - age))
    runs = watch(tmp_path, clock=clock).poll().runs
    assert [run.path for run in runs] == [str(tmp_path / name) for name in ("a/one/log.jsonl", "b/one/log.jsonl", "two.log.jsonl")]
    assert len({run.name for run in runs}) == 3 and runs[2].name == "two"


def test_a_path_named_twice_and_within_a_folder_is_one_run(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(2))
    assert len(watch(path, path, tmp_path, clock=clock).poll().runs) == 1


def test_a_long_log_shows_its_ends_at_once_and_its_history_later(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(90_000))
    watcher = watch(path, clock=clock)
    run = watcher.poll(1 << 19).runs[0]
    assert run.behind > 0 and run.last_step == 90_000 and run.first_step == 1
    assert any("being read" in note for note in run.notes)
    shown = {series.key: series for series in run.series}
    while watcher.behind:
        run = watcher.poll().runs[0]
    whole = {series.key: series for series in run.series}
    assert shown.keys() == whole.keys()
    assert all(series.n == 90_000 for series in whole.values())
    assert not run.notes and run.behind == 0


def test_finish_reads_the_last_line_that_has_no_end(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(3).rstrip("\n"))
    watcher = watch(path, clock=clock)
    assert watcher.poll().runs[0].last_step == 2
    assert watcher.finish().runs[0].last_step == 3


def test_a_log_that_cannot_be_read_is_shown_with_the_reason(tmp_path, clock, monkeypatch):
    import os

    path = tmp_path / "log.jsonl"
    path.write_text(own_log(3))
    real = os.open

    def refuse(name, *args, **kwargs):
        if os.fspath(name) == str(path):
            raise PermissionError(13, "Permission denied", name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    [run] = watch(path, clock=clock).poll().runs
    assert run.state == "failed" and "Permission denied" in run.notes[0]


def test_bindings_give_a_name_a_meaning(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "my_use": 0.25}\n{"step": 2, "my_use": 0.5}\n')
    [series] = watch(path, clock=clock, bindings={"my_use": "usage.utilization"}).poll().runs[0].series
    assert series.meaning.metric == "usage.utilization"


def test_an_unknown_rule_is_refused_at_once(tmp_path, clock):
    with pytest.raises(UsageError):
        watch(tmp_path, clock=clock, rules={"VQ999": {"severity": "off"}})


@pytest.mark.parametrize(
    ("path", "taken", "name"),
    [
        ("runs/rq-7/log.jsonl", (), "rq-7"),
        ("runs/rq-7/log.jsonl", ("rq-7",), "runs/rq-7"),
        ("log.jsonl", (), "log"),
        ("/x/version_3/metrics.csv", (), "version_3"),
        ("a.log.jsonl", (), "a"),
    ],
)
def test_names_are_short_and_free(path, taken, name):
    assert run_name(path, taken) == name

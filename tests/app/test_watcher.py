"""The reducer behind `vqdoctor watch`: what a view says of logs as they come, and that it stays put when nothing does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from watch_logs import Clock, own_log

import vqdoctor
from vqdoctor.app.watching.names import run_name
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.errors import UsageError


@pytest.fixture
def clock():
    return Clock()


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
    again = tmp_path / ".." / tmp_path.name / "log.jsonl"
    assert len(watch(path, path, again, tmp_path, clock=clock).poll().runs) == 1


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


def test_watch_once_is_the_same_view_for_programs(tmp_path):
    import vqdoctor
    from vqdoctor.errors import MissingInput, UnsupportedInput

    path = tmp_path / "log.jsonl"
    path.write_text(own_log(3, ended=True))
    [run] = vqdoctor.watch_once(str(path)).runs
    assert (run.state, run.last_step) == ("ended", 3)
    assert len(vqdoctor.watch_once([path, tmp_path], checkpoints=False).runs) == 1
    with pytest.raises(MissingInput):
        vqdoctor.watch_once(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedInput):
        vqdoctor.watch_once(str(tmp_path / "empty"))


def test_a_silent_run_that_has_reached_its_last_step_is_over_another_has_stalled(tmp_path, clock):
    for name, steps in (("done", 20), ("stuck", 10)):
        rows = [f'{{"step": {step}, "total_steps": 20, "loss": 1}}\n' for step in range(1, steps + 1)]
        (tmp_path / f"{name}.jsonl").write_text("".join(rows))
    clock.now += 600
    states = {run.name: run.state for run in watch(tmp_path, clock=clock).poll().runs}
    assert states == {"done": "ended", "stuck": "stalled"}


def test_the_rules_judge_a_run_once_all_of_it_has_been_read(tmp_path, clock):
    path = tmp_path / "log.jsonl"
    values = {"usage.batch_utilization": 1 / 64, "usage.batch_perplexity": 1.0, "ema.utilization": 1.0}
    path.write_text(own_log(40_000, values=values, codes=64))
    watcher = watch(path, clock=clock)
    assert watcher.poll(1 << 19).runs[0].findings == ()
    assert {"VQ501"} <= {finding.rule for finding in watcher.finish().runs[0].findings}
    quiet = watch(path, clock=clock, rules={"VQ501": {"severity": "off"}})
    assert not {"VQ501"} & {finding.rule for finding in quiet.finish().runs[0].findings}


def test_a_view_is_what_the_command_prints():
    path = Path(__file__).parents[2] / "sample_checkpoints" / "healthy-vq.log.jsonl"
    found = vqdoctor.watch_once(str(path)).to_dict()
    assert found["schema"] == "vqdoctor.watch/1" and found["runs"][0]["series"]

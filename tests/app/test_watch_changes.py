"""What is told of a watch: each thing once, floods counted, findings to a program; and the same again from a recording."""

from __future__ import annotations

import io
import json
import sys
import time
from dataclasses import replace

import orjson
import pytest
from watch_logs import Clock, event, own_log

from vqdoctor.app.watching.alarm import Alarm
from vqdoctor.app.watching.attended import Attended
from vqdoctor.app.watching.changes import CALM, Calm, Changes
from vqdoctor.app.watching.goal import Goal, reached
from vqdoctor.app.watching.recording import Replay, Tape
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.errors import UnsupportedInput, UsageError
from vqdoctor.model import Event, Finding
from vqdoctor.render.watch_json import watch_object

SICK = Finding("VQ501", "collapse-onset", "warning", "vq[0]", "It collapses.", {"onset_step": 3.0})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(own_log(3))
    return path


def kinds(changes):
    return [change.of.kind if isinstance(change.of, Event) else change.kind for change in changes]


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_each_thing_is_told_once(log, clock):
    watcher, changes = Watcher([log], clock=clock), Changes()
    assert kinds(changes.since(watcher.poll())) == ["run", "run", "points"]
    assert changes.since(watcher.poll()) == []
    append(log, event("dead-reset", 3, codes=2) + own_log(1, start=4))
    clock.now += 1
    assert kinds(changes.since(watcher.poll())) == ["dead-reset", "points"]
    append(log, event("end", 4))
    clock.now += 1
    assert kinds(changes.since(watcher.poll())) == ["end", "state"]


def test_a_log_begun_anew_is_not_told_twice(log, clock):
    append(log, event("skipped", 2, samples=3) + event("skipped", 2, samples=3))
    watcher, changes = Watcher([log], clock=clock), Changes()
    assert kinds(changes.since(watcher.poll())).count("skipped") == 2
    text = log.read_text()
    log.write_text(text.replace('"r"', '"x"', 1) + event("skipped", 2, samples=3) + event("skipped", 9, samples=3))
    clock.now += 1
    told = [change for change in changes.since(watcher.poll()) if isinstance(change.of, Event)]
    assert [change.of.step for change in told if change.of.kind == "skipped"] == [2, 9]


def test_findings_are_told_when_they_come_grow_graver_and_go(log, clock):
    view, changes = Watcher([log], clock=clock).poll(), Changes()

    def with_(*findings):
        nonlocal view
        run = replace(view.runs[0], findings=findings, version=view.runs[0].version + 1)
        view = replace(view, runs=(run,))
        return [change.kind for change in changes.since(view) if change.kind in ("finding", "cleared")]

    assert with_(SICK) == ["finding"]
    assert with_(SICK) == []
    assert with_(replace(SICK, evidence={"onset_step": 4.0})) == []  # the same, its onset better known
    assert with_(replace(SICK, severity="error")) == ["finding"]
    assert with_(SICK, SICK) == ["finding", "finding"]
    assert with_() == ["cleared"]
    assert with_(SICK) == ["finding"]


def test_what_was_told_can_be_kept(log, clock):
    append(log, event("skipped", 2))
    changes = Changes()
    changes.since(Watcher([log], clock=clock).poll())
    kept = json.loads(json.dumps(changes.state()))
    append(log, event("skipped", 5))
    told = [change for change in Changes(kept).since(Watcher([log], clock=clock).poll()) if isinstance(change.of, Event)]
    assert [(change.of.kind, change.of.step) for change in told] == [("skipped", 5)]
    with pytest.raises(ValueError):
        Changes({"schema": "something else"})


def test_a_flood_is_counted(log, clock):
    calm, changes = Calm(clock), Changes()
    watcher = Watcher([log], clock=clock)
    calm.of(changes.since(watcher.poll()))
    append(log, "".join(event("dead-reset", step) for step in range(4, 44)))
    clock.now += CALM
    [flood] = calm.of(changes.since(watcher.poll()))
    assert flood.kind == "events" and flood.of == {"event": "dead-reset", "n": 40, "first_step": 4.0, "last_step": 43.0}
    append(log, event("dead-reset", 44) + event("end", 44))
    clock.now += 1
    assert kinds(calm.of(changes.since(watcher.poll()))) == ["end", "state"]
    clock.now += CALM
    assert kinds(calm.of([])) == ["dead-reset"]
    assert calm.rest() == []


def test_the_alarm_gets_the_finding_as_json_and_nothing_of_it_in_a_shell(log, clock, tmp_path, monkeypatch):
    evil = replace(SICK, message="$(touch hacked); `touch hacked`")
    monkeypatch.setattr("vqdoctor.app.watching.run.diagnose", lambda live, overrides: (evil,))
    out, said = tmp_path / "told file", []
    script = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"
    alarm = Alarm(f'{sys.executable} -c "{script}" "{out}"', said.append)
    attended = Attended(Watcher([log], clock=clock), Goal(), alarm=alarm)
    attended.poll()
    attended.poll()
    alarm.close(20)
    [line] = out.read_text().splitlines()
    told = json.loads(line)
    assert (told["rule"], told["run"], told["path"], told["step"]) == ("VQ501", log.parent.name, str(log), 3)
    assert told["message"] == evil.message and said == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/nowhere/at-all", "could not be started: No such file"),
        (f"{sys.executable} -c 'import sys; sys.exit(3)'", "status 3"),
        (f"{sys.executable} -c 'import time; time.sleep(60)'", "was stopped"),
    ],
)
def test_what_goes_wrong_with_the_alarm_is_said(command, words):
    said = []
    alarm = Alarm(command, said.append, seconds=1.0)
    begun = time.monotonic()
    alarm.ring(b"{}\n")
    assert time.monotonic() - begun < 20  # never waits for a command that takes a minute
    alarm.close(30)
    assert words in said[0]


@pytest.mark.parametrize("command", ["", "  ", "say 'it"])
def test_an_alarm_without_words_is_refused(command):
    with pytest.raises(UsageError):
        Alarm(command, print)


def test_goals(log, clock):
    view = Watcher([log], clock=clock).poll()
    assert reached(view, Goal(), 0) == ""
    assert reached(view, Goal(timeout=5), 5) == "timeout"
    sick = replace(view, runs=(replace(view.runs[0], findings=(SICK,)),))
    assert reached(sick, Goal(rule="VQ501"), 0) == "fired" and reached(sick, Goal(rule="VQ502"), 0) == ""
    over = replace(view, runs=(replace(view.runs[0], state="ended"),))
    assert reached(over, Goal(), 0) == "over" and reached(over, Goal(over=False), 0) == ""
    assert reached(replace(over, missing=("later.jsonl",)), Goal(), 0) == ""
    assert reached(replace(over, runs=()), Goal(), 0) == ""


def test_a_recording_shows_the_same_at_any_speed(log, clock, tmp_path):
    file = io.BytesIO()
    watcher = Watcher([log], clock=clock, tape=Tape(file, clock))
    watcher.poll()
    clock.now += 100
    append(log, own_log(3, start=4) + event("end", 6))
    seen = watch_object(watcher.poll())
    path = tmp_path / "recording"
    path.write_bytes(file.getvalue())
    log.unlink()  # nothing is opened by the names in it
    replay = Watcher([], clock=clock, sources=[Replay(str(path), 20.0, clock, {})])
    [early] = replay.poll().runs
    assert early.last_step == 3 and early.state == "live"
    whole = Watcher([], clock=clock, sources=[Replay(str(path), 1.0, clock, {})]).finish()
    assert watch_object(whole) == seen
    clock.now += 4.9
    assert replay.poll().runs[0].last_step == 3
    clock.now += 0.2
    assert watch_object(replay.poll()) == seen


def test_a_recording_that_breaks_off_or_lies_does_no_harm(tmp_path, clock):
    path = tmp_path / "recording"
    path.write_bytes(b'{"schema":"vqdoctor.log/1"}\n')
    with pytest.raises(UnsupportedInput):
        Replay(str(path), 1.0, clock, {})
    head = b'{"schema":"vqdoctor.recording/1","time":0}\n'
    rows = [
        {"at": 0, "kind": "log", "path": "/etc/passwd", "start": "odd", "data": "eyJzdGVwIjogMSwgImxvc3MiOiAyfQo="},
        {"at": 0, "kind": "state", "run": "/etc/passwd", "state": "dancing"},
        {"at": 0, "kind": "found", "run": "r", "found": [{"name": "x", "steps": [1], "values": [1, 2], "times": [None]}]},
        {"at": 0, "kind": "log", "path": "x", "start": "", "data": "*"},
        {"at": 0, "kind": "log"},
    ]
    path.write_bytes(head + b"\n".join(map(orjson.dumps, rows)) + b'\n{"at": 0, "ki')
    view = Watcher([], clock=clock, sources=[Replay(str(path), 1.0, clock, {})]).finish()
    assert {run.path: run.state for run in view.runs} == {"/etc/passwd": "ended", "r": "ended"} or len(view.runs) >= 1

"""`vqdoctor watch` as a shell runs it: exit statuses, growing and rotated files, signals, pipes, hostile names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import jsonschema
import pytest
from command_line import ROOT, environment, shell

from vqdoctor.render.watch_json import schema

SAMPLES = ROOT / "sample_checkpoints"
EVIL = "x\x1b]0;owned\x07\x1b[2J"


def head(**config):
    return json.dumps({"schema": "vqdoctor.log/1", "kind": "run", "time": 1.0, "run": "r", "config": config}) + "\n"


def metrics(steps, use=0.9):
    rows = []
    for step in steps:
        values = {"usage.batch_utilization": use, "usage.batch_perplexity": 64 * use, "ema.utilization": 1.0}
        rows.append({"kind": "metrics", "step": step, "time": float(step), "quantizer": "vq", "level": 0, "values": values})
    return "".join(json.dumps(row) + "\n" for row in rows)


def event(kind, step, **detail):
    return json.dumps({"kind": "event", "step": step, "time": 1.0, "event": kind, "detail": detail}) + "\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(head() + metrics(range(1, 20)))
    return path


@contextmanager
def watching(*arguments, **more):
    """A running `vqdoctor watch`; its lines as they come are in the list that it yields."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vqdoctor", "watch", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True, env=environment(**more),
    )  # fmt: skip
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)
    process.reader = reader
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join(5)


def until(condition, seconds=30):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_once_is_a_frame_for_a_person_and_the_contract_for_a_program(log):
    done = shell("watch", log, "--once")
    assert done.returncode == 0 and "real use" in done.stdout and "90.0" in done.stdout and done.stderr == ""
    done = shell("watch", log, "--once", "--format", "json")
    found = json.loads(done.stdout)
    jsonschema.validate(found, schema())
    assert found["runs"][0]["series"]["usage.batch_utilization"] == {
        "metric": "usage.batch_utilization", "n": 19, "first": 0.9, "last": 0.9, "min": 0.9, "max": 0.9, "last_step": 19,
    }  # fmt: skip


def test_fail_on_turns_findings_into_a_status():
    log = SAMPLES / "ema-illusion.log.jsonl"
    assert shell("watch", log, "--once", "--no-checkpoints").returncode == 0
    done = shell("watch", log, "--once", "--no-checkpoints", "--fail-on", "error")
    assert done.returncode == 1 and "VQ103" in done.stdout


def test_a_report_of_a_log_shows_the_numbers_that_it_has(tmp_path):
    """Most logs have figures of a batch only, or no levels."""
    (tmp_path / "a.csv").write_text("step,train/layer_1/frac_layer_coverages,val/cluster_usage\n1,0.5,37\n2,0.25,40\n")
    told = shell("watch", tmp_path / "a.csv", "--once", "--format", "markdown").stdout
    assert "- level 1: usage.batch_utilization 0.25\n" in told and "- usage.batch_used 40\n" in told
    values = {"ema.active": 48, "usage.used": 16, "usage.batch_entropy_normalized": 0.5}
    row = {"kind": "metrics", "step": 1, "quantizer": "vq", "level": 0, "values": values}
    (tmp_path / "log.jsonl").write_text(head(codes=64) + json.dumps(row) + "\n")
    told = shell("watch", tmp_path / "log.jsonl", "--once", "--format", "markdown").stdout
    assert "| 16 (25.0\N{NO-BREAK SPACE}%) | 75.0\N{NO-BREAK SPACE}% |" in told and "usage.batch_entropy_normalized 0.5" in told


REPORTS = ("markdown", "html", "github", "junit", "sarif", "bench")


@pytest.mark.parametrize("live", [False, True])
def test_runs_are_shown_as_reports_in_every_other_format_once_at_the_end(tmp_path, live):
    log = SAMPLES / "ema-illusion.log.jsonl"
    targets = [word for form in REPORTS for word in ("-o", f"{form}={tmp_path / form}")]
    once = [] if live else ["--once"]
    done = shell("watch", log, "--no-checkpoints", *once, "--format", "markdown", *targets)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## ") and done.stdout.count("VQ103 ema-illusion") == 1
    written = {form: (tmp_path / form).read_text() for form in REPORTS}
    assert all("VQ103" in written[form] for form in REPORTS if form != "bench")
    assert "no features, codes or IDs were given" not in written["markdown"] + written["html"]
    numbers = {one["name"].split()[-1]: one["value"] for one in json.loads(written["bench"])}
    assert numbers["ema.utilization"] == 1.0
    assert numbers["usage.batch_utilization"] == 1 / 256


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jsonl", "--once"], "there is no such file"),
        ([], "Name a log"),
        (["EMPTY", "--once"], "holds no log"),
        (["BLANK", "--once"], "nothing has been written"),
        (["LOG", "--once", "--until", "end"], "--once looks once"),
        (["LOG", "--until", "VQ999"], "no rule"),
        (["LOG", "--alias", "my/use=usage.utilisation"], "usage.utilization"),
        (["LOG", "--demo"], "exclude each other"),
        (["LOG", "-o", "json=LOG"], "must not replace it"),
        (["FOLDER", "--record", "FOLDER/x.rec"], "which is watched"),
        (["--replay", "LOG"], "no recording"),
        (["--replay", "nowhere"], "no such recording"),
        (["LOG", "--state", "LOG.state"], "is left alone"),
        (["LOG", "--on-finding", "'"], "Close its quotes"),
        ([str(SAMPLES / "healthy-vq.pt")], "is a checkpoint"),
        (["IDS"], "holds semantic IDs, and is no log. Look into it: vqdoctor inspect"),
        (["PIPE", "--once"], "is a pipe"),
        (["-"], "standard input is not read"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(log, arguments, words):
    empty, blank = log.parent / "empty", log.parent.parent / "blank.jsonl"
    empty.mkdir()
    blank.write_text("")
    (log.parent / "log.jsonl.state").write_text("[]")
    ids, pipe = log.parent / "items.index.json", log.parent / "pipe"
    ids.write_text('{"0": ["<a_1>", "<b_2>"], "1": ["<a_3>", "<b_2>"]}')
    os.mkfifo(pipe)
    names = {"IDS": ids, "PIPE": pipe, "EMPTY": empty, "BLANK": blank, "FOLDER": log.parent, "LOG": log}

    def real(word):
        for name, path in names.items():
            word = word.replace(name, str(path))
        return word

    done = shell("watch", *map(real, arguments), folder=log.parent.parent)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


def test_without_a_terminal_it_ends_when_every_run_is_over(log):
    with log.open("a") as file:
        file.write(event("end", 19))
    done = shell("watch", log, timeout=60)
    assert done.returncode == 0 and "ended" in done.stdout.splitlines()[-1]


def test_a_growing_file_is_told_as_it_grows_and_a_rotation_loses_nothing(log):
    with watching(log, "--format", "jsonl", "--poll", "0.1", "--until", "end") as (process, lines):
        until(lambda: any('"kind": "run"' in line for line in lines))
        with log.open("a") as file:
            file.write(event("dead-reset", 20, codes=3))
        until(lambda: any('"dead-reset"' in line for line in lines))
        log.rename(log.with_name("log.jsonl.1"))
        log.write_text(metrics(range(20, 30)) + event("end", 29))
        process.wait(30)
        process.reader.join(5)
    told = [json.loads(line) for line in lines]
    assert process.returncode == 0
    assert [line["detail"] for line in told if line.get("event") == "dead-reset"] == [{"codes": 3}]
    assert [line["state"] for line in told if line["kind"] == "state"] == ["ended"]
    points = [line["values"]["vq[0]:usage.batch_utilization"] for line in told if line["kind"] == "points"]
    assert points and told[-1]["step"] == 29


def test_a_file_that_appears_later_is_waited_for(tmp_path):
    path = tmp_path / "late.jsonl"
    with watching(path, "--poll", "0.1") as (process, lines):
        time.sleep(0.3)
        path.write_text(head() + metrics(range(3)) + event("end", 2))
        process.wait(30)
        process.reader.join(5)
    assert process.returncode == 0 and any("late" in line for line in lines)


def test_until_a_rule_fires_is_1_and_the_alarm_gets_the_finding(log, tmp_path):
    out = tmp_path / "told.json"
    tell = tmp_path / "tell.py"
    tell.write_text(f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())")
    command = f"{sys.executable} {tell}"
    with watching(log, "--poll", "0.1", "--until", "VQ504", "--timeout", "60", "--on-finding", command) as (process, _):
        with log.open("a") as file:
            file.write('{"kind":"scalars","step":20,"time":2.0,"values":{"loss":NaN}}\n' * 5)
        process.wait(60)
        assert process.returncode == 1, process.stderr.read()
    assert json.loads(out.read_text())["rule"] == "VQ504"


def test_the_time_is_up_and_it_says_so(log, tmp_path):
    done = shell("watch", log, "--until", "end", "--timeout", "0.5", "--poll", "0.1")
    assert done.returncode == 0 and "stopped after 0.5 s: not every run is over" in done.stderr
    done = shell("watch", tmp_path / "never.jsonl", "--timeout", "0.3")
    assert done.returncode == 2
    assert "never.jsonl does not exist yet: waiting for it." in done.stderr
    (tmp_path / "runs").mkdir()
    assert "holds nothing yet" in shell("watch", tmp_path / "runs", "--timeout", "0.3").stderr


def test_control_c_is_130_with_a_last_line_and_the_report_written(log, tmp_path):
    out = tmp_path / "end.json"
    with watching(log, "--poll", "0.1", "-o", f"json={out}") as (process, lines):
        until(lambda: lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        process.reader.join(5)
        assert "interrupted" in process.stderr.read()
    assert "found: nothing" in lines[-1]
    jsonschema.validate(json.loads(out.read_text()), schema())


def test_a_reader_that_goes_away_ends_it(log):
    process = subprocess.Popen(
        [sys.executable, "-m", "vqdoctor", "watch", str(log), "--poll", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == b""


def test_what_a_log_says_never_drives_a_terminal(tmp_path):
    path = tmp_path / "log.jsonl"
    scalars = json.dumps({"kind": "scalars", "step": 1, "time": 1.0, "values": {EVIL: 1.0}}) + "\n"
    path.write_text(head() + scalars + metrics(range(2, 5)) + event(f"skipped{EVIL}", 4, why=EVIL))
    evil = tmp_path / f"run-{EVIL.replace('/', '')}.jsonl"
    evil.write_text(path.read_text() + event("end", 5, why=EVIL))
    for options in (["--once"], ["--once", "--format", "json"], ["--once", "--format", "jsonl"], ["--timeout", "0.5"]):
        done = shell("watch", tmp_path, *options)
        assert done.returncode == 0
        assert not set("\x1b\x07") & set(done.stdout + done.stderr)


def test_state_is_kept_between_watches(log, tmp_path):
    state = tmp_path.parent / f"{tmp_path.name}.state"
    with log.open("a") as file:
        file.write(event("skipped", 19, samples=3) + event("end", 19))
    first = shell("watch", log, "--state", state, "--format", "jsonl")
    second = shell("watch", log, "--state", state, "--format", "jsonl")
    assert '"skipped"' in first.stdout and '"skipped"' not in second.stdout


def test_a_recording_can_be_seen_again(log, tmp_path):
    with log.open("a") as file:
        file.write(event("end", 19))
    tape = tmp_path.parent / f"{tmp_path.name}.rec"
    assert shell("watch", log, "--record", tape).returncode == 0
    log.unlink()
    done = shell("watch", "--replay", tape, "--speed", "20", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["runs"][0]["steps"] == [1, 19]


def test_a_recording_replaces_a_link_and_not_what_it_leads_to(log, tmp_path):
    with log.open("a") as file:
        file.write(event("end", 19))
    kept, link = (tmp_path.parent / f"{tmp_path.name}.{name}" for name in ("kept", "link"))
    kept.write_text("kept")
    link.symlink_to(kept)
    assert shell("watch", log, "--record", link).returncode == 0
    assert kept.read_text() == "kept"
    assert not link.is_symlink() and b"vqdoctor.recording/1" in link.read_bytes()


def test_the_help_shows_examples_and_completion_knows_rules(log):
    assert "vqdoctor watch --demo" in shell("watch", "--help").stdout
    asked = {"_VQDOCTOR_COMPLETE": "bash_complete", "COMP_WORDS": "vqdoctor watch x --until VQ50", "COMP_CWORD": "4"}
    done = subprocess.run([sys.executable, "-m", "vqdoctor"], env=environment(**asked), capture_output=True, text=True, timeout=60)
    assert "VQ501" in done.stdout


@pytest.fixture
def illusion(tmp_path):
    """The bundled EMA illusion: its log, and a checkpoint of the log's name beside it; the log itself speaks of last.pt."""
    for name in ("ema-illusion.log.jsonl", "ema-illusion.pt", "ema-illusion.features.npy", "ema-illusion.features.json"):
        shutil.copy2(SAMPLES / name, tmp_path / name)
    return tmp_path


def findings_of(folder, path):
    done = shell("watch", path, "--once", "--format", "json", folder=folder)
    return json.loads(done.stdout)["runs"][0]["findings"]


@pytest.mark.parametrize("path", [".", "ema-illusion.log.jsonl"])
def test_log_and_checkpoint_tell_of_an_illusion_once_and_the_remedy_names_a_file_that_is_there(illusion, path):
    found = findings_of(illusion, path)
    assert [finding["rule"] for finding in found] == ["VQ501", "VQ103"]
    command = found[0]["remedy"]["command"].split()
    assert (illusion / command[2]).name == "ema-illusion.pt"
    assert "--level" not in command


def test_a_checkpoint_that_is_not_beside_the_log_is_said_to_be_missing(illusion):
    (illusion / "ema-illusion.pt").unlink()
    remedy = findings_of(illusion, ".")[0]["remedy"]
    assert remedy["command"] is None
    assert "last.pt, which the log names, is not beside it" in remedy["text"]


def test_checkpoints_of_others_are_no_news_to_a_log_that_speaks_of_none(illusion):
    (illusion / "other.csv.log").write_text("x=1\n")
    (illusion / "plain.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n')
    assert "beside several logs" not in shell("watch", "plain.jsonl", "--once", folder=illusion).stdout


def test_a_table_without_numbers_is_no_run_of_a_folder_unless_it_is_named(log):
    (log.parent / "items.tsv").write_text("item\ttitle\na1\tred shoe\na2\tblue shoe\n")
    folder = json.loads(shell("watch", log.parent, "--once", "--format", "json").stdout)
    assert [run["path"] for run in folder["runs"]] == [str(log)]
    named = json.loads(shell("watch", log.parent / "items.tsv", "--once", "--format", "json").stdout)
    assert len(named["runs"]) == 1


def test_what_is_named_like_a_checkpoint_is_no_log(tmp_path):
    pointer = tmp_path / "best.pt"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    run = shell("watch", pointer, "--once")
    assert run.returncode == 2 and "is a checkpoint, not a log" in run.stderr

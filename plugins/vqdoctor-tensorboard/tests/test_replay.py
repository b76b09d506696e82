"""Event files read back by TensorBoard itself."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from vqdoctor_tensorboard import main, replay

import vqdoctor


@pytest.fixture
def log(tmp_path):
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / "log.jsonl"
    rows = [{"schema": "vqdoctor.log/1", "kind": "run", "time": 100.0, "run": "../mine"}]
    for step in range(1, 6):
        values = {"usage.batch_utilization": step / 10}
        rows.append({"kind": "metrics", "step": step, "time": 100.0 + step, "quantizer": "vq", "level": 1, "values": values})
        rows.append({"kind": "scalars", "step": step, "time": 100.0 + step, "values": {"loss": 1.0 / step, "odd\x1b[2J": 1}})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_back(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(one.step, pytest.approx(one.value), one.wall_time) for one in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_every_curve_is_there_with_its_steps_and_times(log, tmp_path):
    (folder,) = replay(log, tmp_path / "board")
    curves = read_back(folder)
    assert curves["vq/1/usage.batch_utilization"] == [(step, step / 10, 100.0 + step) for step in range(1, 6)]
    assert curves["loss"] == [(step, 1.0 / step, 100.0 + step) for step in range(1, 6)]
    assert all(tag.isprintable() for tag in curves) and folder.parent == tmp_path / "board"


def test_what_it_writes_vqdoctor_reads(log, tmp_path):
    replay(log, tmp_path / "board")
    (run,) = vqdoctor.watch_once(tmp_path / "board").runs
    assert run.reader == "tensorboard"
    found = {(series.meaning.metric, series.meaning.quantizer, series.meaning.level) for series in run.series}
    assert ("usage.batch_utilization", "vq", 1) in found


def test_a_folder_that_holds_something_is_left_alone(log, tmp_path):
    result = CliRunner().invoke(main, [str(log), "-o", str(log.parent)])
    assert result.exit_code == 2 and "not empty" in result.output
    assert list(log.parent.iterdir()) == [log]


def test_no_log_is_an_error_in_one_line(tmp_path):
    result = CliRunner().invoke(main, [str(tmp_path / "nowhere"), "-o", str(tmp_path / "board")])
    assert result.exit_code == 2 and len(result.output.splitlines()) == 1

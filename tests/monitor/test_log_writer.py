"""The log only grows, is whole after every line, and never holds a NaN that JSON cannot say."""

import json

import numpy as np

from vqdoctor.monitor.log import LogWriter


def _lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_kind_of_line_is_readable_at_once(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    log = LogWriter(path, run="a", config={"decay": 0.9}, clock=lambda: 7.0)
    log.metrics(3, {"usage.used": 2, "usage.perplexity": None}, level=1)
    log.scalars(3, {"loss": float("nan"), "lr": 1e-3})
    log.usage(3, np.array([0, 4, 0, 1]))
    log.event(3, "skipped", {"reason": "too few samples (5 < 9)"})
    run, metrics, scalars, usage, event = _lines(path)  # not closed yet
    assert (run["schema"], run["kind"], run["run"], run["time"]) == ("vqdoctor.log/1", "run", "a", 7.0)
    assert (metrics["level"], metrics["values"]) == (1, {"usage.used": 2, "usage.perplexity": None})
    assert scalars["values"] == {"loss": "nan", "lr": 1e-3}
    assert (usage["codes"], usage["counts"]) == (4, [[1, 4], [3, 1]])
    assert event["detail"]["reason"].startswith("too few")
    log.close()


def test_opened_again_it_appends_without_a_second_run_line(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    for step in (1, 2):
        with LogWriter(path, run="a", config={}, clock=lambda: 0.0) as log:
            log.scalars(step, {"loss": 1.0})
    assert [line["kind"] for line in _lines(path)] == ["run", "scalars", "scalars"]


def test_without_a_path_it_writes_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LogWriter(None, run="a", config={}, clock=lambda: 0.0) as log:
        log.event(1, "end")
    assert not list(tmp_path.iterdir())

"""Formats with named fields: JSON lines of any keys, our own log, documents, CSV; which key is the step, what is a curve."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.logs import Log

DATA = Path(__file__).parents[1] / "data" / "logs"


def read(data: bytes | str, name: str) -> Log:
    log = Log(name)
    log.feed(data if isinstance(data, bytes) else data.encode())
    log.finish()
    return log


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def points(log: Log) -> dict[str, list[tuple[float, float]]]:
    return {
        series.key.label: list(zip(series.steps.tolist(), series.values.tolist(), strict=True)) for series in log.store.series()
    }


def test_nested_keys_lists_and_text_numbers():
    log = read(lines({"step": 5, "vq": {"usage": [0.5, "0.25"], "name": "x", "on": True}, "lr": 1}), "a.jsonl")
    assert points(log) == {"lr": [(5, 1)], "vq.usage.0": [(5, 0.5)], "vq.usage.1": [(5, 0.25)], "vq.on": [(5, 1)]}


@pytest.mark.parametrize(
    "key", ["step", "global_step", "current_steps", "trainer/global_step", "Iteration", "num_updates", "epoch"]
)
def test_the_step_goes_by_many_names(key):
    assert points(read(lines({key: 7, "loss": 1}, {"loss": 2, key: 9}), "a.jsonl")) == {"loss": [(7, 1), (9, 2)]}


def test_rows_without_a_step_stand_at_the_last_one():
    rows = [{"epoch": 1, "a": 0}, {"step": 100, "a": 1}, {"epoch": 1, "b": 2}, {"c": 3}, {"step": 200, "epoch": 2, "a": 4}]
    assert points(read(lines(*rows), "a.jsonl")) == {"a": [(1, 0), (100, 1), (200, 4)], "b": [(100, 2)], "c": [(100, 3)]}
    assert points(read(lines({"a": 1}, {"a": 2}), "a.jsonl")) == {"a": [(0, 1), (1, 2)]}


def test_times_are_no_curves():
    log = read(lines({"step": 1, "timestamp": 1.7e9, "a": 1}, {"step": 2, "timestamp": "later", "a": 2}), "a.jsonl")
    [series] = log.store.series()
    assert series.key.name == "a" and series.times[0] == 1.7e9 and math.isnan(series.times[1])


def test_the_same_key_in_rows_of_other_shapes_keeps_its_order():
    rows = [{"step": i, "a": i, **({"b": 1} if i % 3 else {"c": None, "d": "text"})} for i in range(50)]
    assert points(read(lines(*rows), "a.jsonl"))["a"] == [(i, i) for i in range(50)]


def test_a_key_that_is_sometimes_null_or_text():
    rows = [{"step": i, "a": [1.5, None, "nan", "off", "2.5"][i % 5]} for i in range(10)]
    log = read(lines(*rows), "a.jsonl")
    assert points(log)["a"] == [(0, 1.5), (4, 2.5), (5, 1.5), (9, 2.5)]
    assert [event.step for event in log.store.events] == [2, 7]


def test_python_s_nan_and_broken_lines():
    log = read(
        '{"step": 1, "a": NaN}\n{"step": 2, "a": 1}\n{"step": 3, "a": -Infinity}\nbroken\n[1]\n"x"\n{"step": 4, "a"\n\n', "a.jsonl"
    )
    assert points(log) == {"a": [(2, 1)]}
    assert [event.detail["value"] for event in log.store.events] == ["nan", "-inf"]
    assert log.notes == ["Left out: 4 lines that could not be read."]


def test_limits_are_said():
    wide = {f"k{i}": i for i in range(2500)}
    log = read(
        lines({"step": 1, **wide}) + '{"step": 2, "long": "' + "x" * (1 << 20) + '"}\n' + lines({"step": 3, "k0": 7}), "a.jsonl"
    )
    assert len(log.store.keys) == 500
    assert points(log)["k0"] == [(1, 0), (3, 7)]
    assert log.notes == [
        "Left out: 1 line over 1 MiB, the keys past the first 2000 of 1 row.",
        "Left out: the numbers of 1500 series past the first 500.",
    ]


def test_deep_nesting_ends():
    deep = "[" * 100_000
    log = read(
        '{"step": 1, "a": ' + deep + "\n" + lines({"step": 2, "b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": 1}}}}}}}}}),
        "a.jsonl",
    )
    assert log.store.keys == () and log.notes == ["Left out: 1 line that could not be read."]


def test_whole_numbers_of_any_size():
    log = read('{"step": 1, "a": 123456789012345678901234567890}\n{"step": 2, "a": 1' + "0" * 400 + "}\n", "a.jsonl")
    assert points(log)["a"] == [(1, 123456789012345678901234567890.0)]


def test_our_own_log():
    log = read(
        lines(
            {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.7e9, "run": "r", "config": {"a": 1}},
            {
                "kind": "metrics",
                "step": 1,
                "time": 1.7e9,
                "quantizer": "vq",
                "level": 1,
                "values": {"usage.used": 3, "usage.gini": None},
            },
            {"kind": "metrics", "step": 1, "quantizer": "vq", "level": 0, "values": {"levels.gain_db": [1.0, 2.0]}},
            {"kind": "scalars", "step": 2, "values": {"loss": "inf", "lr": 0.1}},
            {"kind": "usage", "step": 2, "quantizer": "vq", "level": 1, "codes": 8, "counts": [[3, 5], [4, "x"]]},
            {"kind": "event", "step": 2, "event": "skipped", "detail": {"reason": "too few"}},
            {"kind": "other"},
        ),
        "log.jsonl",
    )
    assert points(log) == {"vq[1]:usage.used": [(1, 3)], "lr": [(2, 0.1)], "vq[0]:levels.gain_db.0": [(1, 1)],
                           "vq[0]:levels.gain_db.1": [(1, 2)], "loss": []}  # fmt: skip
    meanings = {series.key.label: (series.meaning.metric, series.meaning.level) for series in log.store.series()}
    assert meanings["vq[1]:usage.used"] == ("usage.used", 1) and meanings["vq[0]:levels.gain_db.1"] == ("levels.gain_db", 1)
    assert [(event.kind, event.step) for event in log.store.events] == [("non-finite", 2), ("run", None), ("skipped", 2)]
    [usage] = log.store.usage()
    assert usage.detail | {"counts": None} == {"quantizer": "vq", "level": 1, "codes": 8, "counts": None}
    assert usage.detail["counts"].tolist() == [[3, 5]]
    assert log.notes == ["Left out: 1 line that could not be read."]


def test_documents():
    assert points(read('[{"epoch": 1, "a": 1}, {"epoch": 2, "a": 2}]', "a.json")) == {"a": [(1, 1), (2, 2)]}
    assert points(read('{"loss": [0.5, 0.25, null], "epoch": [1, 2, 3]}', "a.json")) == {"loss": [(1, 0.5), (2, 0.25)]}
    assert points(read('{"10": {"a": 1}, "20": {"a": 2}}', "a.json")) == {"a": [(10, 1), (20, 2)]}
    assert points(read('{"best": 1, "log_history": [{"step": 1, "a": 1}, {"step": 2, "a": 2}]}', "trainer_state.json"))["a"] == [
        (1, 1),
        (2, 2),
    ]
    assert points(read('{\n "step": 1,\n "a": 1\n}\n{\n "step": 2,\n "a": 2\n}\n', "log")) == {"a": [(1, 1), (2, 2)]}


def test_a_list_still_being_written():
    log = Log("a.json")
    log.feed(b'[{"epoch": 1, "a": 1},\n {"epoch": 2, "a"')
    assert points(log) == {"a": [(1, 1)]}
    log.feed(b": 2}")
    assert points(log) == {"a": [(1, 1), (2, 2)]}


def test_lightning_csv():
    log = read("epoch,step,train/loss_step,val/perplexity\n0,49,0.5,\n0,99,,12.5\n1,149,0.25,\n", "metrics.csv")
    assert points(log) == {"train/loss_step": [(49, 0.5), (149, 0.25)], "val/perplexity": [(99, 12.5)]}


def test_csv_with_a_new_header_quotes_and_short_rows():
    log = read('step;a;"b;c"\n1;1;"2"\n2;1\nstep;a;"b;c";d\n3;1;2;"3"\n', "x.csv")
    assert points(log) == {"a": [(1, 1), (3, 1)], "b;c": [(1, 2), (3, 2)], "d": [(3, 3)]}
    assert log.notes == ["Left out: 1 line that could not be read."]
    assert points(read("1,2\n3,4\n", "x.csv")) == {"column 0": [(0, 1), (1, 3)], "column 1": [(0, 2), (1, 4)]}


def test_a_language_model_s_log_has_no_codebook():
    log = read((DATA / "genrec_trainer_log_part.jsonl").read_bytes(), "trainer_log.jsonl")
    assert log.reader.name == "jsonl" and log.notes == []
    series = {one.key.name: one for one in log.store.series()}
    assert set(series) == {"total_steps", "loss", "lr", "percentage", "eval_loss"}
    assert all(one.meaning.metric is None for one in series.values())
    assert series["loss"].n == 40 and series["eval_loss"].steps.tolist() == [128, 256]


def test_a_list_of_epochs():
    log = read((DATA / "aktasumitt_train_results.json").read_bytes(), "train_results.json")
    assert log.reader.name == "json"
    train, valid = log.store.series()
    assert (train.n, valid.n, train.last_step) == (99, 99, 99) and train.meaning.metric is None
    assert np.array_equal(train.steps, np.arange(1, 100)) and train.first == pytest.approx(72022.53002453852)

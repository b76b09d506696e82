"""The JSON report: the contract's keys in its order, what is undefined null, ASCII only, and valid by the schema we ship."""

import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty_reports import REPORTS, sick

from vqdoctor.render import Screen, renderer
from vqdoctor.render.to_json import plain, pretty, report_object, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())
CONTRACT = {
    "source": ["path", "kind", "bytes", "sha256", "info"],
    "sample": ["path", "kind", "n", "dropped", "population", "batch"],
    "quantizer": [
        "name",
        "layout",
        "evidence",
        "structure",
        "metric",
        "metric_basis",
        "levels",
        "metrics",
        "groups",
        "map",
        "prefixes",
    ],
    "level": ["index", "key", "ema_count_key", "ema_sum_key", "codes", "dim", "dtype", "metrics", "counts"],
    "finding": ["rule", "name", "severity", "where", "message", "evidence", "confidence", "remedy", "next"],
}


def as_json(*reports, form="json"):
    return renderer(form).render(reports, Screen())


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_valid_and_ascii(name):
    text = as_json(REPORTS[name]())
    assert text.isascii()
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    VALIDATOR.validate(json.loads(text))


def test_several_reports_share_one_document_and_jsonl_gives_a_line_each():
    reports = [make() for make in REPORTS.values()]
    document = json.loads(as_json(*reports))
    VALIDATOR.validate(document)
    assert document["schema"] == "vqdoctor.reports/1"
    lines = as_json(*reports, form="jsonl").splitlines()
    assert [json.loads(line) for line in lines] == document["reports"]
    assert json.loads(as_json()) == {"schema": "vqdoctor.reports/1", "reports": []}


def test_keys_stand_in_the_order_of_the_contract():
    report = report_object(sick())
    assert list(report) == ["schema", "version", "source", "sample", "quantizers", "findings", "verdict", "unmeasured"]
    quantizer = report["quantizers"][0]
    parts = {
        "source": report["source"],
        "sample": report["sample"],
        "quantizer": quantizer,
        "level": quantizer["levels"][0],
        "finding": report["findings"][0],
    }
    for name, part in parts.items():
        assert [key for key in part if key in CONTRACT[name]] == CONTRACT[name]


def test_undefined_is_null_and_counts_are_sparse():
    level = report_object(sick())["quantizers"][0]["levels"][0]
    assert level["metrics"]["distortion.snr_db"] is None
    assert level["counts"] == {"440": 65101, "17": 432}
    assert "facts" not in level


def test_a_capacity_beyond_64_bits_stays_a_number():
    quantizer = replace(sick().quantizers[0], metrics={"collision.capacity": 1024**8})
    written = json.loads(as_json(replace(sick(), quantizers=(quantizer,))))
    VALIDATOR.validate(written)
    assert written["quantizers"][0]["metrics"]["collision.capacity"] == 2.0**80


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda report: report["quantizers"][0]["levels"][0]["metrics"].update({"Usage": 1}), "a metric's name"),
        (lambda report: report["quantizers"][0]["levels"][0]["metrics"].update({"usage.used": "2"}), "a metric's type"),
        (lambda report: report["quantizers"][0]["levels"][0]["counts"].update({"x": 1}), "a code"),
        (lambda report: report["quantizers"][0]["levels"][0]["counts"].update({"3": 0}), "a count of nothing"),
        (lambda report: report["findings"][0].update(severity="fatal"), "a severity"),
        (lambda report: report.update(verdict="fine"), "a verdict"),
        (lambda report: report["source"].update(sha256="abc"), "a hash"),
        (lambda report: report.pop("unmeasured"), "a missing key"),
    ],
)
def test_schema_refuses(change, broken):
    report = report_object(sick())
    change(report)
    assert not VALIDATOR.is_valid(report), broken


def test_numpy_and_other_values_become_plain():
    value = {"a": np.float32(0.5), 3: np.int64(7), "b": np.array([1, 2]), "c": (np.bool_(True), None), "d": b"x", "e": math.inf}
    assert plain(value) == {"a": 0.5, "3": 7, "b": [1, 2], "c": [True, None], "d": "b'x'", "e": None}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_pretty_is_json_and_loses_nothing(value):
    tidy = plain(value)
    assert json.loads(pretty(tidy)) == tidy

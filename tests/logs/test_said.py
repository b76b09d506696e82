"""Events that say anything at all: what the store keeps of them can be compared, judged and written by every view."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqdoctor.app.watching.once import look_once
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.logs import SeriesStore
from vqdoctor.logs.said import LONGEST, VALUES, tidy, weight
from vqdoctor.logs.store import EVENT_BYTES, LONGEST_NAME, USAGE_BYTES
from vqdoctor.model import Event
from vqdoctor.render import watch_json, watch_text
from vqdoctor.render.screen import Screen

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMED = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("quantizer", "level", "rank", "file", "hash", "rules", "counts", "codes"), ANYTHING)
)


@settings(deadline=None)
@given(kind=ANYTHING, step=ANYTHING, detail=NAMED, time=ANYTHING)
def test_whatever_is_said_can_be_written_and_told_apart(kind, step, detail, time):
    event = tidy(Event(kind, step, detail, time))
    said = orjson.dumps([event.kind, event.step, event.time, event.detail], option=orjson.OPT_SERIALIZE_NUMPY)
    assert said.decode("utf-8") and weight(event) > 0
    hash(tuple(event.detail.get(name) for name in ("quantizer", "level", "rank", "file", "hash")))


LINES = {
    "brackets without end": {"a": json.loads("[" * 900 + "]" * 900)},
    "text that is no text": {"\ud800": "\ud800\x1b[2J"},
    "a whole number of many digits": {"a": float("nan"), "b": 10**30},
    "lists where names belong": {
        "level": [1],
        "quantizer": {"a": 1},
        "file": ["x"],
        "rank": [0],
        "hash": [],
        "measured": True,
        "rules": 5,
    },
}


@pytest.mark.parametrize("said", LINES)
@pytest.mark.parametrize("kind", ["kmeans-reinit", "checkpoint", "digest", "usage"])
def test_a_log_that_says_anything_is_shown(said, kind, tmp_path):
    rows = [
        {"schema": "vqdoctor.log/1", "kind": "run", "run": LINES[said], "config": LINES[said]},
        {"kind": "metrics", "step": 1, "quantizer": "vq", "level": 0, "values": {"ema.active": 4}},
        {"kind": "event", "step": 1, "event": kind, "detail": LINES[said]},
        {"kind": "usage", "step": 1, "counts": [[0, 1], [[], 2], None], "codes": LINES[said], **LINES[said]},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    view = look_once([str(path)], WatchRequest())
    json.loads(watch_json.render(view, Screen()))
    assert "\x1b[2J" not in watch_text.render(view, Screen())


def test_an_event_is_cut_where_it_is_too_large():
    [kept] = [tidy(Event("run", None, {"config": {str(i): "x" * 10_000 for i in range(2 * VALUES)}}))]
    assert len(kept.detail["config"]) < VALUES and len(kept.detail["config"]["0"]) == LONGEST


def test_events_take_a_bounded_room():
    store = SeriesStore()
    large = Event("dead-reset", 1.0, {str(i): "x" * LONGEST for i in range(256)})
    store.add([large] * 200)
    assert sum(map(weight, store.events)) <= EVENT_BYTES and store.faults.counts["event"] == 200 - len(store.events)
    counts = [[code, 1] for code in range(1 << 14)]
    usage = tidy(Event("usage", 1.0, {"counts": counts}))
    store.add([Event("usage", float(i), usage.detail | {"level": i % 100}) for i in range(1000)])
    assert 0 < sum(map(weight, store.usage())) <= USAGE_BYTES


def test_names_that_are_data_are_counted_and_not_kept():
    from vqdoctor.logs.readers.json_lines import JsonLines

    store, reader = SeriesStore(), JsonLines()
    for i in range(64):
        store.add(reader.feed(json.dumps({"step": i, "a": 1, f"{i}" + "x" * (1 << 16): i}).encode() + b"\n"))
    assert [key.name for key in store.keys] == ["a"] and store.faults.counts == {"name": 64}
    assert store.faults.summary() == f"Left out: the numbers of 64 series with a name of over {LONGEST_NAME} characters."

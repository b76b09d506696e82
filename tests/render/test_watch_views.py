"""The views of a watch, word for word, and what must never be in them. To accept a change: VQDOCTOR_UPDATE_GOLDEN=1."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from watched import watched

from vqdoctor.app.watching.changes import Change, Changes
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.model import Event
from vqdoctor.render import Screen, watch_json, watch_lines, watch_text
from vqdoctor.render.vital_signs import level_signs

FRAMES = Path(__file__).parent / "watch_frames"
SCREENS = {
    "80.txt": Screen(width=80),
    "120.txt": Screen(width=120),
    "200.txt": Screen(width=200),
    "ascii.txt": Screen(width=100, unicode=False),
    "json": None,
}


@pytest.fixture
def view(tmp_path):
    return watched(tmp_path)


def agreed(name, text):
    path = FRAMES / name
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCREENS)
def test_frame_is_as_agreed(view, name):
    screen = SCREENS[name]
    agreed(name, watch_json.render(view, Screen()) if screen is None else watch_text.render(view, screen))


@pytest.mark.parametrize("name", [name for name, screen in SCREENS.items() if screen])
def test_no_frame_drives_a_terminal_or_is_too_wide(view, name):
    text = watch_text.render(view, SCREENS[name])
    assert all(line.isprintable() for line in text.replace("\u202f", "").replace("\u00a0", "").split("\n"))
    prose = [line for line in text.split("\n") if "vqdoctor " not in line]  # commands are to be copied whole
    assert max(map(len, prose)) <= SCREENS[name].width
    if name == "ascii.txt":
        assert text.isascii()


def test_the_frame_says_what_matters(view):
    text = watch_text.render(view, Screen(width=120)).replace("\u202f", " ").replace("\u00a0", " ")
    for words in (
        "● live",
        "step 2 000 / 4 000",
        "collapse-onset since step 1 000",
        "unique 3 359 of 3 883",
        "not there yet",
        "grew 3 s ago",
    ):
        assert words in text


def test_json_is_what_the_schema_says(view):
    found = watch_json.watch_object(view)
    jsonschema.validate(found, watch_json.schema())
    run = found["runs"][0]
    assert list(run) == ["path", "reader", "state", "steps", "series", "events", "findings"]
    assert run["steps"] == [20, 2000]
    assert run["series"]["loss"] == {
        "metric": None, "n": 100, "first": 0.05, "last": 0.0005, "min": 0.0005, "max": 0.05, "last_step": 2000,
    }  # fmt: skip
    assert run["series"]["quantizer[1]:ema.utilization"]["metric"] == "ema.utilization"
    assert run["series"]["collision.unique"]["last"] == 3359
    assert [finding["rule"] for finding in run["findings"]] == ["VQ501", "VQ502"]


def test_the_schema_refuses_what_the_contract_does_not_have(view):
    found = watch_json.watch_object(view)
    found["runs"][0]["state"] = "sleeping"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, watch_json.schema())


def test_lines_are_one_a_change_and_drive_no_terminal(view):
    changes = Changes().since(view)
    text = "".join(watch_lines.change_text(change, Screen()) for change in changes)
    assert "VQ501 collapse-onset  quantizer[1]  since step 1\u202f000" in text
    assert not any(character in text for character in "\x1b\u202e")
    assert sum("● live" in line for line in text.splitlines()) == 2
    assert "samples 3" not in text  # the event was there before the watch


def test_json_lines_hold_every_kind(view):
    lines = [json.loads(watch_json.change_line(change)) for change in Changes().since(view)]
    assert {line["kind"] for line in lines} == {"run", "event", "finding", "points"}
    finding = next(line for line in lines if line["kind"] == "finding")
    assert finding["rule"] == "VQ501" and finding["step"] == 1000 and finding["evidence"]["onset_step"] == 1000


def test_new_events_are_told_alike_ones_counted(view):
    run = view.runs[0]
    one = Change("event", run.name, run.path, 5.0, Event("dead-reset", 5.0, {"codes": 3}), False, run)
    assert "dead-reset  codes 3" in watch_lines.change_text(one, Screen())
    values = {"event": "dead-reset", "n": 37, "first_step": 1.0, "last_step": 37.0}
    assert "dead-reset ×37, steps 1 to 37" in watch_lines.change_text(replace(one, kind="events", of=values), Screen())


def test_signs_are_of_whole_samples_as_long_as_those_go_on(tmp_path):
    path = tmp_path / "log.jsonl"

    def rows(metric, steps):
        return [json.dumps({"kind": "metrics", "step": s, "quantizer": "q", "level": 0, "values": {metric: 0.5}}) for s in steps]

    def real(rows):
        path.write_text("\n".join(['{"schema":"vqdoctor.log/1","kind":"run","run":"r","config":{}}', *rows]) + "\n")
        [signs] = level_signs(Watcher([path], clock=lambda: 1e9).finish().runs[0])
        return signs.real.meaning.metric

    found = rows("usage.batch_utilization", range(1, 101)) + rows("usage.utilization", (20, 40, 60, 80))
    assert real(found) == "usage.utilization"
    assert real(found + rows("usage.batch_utilization", range(101, 300))) == "usage.batch_utilization"

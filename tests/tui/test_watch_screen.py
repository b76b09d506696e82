"""The watch screen under a pilot: every key does something, nothing in a log is markup, nothing is drawn that did not change."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from piloted import look_of, press, until
from textual.widgets import Input
from watched_runs import COLLAPSE, NASTY, Given, log, run_view, two_runs

from vqdoctor.app.watching.view import WatchView
from vqdoctor.errors import MissingInput
from vqdoctor.tui.actions import conflicts
from vqdoctor.tui.chart_pane import ChartPane
from vqdoctor.tui.details import FindingScreen
from vqdoctor.tui.export import frame
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.watch_actions import WATCH_ACTIONS
from vqdoctor.tui.watch_app import WatchApp
from vqdoctor.tui.watch_state import WatchState

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(80, 24), (120, 40)]
VIEW = two_runs()
FIRST = {  # keys that must come before, so that an action can be seen to do something
    "cursor_right": "left", "cursor_right_far": "shift+left", "live": "left", "zoom_out": "plus", "whole": "plus", "back": "left",
    "open": "e",
}  # fmt: skip


def drive(steps, *views, size=(120, 40), **options):
    """Run the app over `views` and hand it to `steps`; what `steps` returns."""

    async def run():
        given = Given(*(views or (VIEW,)))
        app = WatchApp(lambda: given, interval=0.02, **options)
        async with app.run_test(size=size) as pilot:
            newest = given.views[-1].version
            await until(pilot, lambda: app.watch_screen.model.view.version == newest and app.watch_screen.layout_now)
            await pilot.pause()
            return await steps(app, pilot)

    return asyncio.run(run())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_key_of_the_table_does_something(size, tmp_path, monkeypatch):
    async def steps(app, pilot):
        screen, idle, left = app.watch_screen, [], []
        monkeypatch.setattr(app, "exit", lambda *_: left.append(1))
        for action in WATCH_ACTIONS:
            for key in action.keys if size == SIZES[0] else action.keys[:1]:
                screen.state, screen.paused = WatchState(), False
                screen.set_focus(screen.query_one("#findings", Pane) if action.name in ("open", "zoom_pane") else None)
                screen.redraw()
                await press(pilot, FIRST.get(action.name, ""))
                if action.group == "lists" and action.name.endswith(("up", "down")):
                    screen.set(tab="numbers")
                    screen.set_focus(screen.query_one("#side", Pane))
                    screen.query_one("#side", Pane).choose(20)
                    await pilot.pause()
                before = look_of(app), len(left)
                await press(pilot, key)
                if (look_of(app), len(left)) == before:
                    idle.append(f"{key} ({action.name})")
                while len(app.screen_stack) > 2:
                    app.pop_screen()
                screen.query_one("#filter", Input).remove_class("-open")
        return idle

    assert drive(steps, size=size, folder=str(tmp_path)) == []


def test_no_key_is_taken_twice():
    assert conflicts(WATCH_ACTIONS) == []


def test_the_page_of_keys_is_the_table():
    from vqdoctor.tui.actions import markdown

    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert markdown("vqdoctor watch", WATCH_ACTIONS).strip() in page


SHOTS = {  # name: size, keys, options
    "watch.80": ((80, 24), "", {}), "watch.120": ((120, 40), "", {}), "watch.ascii": ((100, 30), "e", {"unicode": False}),
    "watch.compare": ((120, 36), "b right_square_bracket c", {}), "watch.runs": ((120, 36), "b v", {}),
    "watch.series": ((120, 36), "v v v", {}), "watch.log": ((80, 24), "V V", {}), "watch.finding": ((100, 30), "e enter", {}),
    "watch.cure": ((80, 24), "e e r", {}), "watch.help": ((100, 60), "question_mark", {}),
    "watch.zoomed": ((100, 24), "tab tab z", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOTS)
def test_the_screen_is_as_agreed(name):
    """To accept a change: VQDOCTOR_UPDATE_GOLDEN=1, then read the diff."""
    size, keys, options = SHOTS[name]

    async def steps(app, pilot):
        await press(pilot, keys)
        await pilot.pause()
        return "\n".join(frame(app)) + "\n"

    text = drive(steps, size=size, **options)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_no_picture_is_left_behind():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SHOTS)


def odd_views():
    one = [{"schema": "vqdoctor.log/1", "kind": "run", "run": "x"}, {"kind": "scalars", "step": 1, "values": {"loss": 1.0}}]
    many = [run_view(log(f"r{i}", steps=1000, seed=i), f"run-{i:02}", findings=(COLLAPSE,) * (i % 3 == 0)) for i in range(40)]
    nan = [{"step": i, "loss": float("nan") if i % 2 else 1.0, "vq/perplexity": float("inf")} for i in range(20)]
    stepless = b"loss: 0.5\nloss: 0.4\n"
    ends = [1e308, -1e308, 0.0, 5e-324, 1e15]
    huge = [{"step": step, "loss": value, "usage.utilization": value} for step in (-1e300, 0, 1, 1e300) for value in ends]
    return {
        "nothing": WatchView((), 1, ("runs/late.jsonl",)), "empty": WatchView((run_view(b"", state="waiting"),), 1),
        "one point": WatchView((run_view(b"".join(json.dumps(row).encode() + b"\n" for row in one)),), 1),
        "many runs": WatchView(tuple(many), 1),
        "nan": WatchView((run_view(b"".join(json.dumps(row).encode() + b"\n" for row in nan)),), 1),
        "huge": WatchView((run_view(b"".join(json.dumps(row).encode() + b"\n" for row in huge)),), 1),
        "no steps": WatchView((run_view(stepless),), 1),
        "failed": WatchView((run_view(log("x", steps=400), state="failed"),), 1),
    }  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (40, 12)], ids=str)
@pytest.mark.parametrize("name", ["nothing", "empty", "one point", "many runs", "nan", "huge", "no steps", "failed"])
def test_odd_runs_are_shown_and_survive_all_keys(name, size, tmp_path):
    async def steps(app, pilot):
        first = frame(app)
        for action in WATCH_ACTIONS:
            if action.name not in ("quit", "palette", "help", "save_view", "search"):
                await app.watch_screen.run_action(action.name)
        await pilot.pause()
        while len(app.screen_stack) > 2:
            app.pop_screen()
        assert app.is_running and len(frame(app)) == size[1]
        return "\n".join(first)

    shown = drive(steps, odd_views()[name], size=size, folder=str(tmp_path))
    expected = {"nothing": "late.jsonl", "empty": "waiting", "many runs": "run-00", "failed": "failed"}
    assert expected.get(name, "") in shown


def test_nothing_in_a_log_is_markup_or_drives_the_terminal():
    finding = replace(
        COLLAPSE, message=NASTY, name=NASTY, where=NASTY, evidence={NASTY: NASTY}, remedy=replace(COLLAPSE.remedy, command=NASTY)
    )
    rows = [{"step": i, NASTY: i, "event": NASTY} for i in range(5)]
    data = log(NASTY, steps=1000, extra=NASTY) + b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    run = run_view(data, NASTY, findings=(finding,), notes=(NASTY,))
    view = WatchView((run, replace(run, path=NASTY, name=NASTY + "2")), 1, (NASTY,))

    async def steps(app, pilot):
        seen = []
        for keys in ("", "v", "v", "v", "e enter", "r", "escape n"):
            await press(pilot, keys)
            seen += frame(app)
            while len(app.screen_stack) > 2:
                app.pop_screen()
        return "\n".join(seen)

    shown = drive(steps, view, size=(160, 50))
    assert "[bold red]x[/] \\x1b[2J\\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_without_colours_there_are_none():
    async def steps(app, pilot):
        colors = set()
        for keys in ("e", "v", "question_mark"):
            await press(pilot, keys)
            for strip in app.screen._compositor.render_strips():
                styles = [segment.style for segment in strip if segment.style]
                colors |= {color.name for style in styles for color in (style.color, style.bgcolor) if color is not None}
        return colors

    assert drive(steps, no_color=True) == {"default"}


def test_a_jump_shows_run_level_and_onset():
    async def steps(app, pilot):
        screen = app.watch_screen
        await press(pilot, "right_square_bracket")
        assert screen.run.name == "rq-base-3"
        await press(pilot, "e")
        assert (screen.run.name, screen.state.cursor, screen.model.level(screen.state).name) == ("rq-tuned-7", 11_200, "1")
        charts = [screen.query_one(f"#chart-{i}", ChartPane).chart for i in range(4)]
        assert {chart.cursor for chart in charts} == {11_200} and charts[0].onset == 11_200
        await press(pilot, "e")
        assert screen.state.cursor == 8000
        await press(pilot, "E a")
        assert [one.finding.rule for one in screen.found] == ["VQ502", "VQ501"] and len(screen.state.acknowledged) == 1

    drive(steps)


def test_a_held_picture_counts_what_comes():
    later = run_view(log("rq-tuned-7", steps=13_600), version=2)

    async def steps(app, pilot):
        screen = app.watch_screen
        await press(pilot, "space")
        before = screen.query_one("#chart-0", ChartPane).text()
        screen.take(replace(VIEW, runs=(later, VIEW.runs[1]), version=2))
        await pilot.pause()
        assert "paused +1\u202f200 steps" in frame(app)[0] and screen.query_one("#chart-0", ChartPane).text() == before
        await press(pilot, "space")
        assert "paused" not in frame(app)[0] and "13\u202f600" in frame(app)[0]

    drive(steps)


def test_what_did_not_change_is_not_drawn_again():
    async def steps(app, pilot):
        screen = app.watch_screen
        panes = list(screen.query(Pane))
        counts = [pane.painted for pane in panes]
        screen.take(replace(VIEW, version=5))
        screen.redraw()
        await pilot.pause(0.1)
        assert [pane.painted for pane in panes] == counts
        behind = replace(VIEW.runs[0], version=9, behind=5_000_000)
        screen.take(replace(VIEW, version=6, runs=(behind, VIEW.runs[1])))
        await pilot.pause(0.1)
        assert {pane.id for pane, count in zip(panes, counts, strict=True) if pane.painted > count} == {"header"}

    drive(steps)


def test_the_filter_is_a_draft_until_it_is_kept():
    async def steps(app, pilot):
        screen = app.watch_screen
        await press(pilot, "slash l o s s")
        assert {plan.name for plan in screen.plans} == {"loss"} or all(
            "loss" in " ".join((plan.name, *plan.words)) for plan in screen.plans
        )
        await press(pilot, "escape")
        assert screen.state.filter == "" and len(screen.plans) > 5
        await press(pilot, "slash a u x enter")
        assert screen.state.filter == "aux" and [plan.name for plan in screen.plans] == ["aux/[b]"]
        assert "unknown key, not judged" in "\n".join(frame(app))
        await press(pilot, "escape")
        assert screen.state.filter == ""

    drive(steps)


def test_the_mouse_sets_the_cursor_and_opens_findings():
    async def steps(app, pilot):
        screen = app.watch_screen
        await pilot.click("#chart-0", offset=(40, 3))
        assert 200 < screen.state.cursor < 12_400
        await pilot.click("#findings", offset=(10, 1))
        assert screen.state.finding and screen.state.cursor == 11_200
        await pilot.click("#findings", offset=(10, 1))
        assert isinstance(app.screen, FindingScreen)
        await press(pilot, "escape")
        await pilot.click("#vitals", offset=(10, 4))
        assert screen.model.level(screen.state).name == "2"

    drive(steps)


def test_what_is_seen_is_saved_as_data(tmp_path):
    async def steps(app, pilot):
        await press(pilot, "e S")
        await pilot.pause()

    drive(steps, folder=str(tmp_path))
    data = json.loads((tmp_path / "vqdoctor-watch-1.json").read_text(encoding="utf-8"))
    assert data["cursor"] == 11_200 and data["level"] == "1" and data["findings"][0]["onset_step"] == 11_200
    assert [level["level"] for level in data["vitals"]] == ["0", "1", "2"] and data["vitals"][1]["codes"] == 64
    assert data["charts"][0]["name"] == "use" and data["charts"][0]["curves"][0]["pieces"][0]["steps"]
    assert (tmp_path / "vqdoctor-watch-1.svg").exists() and "VQ501" in (tmp_path / "vqdoctor-watch-1.txt").read_text(
        encoding="utf-8"
    )


class Broken(Given):
    def poll(self):
        raise MissingInput("it is gone", where="runs/x")


def test_what_the_reader_raises_ends_the_screen():
    async def run():
        broken = Broken(VIEW)
        app = WatchApp(lambda: broken, interval=0.02)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.reader.failure and broken.closed)
        assert isinstance(app.reader.failure, MissingInput) and broken.closed

    asyncio.run(run())


def test_a_condition_ends_the_screen_with_its_status_and_the_watcher_is_closed():
    async def run():
        given = Given(VIEW)
        app = WatchApp(lambda: given, interval=0.02, until=lambda view: 1 if view.runs[0].findings else None)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 1 and app.reader.failure is None
        app.reader.join(timeout=30)
        assert given.closed

    asyncio.run(run())


def test_a_terminal_that_was_slow_is_shown_the_newest_view_only():
    async def steps(app, pilot):
        taken = []
        app.watch_screen.take = taken.append
        for version in range(7, 12):
            app._show(replace(VIEW, version=version))
        await until(pilot, lambda: taken)
        return [view.version for view in taken]

    assert drive(steps) == [11]


def test_an_idle_watch_draws_nothing():
    async def steps(app, pilot):
        screen = app.watch_screen
        taken = []
        screen.take = taken.append
        painted = sum(pane.painted for pane in screen.query(Pane))
        await pilot.pause(0.4)
        assert not taken and sum(pane.painted for pane in screen.query(Pane)) == painted

    drive(steps)

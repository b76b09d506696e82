"""The inspect screen under a pilot: every key does something, no name is markup, 16 384 codes cost what is seen of them."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inspected import CODES, NASTY, blind, bookless, healthy, nasty, report_of
from safetensors.numpy import save_file

from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import InputError, MissingInput
from vqdoctor.tui.actions import conflicts, markdown
from vqdoctor.tui.base import BaseApp
from vqdoctor.tui.export import frame
from vqdoctor.tui.inspecting.app import InspectApp, LoadingScreen
from vqdoctor.tui.inspecting.browsing import VIEWS, Browsing
from vqdoctor.tui.inspecting.keys import ACTIONS
from vqdoctor.tui.inspecting.prompt import Prompt
from vqdoctor.tui.inspecting.screen import InspectScreen
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.repair_screen import RepairScreen

GOLDEN = Path(__file__).parent / "golden_inspect"
REPORT = report_of()


class Opened(BaseApp):
    """The screen over reports that are there already."""

    def __init__(self, *reports, **options):
        super().__init__(**options)
        self.browsing = Browsing(list(reports or (REPORT,)))

    def on_mount(self) -> None:
        self.push_screen(InspectScreen(self.browsing))


def drive(steps, *reports, size=(120, 40), **options):
    """Run the app and hand it to `steps`; what `steps` returns."""

    async def run():
        app = Opened(*reports, **options)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            return await steps(app, pilot)

    return asyncio.run(run())


async def press(pilot, keys):
    for key in keys.split():
        await pilot.press(key)
        await pilot.pause()


def look_of(app):
    """Everything by which a user could tell that a key did something."""
    cells = [(segment.text, str(segment.style)) for strip in app.screen._compositor.render_strips() for segment in strip]
    return (
        cells,
        app.screen.focused and app.screen.focused.id,
        len(app.screen_stack),
        app.look.name,
        app.clipboard,
        os.listdir(app.folder),
    )


BEFORE = {  # keys that must come before, so that an action can be seen to do something
    "view_overview": "2", "back": "2", "up": "2 down", "page_up": "2 end", "top": "2 end", "previous_pane": "tab", "next_sort": "2",
    "reverse": "2", "filter": "2", "go_to": "2", "troubled": "2", "next_zoom": "4", "down": "2", "page_down": "2", "bottom": "2",
    "open": "2",
}  # fmt: skip


def test_every_key_of_the_table_does_something(tmp_path, monkeypatch):
    two = report_of("other")
    both = replace(REPORT, quantizers=(REPORT.quantizers[0], two.quantizers[0]))

    async def steps(app, pilot):
        idle, left, screen = [], [], app.screen
        monkeypatch.setattr(app, "exit", lambda *_: left.append(1))
        monkeypatch.setattr(app, "notify", lambda *_, **__: None)
        for action in ACTIONS:
            for key in action.keys:
                screen.browsing = Browsing([both, two])
                app._clipboard = ""
                screen.browsed()
                await pilot.pause()
                await press(pilot, BEFORE.get(action.name, ""))
                before = look_of(app), len(left)
                await press(pilot, key)
                if (look_of(app), len(left)) == before:
                    idle.append((action.name, key))
                while app.screen is not screen:
                    app.pop_screen()
                if screen.query_one(Prompt).is_open:
                    screen.query_one(Prompt).shut()
                    screen.set_focus(None)
        return idle

    assert drive(steps, size=(80, 24), folder=str(tmp_path)) == []


def test_no_key_is_taken_twice_and_the_page_of_keys_is_the_table():
    assert conflicts(ACTIONS) == []
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert markdown("vqdoctor inspect --tui", ACTIONS).strip() in page


SHOTS = {  # name: size, keys, reports, options
    "overview.80": ((80, 24), "", (), {}), "overview.120": ((120, 40), "", (), {}), "healthy.80": ((80, 24), "", (healthy(),), {}),
    "blind.120": ((120, 40), "", (blind(),), {}), "codes.80": ((80, 24), "e", (), {}), "codes.120": ((120, 40), "e", (), {}),
    "filter.120": ((120, 40), "2 slash u s e greater_than_sign 1 9", (), {}), "use.80": ((80, 24), "3", (), {}),
    "map.120": ((120, 40), "l 4", (), {}), "levels.80": ((80, 24), "5 enter", (), {}), "ids.120": ((120, 40), "6", (), {}),
    "findings.80": ((80, 24), "7", (), {}), "findings.120": ((120, 40), "7 down down", (), {}),
    "several.80": ((80, 24), "c", (report_of(), healthy()), {}), "ascii.120": ((120, 40), "l 2", (), {"unicode": False}),
    "help.120": ((120, 60), "question_mark", (), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOTS)
def test_pictures_of_every_view(name):
    """To accept a change: VQDOCTOR_UPDATE_GOLDEN=1, then read the diff."""
    size, keys, reports, options = SHOTS[name]

    async def steps(app, pilot):
        await press(pilot, keys)
        return "\n".join(frame(app)) + "\n"

    text = drive(steps, *reports, size=size, **options)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_no_picture_is_left_behind():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SHOTS)


@pytest.mark.parametrize("make", [blind, bookless, nasty], ids=lambda make: make.__name__)
@pytest.mark.parametrize("size", [(40, 12), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_view_of_an_odd_report_opens(make, size):
    async def steps(app, pilot):
        seen = []
        for name in VIEWS:
            for act in (f"view_{name}", "next_pane", "next_zoom", "next_level", "open", f"view_{name}"):
                await app.screen.run_action(act)
            await pilot.pause()
            seen.append("\n".join(frame(app)))
        return seen

    seen = drive(steps, make(), size=size)
    assert all("inspect" in text for text in seen)
    assert not any("\x1b" in text or "\u202e" in text for text in seen)


def test_a_hostile_name_is_shown_as_text():
    async def steps(app, pilot):
        texts = []
        for number in range(len(VIEWS)):
            await press(pilot, str(number + 1))
            texts.append("\n".join(frame(app)))
        await press(pilot, "x")
        return "\n".join([*texts, *frame(app)])

    text = drive(steps, nasty(), size=(200, 60))
    assert "[bold red]x[/]" in text and "@click=app.exit" in text and "\\x1b[2J\\u202e" in text


def test_sixteen_thousand_codes_cost_what_is_seen_of_them():
    big = report_of("big", codes=16384, rows=40_000)

    async def steps(app, pilot):
        pane = app.screen.query_one("#codes", Pane)
        await press(pilot, "2")
        lines, costs = pane._lines, []
        assert len(lines) == 16385
        opened = lines.made
        for key in ("down", "pagedown", "end", "home"):
            before = lines.made
            await press(pilot, key)
            costs.append(lines.made - before)
        await press(pilot, "slash d e a d enter")
        filtered = pane._lines
        return opened, costs, pane.content_size.height, filtered.made, len(filtered), pane.chosen

    opened, costs, height, made, left, chosen = drive(steps, big, size=(120, 40))
    assert opened <= 2 * height and max(costs) <= 2 * height
    assert made <= 3 * height and 1000 < left < 16385 and chosen == 0


def test_typing_a_filter_narrows_as_it_is_typed_and_escape_takes_it_back():
    async def steps(app, pilot):
        lengths = []
        await press(pilot, "2 l slash")
        for key in ("l", "i", "v", "e"):
            await press(pilot, key)
            lengths.append(len(app.browsing.order()))
        await press(pilot, "question_mark")
        wrong = "\n".join(frame(app))
        await press(pilot, "escape")
        after = len(app.browsing.order())
        await press(pilot, "slash 3 minus 6 enter")
        kept = app.browsing.order().tolist()
        await press(pilot, "escape")
        return lengths, wrong, after, kept, len(app.browsing.order()), app.browsing.view

    lengths, wrong, after, kept, left, view = drive(steps)
    assert lengths == [2, 2, 2, 2] and "live? means nothing here" in wrong
    assert after == CODES and sorted(kept) == [3, 4, 5, 6] and left == CODES and view == "codes"


def test_going_to_a_code_drops_a_filter_that_hides_it():
    async def steps(app, pilot):
        await press(pilot, "2 l f g 9 9 enter")
        refused = "\n".join(frame(app))
        await press(pilot, "backspace backspace 1 enter")
        return refused, app.browsing.code, app.browsing.ordering.query, app.screen.focused.id

    refused, code, query, focus = drive(steps)
    assert "there is no code 99" in refused
    assert (code, query, focus) == (1, "", "codes") or (code, focus) == (1, "codes")


def test_the_map_points_at_the_code_that_the_table_points_at():
    async def steps(app, pilot):
        await press(pilot, "2 down down")
        return app.browsing.code, int(app.browsing.order()[2]), "◆" in "\n".join(frame(app))

    code, expected, pointed = drive(steps)
    assert code == expected and pointed


def test_a_group_opens_in_the_tree():
    async def steps(app, pilot):
        await press(pilot, "6 enter")
        await pilot.pause()
        pane = app.screen.query_one("#tree", Pane)
        node = app.browsing.tree.rows()[pane.chosen][0]
        return app.browsing.view, list(node), app.browsing.ids.codes[app.browsing.shared[0]].tolist()

    view, node, whole = drive(steps)
    assert view == "levels" and node == whole


def test_the_mouse_sorts_chooses_and_opens():
    async def steps(app, pilot):
        await press(pilot, "2")
        pane = app.screen.query_one("#codes", Pane)
        heading = pane._lines[0].plain
        await pilot.click("#codes", offset=(heading.index("norm") + 4, 1))
        await pilot.pause()
        sort = app.browsing.ordering.sort
        await pilot.click("#codes", offset=(6, 6))
        await pilot.pause()
        chosen = pane.chosen
        await pilot.click("#tabs", offset=(3, 0))
        await pilot.pause()
        return sort, chosen, app.browsing.view

    assert drive(steps) == ("norm", 4, "overview")


def test_what_is_seen_is_saved(tmp_path):
    async def steps(app, pilot):
        await press(pilot, "e S")
        return sorted(os.listdir(tmp_path))

    names = drive(steps, folder=str(tmp_path))
    assert [name.rpartition(".")[2] for name in names] == ["json", "svg", "txt"]
    seen = json.loads((tmp_path / names[0]).read_text())
    assert seen["finding"]["rule"] == "VQ101" and seen["view"] == "codes" and seen["command"].startswith("vqdoctor repair rq.pt")
    assert len(seen["panes"]["codes"]) < 40, "what is in sight, not all there is"


def test_repair_is_offered_for_checkpoints_only():
    ids = replace(REPORT, source=replace(REPORT.source, kind="semantic-ids"))

    async def steps(app, pilot):
        await press(pilot, "r")
        return type(app.screen)

    assert drive(steps) is RepairScreen
    assert drive(steps, ids) is InspectScreen


def write_checkpoint(folder: Path, name: str = "books") -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, codebook_0=np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    return path


def run_app(paths, steps):
    async def run():
        app = InspectApp([str(path) for path in paths], InspectRequest(details=True, views=True))
        async with app.run_test(size=(100, 30)) as pilot:
            for _ in range(400):
                await pilot.pause(0.02)
                if app._work.finished and app._told == len(app.reports):
                    break
            await pilot.pause(0.15)
            result = await steps(app)
        return app, result

    return asyncio.run(run())


def test_a_folder_opens_with_its_first_file_and_tells_what_was_left_out(tmp_path):
    write_checkpoint(tmp_path, "a")
    write_checkpoint(tmp_path, "b")
    save_file({"head.bias": np.zeros(3, np.float32)}, str(tmp_path / "c.safetensors"))

    async def steps(app):
        return type(app.screen), len(app.screen.browsing.reports), "\n".join(frame(app))

    app, (screen, number, text) = run_app([tmp_path], steps)
    assert screen is InspectScreen and number == 2 and "1 of 2" in text
    assert app.error is None and [trouble.where.rpartition("/")[2] for trouble in app.left_out] == ["c.safetensors"]


def test_what_cannot_be_read_ends_it_with_the_error(tmp_path):
    async def steps(app):
        return app.reports

    app, reports = run_app([tmp_path / "nope.pt"], steps)
    assert reports == [] and isinstance(app.error, MissingInput) and app.return_value == 1


def test_an_error_after_the_first_file_is_told_beside_it(tmp_path):
    good, bad = write_checkpoint(tmp_path), tmp_path / "c.pt"
    bad.write_bytes(b"PK\x03\x04 and then nothing")

    async def steps(app):
        return type(app.screen)

    app, screen = run_app([good, bad], steps)
    assert screen is InspectScreen and isinstance(app.error, InputError)


def test_work_that_is_left_is_not_waited_for(tmp_path, monkeypatch):
    from vqdoctor.tui.inspecting import app as module

    def endless(paths, request, progress, left_out, inspected):
        progress.start("reading [b]x", 1000)
        while True:
            progress.advance(1)

    monkeypatch.setattr(module, "inspect", endless)

    async def run():
        app = InspectApp(["x.pt"], InspectRequest())
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause(0.25)
            assert isinstance(app.screen, LoadingScreen)
            text = "\n".join(frame(app))
            await pilot.press("q")
        app._work.join()
        return text

    text = asyncio.run(run())
    assert "inspecting x.pt" in text and "reading [b]x" in text and "100\u00a0%" in text


def test_nasty_words_are_in_the_report_that_is_tested():
    assert "\x1b" in NASTY and "\u202e" in NASTY and nasty().quantizers[0].name == NASTY

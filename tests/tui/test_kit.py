"""The kit: tables of actions, panes that draw only what changed and take no markup, files of what is seen."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from piloted import until
from rich.text import Text
from textual.app import ComposeResult

from vqdoctor.tui.actions import Action, conflicts, markdown, shared
from vqdoctor.tui.base import BaseApp, KeysBar, TableScreen
from vqdoctor.tui.export import frame
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.themes import LOOKS

NASTY = "[bold red]x[/] \x1b[2J [@click=app.exit]y[/] :boom:"


class Two(TableScreen):
    ACTIONS = (*shared(), Action("wave", ("w",), "wave", "Wave.", "here", when=lambda screen: screen.open))
    TITLE_WORDS = "two panes"
    PANES = ("left", "right")
    open = True
    waved = 0

    def compose(self) -> ComposeResult:
        yield Pane(id="left", selectable=True)
        yield Pane(id="right")
        yield KeysBar()

    def on_mount(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        super().redraw()
        self.query_one("#left", Pane).show([Text(f"row {i} {self.look.say(NASTY)}") for i in range(40)])
        self.query_one("#left", Pane).head(Text(self.look.say(NASTY)))

    def seen(self):
        return super().seen() | {"rows": 40}

    def action_wave(self) -> None:
        self.waved += 1


class Bench(BaseApp):
    def on_mount(self) -> None:
        self.push_screen(Two())


def drive(steps, **options):
    """Run the bench app and hand it to `steps`; what `steps` returns."""

    async def run():
        app = Bench(**options)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            return await steps(app, pilot)

    return asyncio.run(run())


def test_conflicts_are_found():
    assert conflicts(shared()) == []
    twice = (*shared(), Action("quiz", ("q",), "", "A quiz.", "x"), Action("help", ("h",), "", "no sentence", "x"))
    assert conflicts(twice) == ["q is both quit and quiz", "help has no key or no sentence of help", "help stands twice"]
    assert "| `?`, `f1` | All keys of this screen. |" in markdown("Keys", shared())


def test_names_are_never_markup_or_escapes():
    async def steps(app, pilot):
        shown = "\n".join(frame(app))
        assert shown.count("[bold red]x[/] \\x1b[2J [@click=app.exit]y[/] :boom:") > 5
        assert "\x1b" not in shown

    drive(steps)


def test_only_what_changed_is_drawn():
    async def steps(app, pilot):
        pane = app.screen.query_one("#left", Pane)
        before = pane.painted
        assert before
        app.screen.redraw()
        await pilot.pause()
        assert pane.painted == before
        pane.show([Text("another")])
        await pilot.pause()
        assert pane.painted == before + 1

    drive(steps)


def test_keys_mouse_and_palette_do_the_same():
    async def steps(app, pilot):
        screen = app.screen
        await pilot.press("w")
        assert screen.waved == 1
        line = frame(app)[-1]
        await pilot.click(KeysBar, offset=(line.index("w wave") + 3, 0))
        assert screen.waved == 2
        await pilot.press("ctrl+p", *"wave")
        await pilot.pause(0.2)
        await pilot.press("enter")
        await until(pilot, lambda: screen.waved == 3)
        assert screen.waved == 3
        screen.open = False
        screen.redraw()
        await pilot.press("w")
        await pilot.pause()
        assert screen.waved == 3 and "wave" not in frame(app)[-1]

    drive(steps)


def test_help_is_the_table():
    async def steps(app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        text = " ".join(app.screen.query_one(Pane).text())
        for action in Two.ACTIONS:
            assert action.shown() in text and action.help.split()[0] in text
        await pilot.press("escape")
        assert isinstance(app.screen, Two)

    drive(steps)


def test_rows_are_chosen_by_mouse_and_scrolled():
    async def steps(app, pilot):
        pane = app.screen.query_one("#left", Pane)
        await pilot.click(pane, offset=(5, 4))
        assert pane.chosen == 3 and pane.has_focus
        pane.scroll_rows(30)
        await pilot.pause()
        assert pane.chosen == 33 and any("row 33" in line for line in frame(app))
        pane.scroll_rows(-99)
        assert (pane.chosen, pane.top) == (0, 0)

    drive(steps)


@pytest.mark.parametrize("value", ["1", ""])
def test_no_color(monkeypatch, value):
    monkeypatch.setenv("NO_COLOR", value)

    async def steps(app, pilot):
        strips = app.screen._compositor.render_strips()
        colors = {str(c.name) for strip in strips for segment in strip if segment.style for c in colors_of(segment.style)}
        assert (colors <= {"default"}) == bool(value)

    drive(steps)
    assert os.environ["NO_COLOR"] == value


def colors_of(style):
    return [color for color in (style.color, style.bgcolor) if color is not None]


def test_the_ascii_look_is_ascii():
    async def steps(app, pilot):
        assert all(line.isascii() for line in frame(app))
        await pilot.press("question_mark")
        await pilot.pause()
        assert all(line.isascii() for line in frame(app))

    drive(steps, unicode=False)


def test_themes_go_round():
    async def steps(app, pilot):
        names = []
        for _ in LOOKS:
            await pilot.press("T")
            names.append(app.look.name)
        assert sorted(names) == sorted(LOOKS) and names[-1] == "default"

    drive(steps)


def test_what_is_seen_is_saved_and_replaces_nothing(tmp_path):
    async def steps(app, pilot):
        await pilot.press("S")
        await pilot.press("S")
        await pilot.pause()

    drive(steps, folder=str(tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"two-panes-{n}.{form}" for n in (1, 2) for form in ("json", "svg", "txt")]
    assert json.loads((tmp_path / "two-panes-1.json").read_text()) == {"screen": "two panes", "rows": 40}
    assert "row 0" in (tmp_path / "two-panes-1.txt").read_text()
    svg = (tmp_path / "two-panes-1.svg").read_text()
    assert svg.startswith("<svg") and "https://cdn" not in svg and "url(" not in svg.replace("url(#", "")


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    async def steps(app, pilot):
        await pilot.press("S")
        await pilot.pause()
        return [str(toast.message) for toast in app._notifications]

    [message] = drive(steps, folder=str(tmp_path / "nowhere"))
    assert "nowhere" in message

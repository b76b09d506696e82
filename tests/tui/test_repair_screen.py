"""The repair screen under a pilot: prescribed first, nothing written before the question is answered, then a proven copy."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from inspected import NASTY, report_of
from piloted import press, until
from safetensors.numpy import save_file

from vqdoctor.app.inspect import inspect
from vqdoctor.app.request import InspectRequest
from vqdoctor.app.targets import free_target
from vqdoctor.cli.repair import command as repair_command
from vqdoctor.errors import MissingInput
from vqdoctor.model import Finding, Remedy
from vqdoctor.tui.actions import conflicts, markdown
from vqdoctor.tui.base import BaseApp
from vqdoctor.tui.decision import ConfirmScreen
from vqdoctor.tui.export import frame
from vqdoctor.tui.inspecting.prompt import Prompt
from vqdoctor.tui.pane import Pane
from vqdoctor.tui.repair_app import RepairApp
from vqdoctor.tui.repair_screen import ACTIONS, RepairScreen
from vqdoctor.tui.repairing import repair_screen
from vqdoctor.tui.treatments import AUTO, OPTIONS, Repairing
from vqdoctor.tui.watch_state import Found


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A book of 16 codes of which one takes every row; its features beside it."""
    rng = np.random.default_rng(0)
    book = rng.normal(scale=40.0, size=(16, 4)).astype(np.float32)
    book[0] = 0
    save_file(
        {"quantize.embedding.weight": book, "encoder.conv.weight": np.zeros((4, 3, 3, 3), np.float32)},
        str(tmp_path / "vq.safetensors"),
    )
    np.save(tmp_path / "vq.features.npy", rng.normal(size=(400, 4)).astype(np.float32))
    return tmp_path / "vq.safetensors"


def drive(steps, path, features=None, *, size=(100, 32), finding=None, **options):
    """Run the screen over `path` once its inspection is done, and hand it to `steps`."""

    async def run():
        app = RepairApp(str(path), features, **options)
        app.repairs.finding = finding
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.repairs.asked is not None or app.repairs.error is not None)
            await pilot.pause()
            return await steps(app, pilot)

    return asyncio.run(run())


async def planned(app, pilot, keys="p"):
    await press(pilot, keys)
    await until(pilot, lambda: app.repairs.stage != "planning")
    await pilot.pause()


def text_of(app):
    """The words on the screen, whatever lines they were broken into."""
    return " ".join(line.strip(" │┃") for line in frame(app))


def test_from_the_choice_to_the_proven_copy(sick):
    before = sorted(os.listdir(sick.parent)), sick.read_bytes()
    out = sick.with_name("vq.repaired.safetensors")

    async def steps(app, pilot):
        seen = [text_of(app)]
        await planned(app, pilot)
        seen.append(text_of(app))
        assert (sorted(os.listdir(sick.parent)), sick.read_bytes()) == before, "a plan writes nothing"
        await press(pilot, "w")
        assert isinstance(app.screen, ConfirmScreen)
        seen.append(text_of(app))
        await press(pilot, "n")
        assert app.repairs.stage == "planned" and sorted(os.listdir(sick.parent)) == before[0], "no is no"
        await press(pilot, "w y")
        await until(pilot, lambda: app.repairs.stage == "written")
        await pilot.pause()
        return [*seen, text_of(app), app.repairs.result]

    choosing, plan, question, done, result = drive(steps, sick)
    assert "★ kmeans" in choosing and "VQ101" in choosing and "vqdoctor repair" in choosing
    assert "6.25\u00a0% → 100\u00a0%" in plan and "real use" in plan and "error (mse)" in plan
    assert str(out) in question.replace(" ", "") and "stays as it is" in question
    assert "written and proven" in done and "vqdoctor repair --undo" in done
    assert sick.read_bytes() == before[1] and result.written.path == str(out)
    assert {path.name for path in sick.parent.iterdir()} >= {out.name, f"{out.name}.undo.npz", f"{out.name}.repair.json"}
    (after,) = inspect([str(out)], InspectRequest(features=((None, str(sick.parent / "vq.features.npy")),)))
    assert after.quantizers[0].levels[0].metrics["usage.utilization"] == 1.0


def test_the_project_decides_what_is_prescribed(sick, monkeypatch):
    rules = {rule: {"severity": "off"} for rule in ("VQ101", "VQ102", "VQ203", "VQ206", "VQ207")}
    asked = []
    monkeypatch.setattr("vqdoctor.tui.repair_screen.repair", lambda path, out, request, **_: asked.append(request))

    async def steps(app, pilot):
        text = text_of(app)
        await press(pilot, "p")
        await until(pilot, lambda: asked)
        return text

    assert "VQ101" in drive(steps, sick)
    assert not asked.pop().rules
    assert "VQ" not in drive(steps, sick, rules=rules)
    assert asked.pop().rules == rules


@pytest.mark.parametrize("leave", ["q", "escape q", "w q", "w n q", "w escape escape q", "ctrl+c"])
def test_whoever_leaves_without_saying_yes_has_written_nothing(sick, leave):
    before = sorted(os.listdir(sick.parent))

    async def steps(app, pilot):
        await planned(app, pilot)
        await press(pilot, leave)
        return app.repairs._decision

    decision = drive(steps, sick)
    assert sorted(os.listdir(sick.parent)) == before
    assert not decision._yes


def test_a_target_that_is_there_is_refused_before_the_work(sick):
    taken = sick.with_name("taken.safetensors")
    taken.write_bytes(b"mine")

    async def steps(app, pilot):
        await press(pilot, "o")
        app.repairs.query_one(Prompt).query_one("Input").value = str(taken)
        await press(pilot, "enter")
        await planned(app, pilot)
        return app.repairs.stage, text_of(app)

    stage, text = drive(steps, sick)
    assert stage == "choosing" and "exists already" in text and taken.read_bytes() == b"mine"


def test_changing_an_option_drops_the_plan(sick):
    async def steps(app, pilot):
        await planned(app, pilot)
        decision = app.repairs._decision
        app.repairs.query_one("#options", Pane).focus()
        app.repairs.query_one("#options", Pane).choose(app.repairs.asked.options.index("only_dead"))
        await press(pilot, "enter")
        return app.repairs.stage, app.repairs.asked.only_dead, decision._made.is_set(), decision._yes

    assert drive(steps, sick) == ("choosing", True, True, False)


def test_a_treatment_with_nothing_to_do_says_so_and_one_that_cannot_be_done_says_why(sick):
    async def steps(app, pilot):
        methods = [choice.method for choice in app.repairs.asked.choices]
        seen = []
        for method in ("sync-ema", "freeze-init", "sanitize"):
            app.repairs.query_one("#treatments", Pane).choose(methods.index(method))
            await pilot.pause()
            await planned(app, pilot)
            seen.append((app.repairs.stage, text_of(app)))
        return seen

    (idle, nothing), (refused, why), (ready, text) = drive(steps, sick)
    assert idle == "choosing" and "Nothing to repair: no file was written" in nothing and "no running sums" in nothing
    assert refused == "choosing" and "--freeze-init cannot be done" in why and "no initialised flag" in why
    assert "Nothing to repair" not in why
    assert ready == "planned" and "sanitize: 1 of 16 rows rewritten" in text


def test_without_features_it_says_how_to_get_them(sick):
    (sick.parent / "vq.features.npy").unlink()

    async def steps(app, pilot):
        await planned(app, pilot)
        return app.repairs.stage, text_of(app)

    stage, text = drive(steps, sick)
    assert stage == "choosing" and "needs encoder outputs" in text and "vqdoctor.capture" in text


def test_what_cannot_be_read_ends_the_program_with_the_error(tmp_path):
    async def steps(app, pilot):
        return app.repairs.error

    assert isinstance(drive(steps, tmp_path / "nope.pt"), MissingInput)


def test_over_another_screen_the_error_is_shown_there(tmp_path):
    class Below(BaseApp):
        def on_mount(self):
            self.push_screen(RepairScreen("other.pt", None, None, report_of()))
            self.push_screen(RepairScreen(str(tmp_path / "nope.pt")))

    async def run():
        app = Below()
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.screen._refused)
            await pilot.pause()
            return text_of(app), app.return_value

    text, value = asyncio.run(run())
    assert "there is no such file" in text and value is None


BEFORE = {
    "write": "p",
    "down": "tab",
    "up": "tab down",
    "page_down": "tab",
    "page_up": "tab end",
    "open": "tab down",
    "previous_pane": "tab",
}


def test_every_key_of_the_table_does_something(sick, tmp_path, monkeypatch):
    (report,) = inspect([str(sick)], InspectRequest())
    saved = tmp_path / "saved"
    saved.mkdir()

    async def steps(app, pilot):
        idle, left = [], []
        monkeypatch.setattr(app, "exit", lambda *_: left.append(1))
        monkeypatch.setattr(app, "notify", lambda *_, **__: None)
        for action in ACTIONS:
            for key in action.keys:
                while len(app.screen_stack) > 2:
                    app.pop_screen()
                screen = RepairScreen(str(sick), None, None, report)
                await app.push_screen(screen)
                await pilot.pause()
                if action.name == "write":
                    await press(pilot, "p")
                    await until(pilot, lambda screen=screen: screen.stage == "planned")
                    await pilot.pause()
                elif action.name in BEFORE:
                    await press(pilot, BEFORE[action.name])
                if action.name == "page_up":
                    screen.query_one("#options", Pane).choose(6)
                    await pilot.pause()
                before = state_of(app, screen), len(left)
                await press(pilot, key)
                if (state_of(app, screen), len(left)) == before:
                    idle.append((action.name, key))
                app._clipboard = ""
        return idle

    assert drive(steps, sick, size=(80, 24), folder=str(saved)) == []


def state_of(app, screen):
    cells = [(segment.text, str(segment.style)) for strip in app.screen._compositor.render_strips() for segment in strip]
    focus = app.screen.focused and app.screen.focused.id
    return cells, focus, len(app.screen_stack), app.look.name, app.clipboard, os.listdir(app.folder), screen.stage


def test_no_key_is_taken_twice_and_the_page_of_keys_is_the_table():
    assert conflicts(ACTIONS) == []
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert markdown("vqdoctor repair --tui", ACTIONS).strip() in page


def test_what_the_finding_prescribes_comes_first_for_the_levels_it_names():
    report = report_of()
    asked = Repairing("rq.pt", None, report, report.findings[2])
    assert [choice.method for choice in asked.choices][:3] == ["sanitize", AUTO, "kmeans"]
    assert asked.choices[0].why == "VQ202 duplicate-codes" and asked.levels == (0, 2)
    asked.choose(2)
    assert asked.choices[2].why == "VQ101 codebook-collapse, VQ401 id-collisions" and asked.levels == (1,)
    plain = Repairing("rq.pt", None, report)
    assert plain.method == AUTO and plain.levels is None and plain.request().treatment.method == AUTO
    assert not plain.choices[-1].why, "what nothing prescribes comes last"


def test_the_command_that_is_shown_is_one_that_the_command_line_takes():
    report = report_of()
    asked = Repairing("a b.pt", "-f.npy", report, report.findings[0])
    asked.type("threshold", "0.1")
    asked.type("seed", "3")
    for option in ("only_dead", "match_ids", "keep_optimizer"):
        assert asked.turn(option)
    words = shlex.split(asked.command())
    assert words[:2] == ["vqdoctor", "repair"]
    parsed = repair_command.make_context("repair", words[2:]).params
    request = asked.request()
    assert parsed["checkpoint"] == "a b.pt" and parsed["kmeans"] and parsed["levels"] == (1,) == request.treatment.levels
    assert (parsed["threshold"], parsed["seed"], parsed["only_dead"], parsed["match_ids"], parsed["keep_optimizer"]) == (
        0.1,
        3,
        True,
        True,
        True,
    )
    made = request.treatment
    assert (made.threshold, made.seed, made.only_dead, made.match_ids, made.keep_optimizer) == (0.1, 3, True, True, True)


@pytest.mark.parametrize(
    ("option", "text"), [("threshold", "x"), ("threshold", "-1"), ("threshold", "inf"), ("seed", "1.5"), ("seed", "-1")]
)
def test_a_value_that_is_none_says_what_it_must_be(option, text):
    with pytest.raises(ValueError, match="number"):
        Repairing("x.pt", None, report_of()).type(option, text)


def test_options_are_those_of_the_treatment():
    asked = Repairing("x.pt", None, report_of())
    offered = {}
    for at, choice in enumerate(asked.choices):
        asked.choose(at)
        offered[choice.method] = asked.options
        assert set(asked.options) <= set(OPTIONS) and all(asked.written(option) for option in asked.options)
    assert offered["kmeans"] == ("out", "levels", "only_dead", "threshold", "match_ids", "keep_optimizer", "seed")
    assert offered["sync-ema"] == ("out", "levels", "keep_optimizer", "seed") and offered[AUTO] == ("out", "seed")


def test_levels_turn_through_all_the_sick_ones_and_each():
    report = report_of()
    asked = Repairing("x.pt", None, report, report.findings[2])
    seen = []
    for _ in range(5):
        seen.append(asked.levels)
        asked.turn("levels")
    assert seen == [(0, 2), (0,), (1,), (2,), None]


def test_a_free_name_is_proposed(tmp_path):
    path = tmp_path / "vq.pt"
    assert free_target(str(path)) == str(tmp_path / "vq.repaired.pt")
    (tmp_path / "vq.repaired.pt").touch()
    (tmp_path / "vq.repaired-2.pt").symlink_to("nowhere")
    assert free_target(str(path)) == str(tmp_path / "vq.repaired-3.pt")


def test_hostile_names_are_shown_as_text(sick):
    hostile = sick.rename(sick.parent / "[red]x[@click=app.exit]\x1b[2J.safetensors")
    (sick.parent / "vq.features.npy").rename(str(hostile).removesuffix(".safetensors") + ".features.npy")
    finding = Finding("VQ101", NASTY, "error", NASTY, NASTY, remedy=Remedy(NASTY, None))

    async def steps(app, pilot):
        app.repairs.asked.finding = finding
        app.repairs.redraw()
        await pilot.pause()
        before = text_of(app)
        await planned(app, pilot)
        return before + text_of(app)

    text = drive(steps, hostile, size=(160, 50), finding=finding)
    assert "\x1b" not in text and "\u202e" not in text and "[red]x" in text


def found(command):
    return Found(None, Finding("VQ501", "collapse-onset", "error", "vq[1]", "…", remedy=Remedy("…", command)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("vqdoctor repair runs/last.pt --kmeans --features f.npy --level 1 -o r.pt", ("runs/last.pt", "f.npy")),
        ("vqdoctor repair 'a b.pt' --kmeans --features FEATURES.npy -o r.pt", ("a b.pt", None)),
        ("vqdoctor repair x.pt --sanitize -o r.pt", ("x.pt", None)),
        ("vqdoctor explain VQ501", None), ("vqdoctor repair --undo x", None), ("vqdoctor repair 'x", None), (None, None),
    ],
)  # fmt: skip
def test_from_the_watch_screen_to_the_checkpoint_that_the_command_names(command, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repair_screen(found(command)) is None, "it is not there"
    (tmp_path / "runs").mkdir()
    for name in ("runs/last.pt", "a b.pt", "x.pt"):
        (tmp_path / name).touch()
    screen = repair_screen(found(command))
    assert (None if screen is None else (screen.path, screen.features)) == named

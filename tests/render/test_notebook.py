"""A report in a notebook or a shell: one line as itself, the text view in rich, a frame with a row a level."""

import builtins
import importlib.util
import json
import subprocess
import sys

import pytest
from nasty_reports import REPORTS, blind, healthy, hostile, sick
from rich.console import Console

from vqdoctor.errors import UsageError
from vqdoctor.render import renderer
from vqdoctor.render.notebook import columns


def shown(report, width=100):
    console = Console(width=width, force_terminal=True, color_system="standard", _environ={})
    with console.capture() as captured:
        console.print(report)
    return captured.get()


def test_a_report_as_itself_is_one_line():
    assert repr(sick()) == "Report('runs/vqgan_epoch1.pt', sick, error=2, warning=1, info=0, quantizers=1)"
    assert "\x1b" not in repr(hostile()) and "\n" not in repr(hostile())


@pytest.mark.parametrize("name", REPORTS)
def test_rich_shows_the_text_view_at_the_consoles_width(name):
    text = shown(REPORTS[name]())
    assert "\x1b[2J" not in text and "\x1b]0" not in text and "\x1b]8" not in text
    assert all(len(line) <= 100 for line in Console(width=100).render_str(text).plain.split("\n") if "\x1b" not in line)


def test_rich_shows_the_verdict_in_colour_and_the_whole_command():
    text = shown(sick())
    assert "\x1b[1;31m✗ SICK" in text
    assert "repaired.pt" in shown(sick(), width=60)


def test_html_for_notebooks_tells_verdict_and_findings():
    html = sick()._repr_html_()
    assert "VQ103 ema-illusion" in html and html.index("sick") < html.index("VQ103")
    assert "<img src=x>" not in hostile()._repr_html_()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_has_a_row_a_level_and_every_metric(library):
    frame = healthy().to_frame(library)
    assert type(frame).__module__.startswith(library)
    assert list(frame["level"]) == [0, 1, 2] and list(frame["codes"]) == [64, 64, 64]
    assert list(frame["usage.used"]) == [64, 64, 64]
    assert list(frame["collision.rate"]) == [0.135] * 3
    assert {len(column) for column in columns(blind()).values()} == {32}
    assert blind().to_frame(library).shape[0] == 32


def test_the_first_library_that_is_there_is_taken_and_its_absence_said(monkeypatch):
    there = {"polars"}
    monkeypatch.setattr("vqdoctor.render.notebook.find_spec", lambda name: builtins.object() if name in there else None)
    assert type(sick().to_frame()).__module__.startswith("polars")
    with pytest.raises(UsageError, match=r"to_frame needs pandas\. Run: pip install pandas"):
        sick().to_frame("pandas")
    there.clear()
    with pytest.raises(UsageError, match="to_frame needs pandas or polars"):
        sick().to_frame()
    with pytest.raises(UsageError, match="not 'dask'"):
        sick().to_frame("dask")


def test_a_report_loads_no_view_before_it_is_shown():
    assert importlib.util.find_spec("pandas")
    code = "import sys, vqdoctor.model; print({'rich', 'pandas', 'vqdoctor.render'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_as_a_dict_is_what_the_command_prints_as_json(name):
    report = REPORTS[name]()
    assert json.loads(renderer("json").render([report])) == report.to_dict()

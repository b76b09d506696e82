"""The text view at any width, in colour and black and white: nothing hidden, nothing forged, nothing wider than the screen."""

import re
from dataclasses import replace

import pytest
from nasty_reports import REPORTS, blind, healthy, hostile, sick
from rich.cells import cell_len

from vqdoctor.model import Finding, Remedy
from vqdoctor.render import Screen, renderer
from vqdoctor.render.page import cut_middle

STYLE = re.compile(r"\x1b\[[0-9;]*m")


def text_of(*reports, **screen):
    return renderer("text").render(reports, Screen(**screen))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [80, 120, 200])
def test_lines_fit_the_screen_save_commands(name, width):
    for line in text_of(REPORTS[name](), width=width).splitlines():
        is_command = line.startswith(("      ", " next "))
        assert cell_len(line) <= width or is_command, line


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("name", [*REPORTS, "several"])
def test_black_and_white_holds_no_control_character(name, unicode):
    reports = [make() for make in REPORTS.values()] if name == "several" else [REPORTS[name]()]
    text = text_of(*reports, unicode=unicode)
    assert all(character.isprintable() or character in "\n\u202f\xa0" for character in text)
    assert unicode or text.isascii()


@pytest.mark.parametrize("name", REPORTS)
def test_colour_adds_styles_and_nothing_else(name):
    report = REPORTS[name]()
    colored = text_of(report, color=True)
    assert STYLE.search(colored)
    tidy = "\n".join(line.rstrip() for line in STYLE.sub("", colored).split("\n"))
    assert tidy == text_of(report)
    assert "\x1b" not in STYLE.sub("", colored)


def test_the_environment_does_not_matter(monkeypatch):
    plain = text_of(sick())
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "40", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert text_of(sick()) == plain


def test_the_first_lines_name_verdict_file_and_number():
    lines = text_of(sick()).splitlines()
    assert "✗ SICK" in lines[0] and "runs/vqgan_epoch1.pt" in lines[0] and "2 errors, 1 warning" in lines[0]
    row = next(line for line in lines if line.startswith(" ✗ sick"))
    assert "2 / 512" in row and "0.4\xa0%" in row and "100\xa0%" in row and "1.04 / 512" in row


def test_findings_lead_with_errors_and_give_the_command_whole():
    text = text_of(sick(), width=80)
    assert text.index("VQ103") < text.index("VQ101") < text.index("VQ206")
    command = "vqdoctor repair vqgan_epoch1.pt --kmeans --features vqgan_epoch1.features.npy -o repaired.pt"
    assert command in [line.strip() for line in text.splitlines()]


def test_many_levels_share_rows_and_nothing_measured_says_why():
    text = text_of(blind())
    rows = [line for line in text.splitlines() if re.match(r" [?!] (unknown|at risk)", line)]
    assert len(rows) == 8
    assert any("[10…19]" in row and "10 levels alike" in row for row in rows)
    assert any("[20]" in row and "no features given" in row for row in rows)
    assert "quantizer.vq[3…6], [9], [20]" in text
    assert "vqdoctor inspect codec.safetensors --features FEATURES.npy" in text


def test_a_few_levels_have_a_row_each():
    assert sum(line.startswith(" ✓ healthy") for line in text_of(healthy()).splitlines()) == 3


def test_too_few_rows_are_not_called_healthy():
    assert " ? unknown" in text_of(hostile())
    level = healthy().quantizers[0].levels[0]
    few = replace(level, metrics=dict(level.metrics) | {"usage.n": 63})
    quantizer = replace(healthy().quantizers[0], levels=(few,))
    sample = replace(healthy().sample, population=False)
    assert " ✓ healthy" not in text_of(replace(healthy(), quantizers=(quantizer,), sample=sample))
    assert " ✓ healthy" in text_of(replace(healthy(), quantizers=(quantizer,)))  # all there are: few is no excuse


def test_markup_in_names_is_just_characters():
    name = "a[bold red]b[/]:smile:[link=http://x]c"
    finding = Finding("VQ105", "insufficient-sample", "info", name, name, remedy=Remedy(name, name))
    text = text_of(replace(hostile(), findings=(finding,)))
    assert text.count(name) >= 4


def test_overview_has_a_line_a_source_in_the_order_given():
    text = text_of(healthy(), sick(), blind())
    places = [text.index(name) for name in ("rq.pt", "vqgan_epoch1.pt", "codec.safetensors")]
    assert places == sorted(places)
    assert text.rstrip().endswith("vqdoctor inspect runs/vqgan_epoch1.pt")
    assert "nothing was inspected" in text_of()


@pytest.mark.parametrize("width", range(1, 12))
def test_cutting_keeps_both_ends_and_the_width(width):
    assert cell_len(cut_middle("日本語の長い名前.pt", width)) <= width
    assert cut_middle("abcdef", width) == ("abcdef" if width >= 6 else cut_middle("abcdef", width))
    assert cut_middle("abcdefghijklmnop", 7) == "abc…nop"

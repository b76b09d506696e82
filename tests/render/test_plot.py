"""Charts: each names what it shows, in black and white, within the screen, whatever the counts are."""

from dataclasses import replace

import pytest
from nasty_reports import blind, healthy, hostile, sick

from vqdoctor.render import Screen
from vqdoctor.render.plot import render


@pytest.mark.parametrize("unicode", [True, False])
def test_charts_fit_and_hold_no_control_character(unicode):
    text = render([sick(), healthy(), hostile()], Screen(width=90, unicode=unicode))
    assert all(len(line) <= 90 for line in text.splitlines())
    assert all(character.isprintable() or character in "\n\u202f\xa0" for character in text)
    assert unicode or text.isascii()


def test_the_histogram_counts_every_code_once():
    text = render([sick()], Screen(width=100))
    lines = {line.split()[0]: line.split()[-1] for line in text.splitlines() if line.strip()}
    assert lines["never"] == "510" and lines["256-511"] == "1" and lines["32768-65535"] == "1" and lines["1"] == "0"


def test_real_and_ema_are_told_apart_by_name():
    level = replace(sick().quantizers[0].levels[0], facts={"details": {"ema_count": [128.0] * 510 + [float("nan"), 0.0]}})
    report = replace(sick(), quantizers=(replace(sick().quantizers[0], levels=(level,)),))
    text = render([report], Screen(width=100))
    assert "real" in text and "EMA" in text
    levels = render([healthy()], Screen(width=100))
    assert levels.count("real") >= 3 and levels.count("EMA") == 3


def test_nothing_counted_draws_nothing():
    assert render([blind()], Screen()) == " nothing to draw: no use of codes was counted\n"


def test_a_level_of_one_code_is_drawn():
    level = replace(sick().quantizers[0].levels[0], codes=1, counts={0: 5})
    assert "never" in render([replace(sick(), quantizers=(replace(sick().quantizers[0], levels=(level,)),))], Screen())

"""Looks: states that a colour-blind reader tells apart, no colours or only ASCII where that is asked."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from vqdoctor.render.screen import STATES
from vqdoctor.tui.themes import LOOKS, RUN_STATES, STATE_NAMES, choose, plain_ascii

# Machado, Oliveira, Fernandes (2009), deuteranomaly of severity 1.0, on linear RGB
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x, y, z = (
        np.cbrt(part) if part > (6 / 29) ** 3 else part / (3 * (6 / 29) ** 2) + 4 / 29 for part in TO_XYZ @ rgb.clip(0, 1) / WHITE
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def seen(color: str, blind: bool) -> np.ndarray:
    return lab(DEUTERANOPIA @ linear(color) if blind else linear(color))


def test_the_simulation_knows_a_pair_that_a_deuteranope_confuses():
    red, green = "#b7410e", "#6b6b00"
    plain, blind = (np.linalg.norm(seen(red, b) - seen(green, b)) for b in (False, True))
    assert plain > 40 > 20 > blind


@pytest.mark.parametrize("blind", [False, True])
def test_states_of_the_safe_look_are_told_apart(blind):
    colors = LOOKS["safe"].states
    assert set(colors) == set(STATE_NAMES)
    for one, other in combinations(colors, 2):
        difference = np.linalg.norm(seen(colors[one], blind) - seen(colors[other], blind))
        assert difference >= 15, (one, other, difference)


@pytest.mark.parametrize("look", [*LOOKS.values(), plain_ascii()], ids=lambda look: look.name)
def test_every_state_has_a_glyph_and_a_word_of_its_own(look):
    for names in (RUN_STATES, STATES):
        shown = {name: look.state(name) for name in names}
        for text in shown.values():
            glyph, _, word = text.plain.partition(" ")
            assert glyph and word
            assert look.unicode or text.plain.isascii()
            assert look.color or "#" not in str(text.style)
        assert len({text.plain for text in shown.values()}) == len(names)


def test_no_color_is_stronger_than_a_name():
    assert choose("safe", no_color=True, unicode=True).name == "mono"
    assert choose(None, no_color=False, unicode=False).name == "ascii"
    assert not choose("default", no_color=False, unicode=False).unicode
    ascii_only = choose(None, no_color=True, unicode=False)
    assert not ascii_only.color and not ascii_only.unicode

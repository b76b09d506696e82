"""Charts, strips and needles as lines: what is drawn where, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vqdoctor.logs.said import tidy
from vqdoctor.model import Event, Meaning, Series, SeriesKey
from vqdoctor.tui.bands import used
from vqdoctor.tui.chart import Chart, Curve, Mark, legend, paint, step_at
from vqdoctor.tui.heat import ASCII_SHADES, SHADES, Strip, columns, strips
from vqdoctor.tui.needle import needles
from vqdoctor.tui.themes import LOOKS
from vqdoctor.tui.thinning import Thinned, smoothed

LOOK, ASCII = LOOKS["default"], LOOKS["ascii"]


def series(steps, values, starts=(0,)):
    steps, values = np.asarray(steps, float), np.asarray(values, float)
    return Series(SeriesKey("x"), Meaning(), steps, values, np.empty(0), np.array(starts, np.int64), len(steps))


def chart(values, **fields):
    steps = np.arange(len(values), dtype=float)
    curves = (Curve("real", ((steps, np.asarray(values, float)),)),)
    return Chart(**{"name": "x", "title": "x", "curves": curves, "first": 0.0, "last": max(1.0, float(len(values) - 1))} | fields)


def plain(lines):
    return [line.plain for line in lines]


@given(
    values=arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e6, 1e6)), width=st.integers(1, 100),
    cut=st.floats(0, 1), half_life=st.sampled_from([0, 10]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_thinning_keeps_extremes_and_growing_changes_nothing(values, width, cut, half_life):
    steps = np.arange(len(values), dtype=float)
    whole, grown = Thinned(half_life), Thinned(half_life)
    early = max(1, int(cut * len(values)))
    grown.pieces(series(steps[:early], values[:early]), 0, early, width)
    (piece,) = whole.pieces(series(steps, values), 0, steps[-1], width)
    (again,) = grown.pieces(series(steps, values), 0, steps[-1], width)
    both = [[kept.at(series(steps, values), step) for step in steps] for kept in (whole, grown)]
    np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-6)
    assert (np.diff(piece[0]) >= 0).all() and len(piece[0]) <= 2 * width + 8
    if not half_life:
        assert piece[1].tolist() == again[1].tolist()
        assert (piece[1].min(), piece[1].max()) == (values.min(), values.max())


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(-100, 100)), min_size=1, max_size=60), st.sampled_from([1.0, 10.0, 1000.0]))
@settings(deadline=None, max_examples=60)
def test_smoothing_is_the_weighted_mean_that_it_says(pairs, half_life):
    steps = np.sort(np.array([step for step, _ in pairs]))
    values = np.array([value for _, value in pairs])
    out, _ = smoothed(steps, values, half_life, steps[0])
    for i in range(len(steps)):
        weights = np.exp2(-(steps[i] - steps[: i + 1]) / half_life)
        assert out[i] == pytest.approx((weights @ values[: i + 1]) / weights.sum(), rel=1e-6, abs=1e-6)


def test_each_segment_is_a_piece_and_smoothed_by_itself():
    one = series([0, 10, 20, 5, 15], [1, 1, 1, 9, 9], starts=[0, 3])
    pieces = Thinned(10).pieces(one, 0, 20, 50)
    assert [piece[1].tolist() for piece in pieces] == [[1, 1, 1], [9, 9]]
    assert Thinned().at(one, 12) == 9 and Thinned().at(one, 3) == 1 and Thinned().at(one, -1) is None


def test_a_series_that_was_thinned_or_begun_anew_is_drawn_anew():
    kept = Thinned(10)
    kept.pieces(series(range(100), range(100)), 0, 99, 10)
    (piece,) = kept.pieces(series(range(100), np.full(100, 5.0)), 0, 99, 10)
    assert piece[1] == pytest.approx(5.0)


def test_a_spike_of_a_million_points_is_seen():
    values = np.zeros(1_000_000)
    values[654_321] = 1.0
    pieces = Thinned().pieces(series(np.arange(1e6), values), 0, 999_999, 60)
    lines = plain(paint(Chart("x", "x", (Curve("real", pieces),), 0, 999_999, 0, 1), 70, 10, LOOK))
    gutter = lines[0].index("┤") + 1
    spike = lines[0][gutter:]
    assert spike.strip() and abs((len(spike) - len(spike.lstrip())) / (70 - gutter) - 0.654) < 0.03


def test_a_chart_has_ceiling_ticks_onset_and_cursor_where_they_belong():
    one = chart(
        np.linspace(0, 50, 101), low=0.0, high=64.0, references=((64.0, "ceiling 64"),),
        marks=(Mark(25, "k-means"), Mark(200, "later")),
        onset=75.0, cursor=50.0,
    )  # fmt: skip
    lines = plain(paint(one, 80, 12, LOOK))
    assert len(lines) == 12 and max(map(len, lines)) <= 80
    assert "ceiling 64" in lines[0] and "◀ onset 75" in "".join(lines)
    gutter = lines[0].index("┤") + 1
    assert lines[1][gutter + round(0.5 * (80 - gutter - 1))] == "│"
    assert lines[-1].index("▲k-means") == pytest.approx(gutter + 0.25 * (80 - gutter - 1), abs=1)
    assert "later" not in lines[-1] and " 50 " in lines[-2] and lines[-2].endswith("100")


@given(x=st.integers(0, 99))
def test_a_click_finds_the_step_that_is_drawn_there(x):
    one = chart(np.linspace(0, 1, 101), low=0.0, high=1.0)
    step = step_at(one, 100, 10, LOOK, x)
    if step is None:
        assert x < 10
        return
    lines = plain(paint(Chart(**{name: getattr(one, name) for name in one.__slots__} | {"cursor": step}), 100, 10, LOOK))
    assert any(line[x : x + 1] == "│" for line in lines[:8])


@pytest.mark.parametrize("look", [LOOK, ASCII])
def test_lines_are_told_by_style_not_only_by_colour(look):
    steps = np.arange(60.0)
    curves = tuple(
        Curve(line, ((steps, np.full(60, float(i))),), line) for i, line in enumerate(["solid", "dashed", "dotted", "dashdot"])
    )
    rows = plain(paint(Chart("x", "x", curves, 0, 59, 0, 3), 70, 8, look))
    gutter = rows[0].index("┤" if look.unicode else "|") + 1
    drawn = {row[gutter:].replace("▀", "▄").rstrip() for row in rows[:7] if row[gutter:].strip()}
    assert len(drawn) == 4, "four lines, four patterns"
    words = legend(Chart("x", "x", curves, 0, 59), look).plain
    assert len({words.split(f"{line} ")[1][0] for line in ("solid", "dashed", "dotted", "dashdot")}) == 4
    assert look.unicode or (all(row.isascii() for row in rows) and words.isascii())


@pytest.mark.parametrize(
    "values", [[], [3.0], [2.0, 2.0], [1e-300, 1e300], [-5.0, 5.0], [0.0, 1e-12], [1e308, -1e308], [5e-324], [1e15, 0.5]]
)
@pytest.mark.parametrize(("form", "log"), [("share", False), ("short", True), ("count", False)])
@pytest.mark.parametrize("size", [(11, 9), (12, 3), (40, 5), (160, 30), (1, 1)])
def test_no_chart_is_too_small_or_too_odd(values, form, log, size):
    lines = paint(chart(values, log=log, form=form), *size, LOOK)
    assert len(lines) in (0, size[1]) and all(line.cell_len <= size[0] for line in lines)


def test_an_empty_chart_says_why():
    assert any("nothing logged" in line for line in plain(paint(chart([]), 40, 5, LOOK)))


def test_both_needles_show():
    bar = needles(0.47, 0.98, 22, LOOK).plain
    assert bar.count("█") == 9 and bar.index("┃") == 19 and len(bar) == 22
    assert needles(0.001, None, 22, LOOK).plain.count("█") == 1, "any use shows"
    assert needles(0.999, None, 22, LOOK).plain.count("░") == 1, "only all of it fills the bar"
    assert "█" not in needles(None, 1.0, 22, LOOK).plain and needles(1.0, 1.0, 22, ASCII).plain.isascii()


def test_a_strip_shows_the_lowest_of_each_stretch():
    steps = np.arange(1000.0)
    shares = np.ones(1000)
    shares[500] = 0.01
    row = Strip("level 1", steps, shares)
    assert columns(row, 0, 999, 50).min() == 0.01
    (line,) = strips([row], 0, 999, 58, LOOK)
    assert line.plain.startswith("level 1 █") and line.plain.count(SHADES[0]) == 1
    (line,) = strips([row], 0, 999, 58, ASCII)
    assert line.plain.isascii() and line.plain.count(ASCII_SHADES[0]) >= 1
    assert np.isnan(columns(Strip("x", np.empty(0), np.empty(0)), 0, 1, 5)).all()
    held = columns(Strip("x", np.array([2.0, 8.0]), np.array([0.5, 1.0])), 0, 10, 11)
    assert np.isnan(held[[0, 1, 9, 10]]).all() and held[2:8].tolist() == [0.5] * 6 and held[8] == 1


def test_counts_that_are_no_counts_are_passed_over():
    event = Event("usage", 1.0, {"counts": [[0, 2], [3, 0], [99, 1], ["x", 1], [1], None, [2, 5], [-1, 1], [1 << 80, 1]]})
    assert used(tidy(event), 4).tolist() == [True, False, True, False]
    assert not used(tidy(Event("usage", 1.0, {"counts": "no"})), 4).any()

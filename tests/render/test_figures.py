"""Numbers for people: digits enough, and never rounded over a boundary that matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.render.figures import count, plural, scalar, share, short, size, span, unit
from vqdoctor.render.spark import usage_bars

GAP, SPACE = "\u202f", "\xa0"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.00390625, "0.4 %"), (1.0, "100 %"), (0, "0 %"), (0.99996, ">99.9 %"), (1e-9, "<0.1 %"), (None, "–"), (float("nan"), "–")],
)
def test_share(value, written):
    assert share(value) == written.replace(" ", SPACE)


@given(st.floats(0, 1))
def test_only_nothing_is_zero_and_only_all_is_all(value):
    assert (share(value) == f"0{SPACE}%") == (value == 0)
    assert (share(value) == f"100{SPACE}%") == (value == 1)


@pytest.mark.parametrize(
    ("value", "written"),
    [(65533, f"65{GAP}533"), (2.0, "2"), (2.5, "2.50"), (None, "–"), (2**80, "1.21e+24"), (-1234, f"-1{GAP}234")],
)
def test_count(value, written):
    assert count(value) == written


def test_a_number_that_no_machine_counts_to_is_told_by_its_size():
    assert count(10**5000) == "over 2^16609"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0404, "1.04"),
        (812.3, "812"),
        (12345.6, f"12{GAP}346"),
        (1.6e-5, "1.6e-05"),
        (0.0, "0"),
        (-0.25, "-0.250"),
        (float("inf"), "–"),
    ],
)
def test_short(value, written):
    assert short(value) == written


def test_units_sizes_and_plurals():
    assert (unit(0.0063), unit(1e-9), unit(0.0), unit(None)) == ("0.006", "<0.001", "0.000", "–")
    assert [size(n) for n in (0, 999, 1000, 999_600, 1_234_567_890, 5 * 10**15)] == [
        f"0{SPACE}B", f"999{SPACE}B", f"1{SPACE}kB", f"1{SPACE}MB", f"1.23{SPACE}GB", f"5e+03{SPACE}TB",
    ]  # fmt: skip
    assert (plural(1, "row"), plural(0, "row")) == ("1 row", "0 rows")
    assert scalar([1, None, True, "x"], say=lambda word: f"<{word}>") == "1, –, yes, <x>"


def test_a_span_is_one_figure_where_levels_agree():
    assert span([0.96, None, 0.98], share) == f"96.0–98.0{SPACE}%"
    assert span([2, 2], count) == "2"
    assert span([None, float("nan")], count) == "–"


def test_bars_fall_from_most_to_least_and_mark_what_is_never_hit():
    assert usage_bars([65101, 432], 512, 26) == "█" + "·" * 25
    assert usage_bars([5] * 8, 8, 30) == "█" * 8
    assert usage_bars([], 100, 4) == "····"
    assert usage_bars([10**6, 1], 2, 9, unicode=False) == "@:"


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(1, 80), st.integers(1, 50))
def test_bars_are_as_wide_as_asked_and_never_rise(hits, codes, width):
    bars = usage_bars(hits[:codes], codes, width)
    heights = ["·▁▂▃▄▅▆▇█".index(bar) for bar in bars]
    assert len(bars) == min(width, codes)
    assert heights == sorted(heights, reverse=True)

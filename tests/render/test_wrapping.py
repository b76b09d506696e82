"""Where lines may break: between words, never between a number and what belongs to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.render.page import wrapped
from vqdoctor.render.screen import GAP, SPACE

PARTS = ["takes 100 %", f"of 1{GAP}797 rows", f"351{SPACE}kB", "codes", "a much longer word"]


@pytest.mark.parametrize("width", range(12, 60))
def test_a_number_keeps_its_thousands_its_unit_and_its_percent(width: int) -> None:
    lines = wrapped(f"The most used code takes 100 % of 1{GAP}797{GAP}000 rows in a file of 351{SPACE}kB, 3.5 % each.", width)
    for whole in ("100 %", f"1{GAP}797{GAP}000", f"351{SPACE}kB", "3.5 %"):
        assert any(whole in line for line in lines), (whole, lines)


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12), st.integers(12, 80))
def test_nothing_is_lost_and_nothing_is_too_wide(parts: list[str], width: int) -> None:
    words = " ".join(parts)
    lines = wrapped(words, width)
    assert " ".join(lines) == words
    assert max(map(len, lines)) <= width


def test_nothing_is_one_empty_line() -> None:
    assert wrapped("", 20) == [""]

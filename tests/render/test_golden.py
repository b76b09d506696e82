"""Every view of every nasty report, word for word. To accept a change: VQDOCTOR_UPDATE_GOLDEN=1, then read the diff."""

import os
from pathlib import Path

import pytest
from nasty_reports import REPORTS

from vqdoctor.render import Screen, renderer

GOLDEN = Path(__file__).parent.parent / "golden"
VIEWS = {
    "txt": ("text", Screen(width=120)),
    "80.txt": ("text", Screen(width=80)),
    "ascii.txt": ("text", Screen(width=100, unicode=False)),
    "json": ("json", Screen()),
    "jsonl": ("jsonl", Screen()),
    "md": ("markdown", Screen()),
}
SETS = {name: (name,) for name in REPORTS} | {"several": tuple(REPORTS)}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", SETS)
def test_view_is_as_agreed(name, view):
    form, screen = VIEWS[view]
    text = renderer(form).render([REPORTS[each]() for each in SETS[name]], screen)
    path = GOLDEN / f"{name}.{view}"
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_behind():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{view}" for name in SETS for view in VIEWS}

"""The bar that shows how far a pass is: on standard error, for a person, in the colours that were asked for."""

from __future__ import annotations

import io
import re

import pytest

from vqdoctor.cli.progress import progress_for

COLOUR = re.compile(r"\x1b\[(?:\d+;)*[39]\d")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("color", "quiet", "drawn", "coloured"), [
    ("auto", False, True, True), ("always", False, True, True), ("never", False, True, False), ("auto", True, False, False),
])  # fmt: skip
def test_the_bar_keeps_to_color_and_quiet(
    color: str, quiet: bool, drawn: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    seen = Terminal()
    monkeypatch.setattr("sys.stderr", seen)
    bar = progress_for(quiet, color)
    bar.start("counting", 10)
    bar.advance(5)
    bar.stop()
    assert ("counting" in seen.getvalue()) == drawn
    assert (COLOUR.search(seen.getvalue()) is not None) == coloured

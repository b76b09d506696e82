"""What a stream can show: width, colour and characters, from the terminal and the conventions of the environment."""

import io
import sys
from types import SimpleNamespace

import pytest

from vqdoctor.cli import options, watch_faces
from vqdoctor.cli.options import screen_of
from vqdoctor.cli.progress import Bar, progress_for


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, seen, encoding="utf-8"):
        super().__init__()
        self.seen, self.encoding = seen, encoding

    def isatty(self):
        return self.seen


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "TERM", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("seen", "setting", "variables", "color"),
    [
        (True, "auto", {}, True),
        (False, "auto", {}, False),
        (True, "never", {}, False),
        (False, "always", {"NO_COLOR": "1"}, True),
        (True, "auto", {"NO_COLOR": "1"}, False),
        (True, "auto", {"NO_COLOR": ""}, True),
        (True, "auto", {"TERM": "dumb"}, False),
        (False, "auto", {"FORCE_COLOR": "1"}, True),
        (False, "auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (False, "auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, "never", {"FORCE_COLOR": "1"}, False),
        (False, "auto", {"FORCE_COLOR": ""}, False),
        (False, "auto", {"FORCE_COLOR": "0"}, False),
    ],
)
def test_colour(monkeypatch, seen, setting, variables, color):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert screen_of(Stream(seen), setting).color is color


@pytest.mark.parametrize(("columns", "width"), [("40", 80), ("100", 100), ("900", 200), (None, 120)])
def test_width(monkeypatch, columns, width):
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert screen_of(Stream(False), "auto").width == width


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("UTF-8", True), ("utf8", True), ("ascii", False), ("latin-1", False), (None, False)]
)
def test_characters(encoding, unicode):
    assert screen_of(Stream(False, encoding), "auto").unicode is unicode


def test_progress_is_for_a_person_who_watches(monkeypatch):
    monkeypatch.setattr("sys.stderr", Stream(False))
    assert not isinstance(progress_for(False), Bar)
    monkeypatch.setattr("sys.stderr", Stream(True))
    assert not isinstance(progress_for(True), Bar)
    bar = progress_for(False)
    assert isinstance(bar, Bar)
    bar.start("read\x1b]0;x\x07ing", 10)
    bar.advance(5)
    bar.stop()
    bar.stop()
    assert "\x1b]0" not in sys.stderr.getvalue()


@pytest.mark.parametrize(("missing", "term", "there"), [("", "xterm", True), ("", "dumb", False), ("__stderr__", "xterm", False)])
def test_a_watch_draws_where_a_dashboard_could_be_asked_for(monkeypatch, missing, term, there):
    for name in ("stdin", "stdout", "__stderr__"):
        monkeypatch.setattr(f"sys.{name}", SimpleNamespace(isatty=lambda name=name: name != missing))
    monkeypatch.setenv("TERM", term)
    asked, output = SimpleNamespace(plain=False, once=False), SimpleNamespace(format="text")
    assert watch_faces.has_screen(asked, output) is options.has_terminal() is there

"""Every view of every nasty report, word for word. To accept a change: VQDOCTOR_UPDATE_GOLDEN=1, then read the diff.

What has its own home and its own tests is left out: the page's style sheet and script, the long tail of a table of codes, the
rules' help pages in SARIF.
"""

import json
import os
import re
from pathlib import Path

import pytest
from gates import failed
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
    "github.txt": ("github", Screen()),
    "junit.xml": ("junit", Screen()),
    "sarif": ("sarif", Screen()),
    "bench.json": ("bench", Screen()),
    "html": ("html", Screen()),
}
GATED = ("md", "github.txt", "junit.xml", "sarif", "html")
SETS = {name: (name,) for name in REPORTS} | {"several": tuple(REPORTS)}
CASES = [(name, view, None) for name in SETS for view in VIEWS] + [("sick", view, failed()) for view in GATED]


def file_name(name, view, gate):
    return f"{name}{'.gated' if gate else ''}.{view}"


def without_tails(text):
    """A page without style, script and all but the first rows of its tables of codes; a tag a line."""
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", text, flags=re.DOTALL)
    text = re.sub(r"'sha256-[^']*'", "'sha256-…'", text)
    text = re.sub(r'(class="codes".*?<tbody>(?:<tr>.*?</tr>){3}).*?(</tbody>)', r"\1\2", text, flags=re.DOTALL)
    return re.sub(r"(<(?:section|article|h\d|table|tr|p|figure|path|text|details|li|div)\b)", r"\n\1", text)


def without_help(text):
    log = json.loads(text)
    log["runs"][0]["tool"]["driver"]["rules"] = [rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]]
    return json.dumps(log, indent=1) + "\n"


TRIMMED = {"html": without_tails, "sarif": without_help}


@pytest.mark.parametrize(("name", "view", "gate"), CASES, ids=[file_name(*case) for case in CASES])
def test_view_is_as_agreed(name, view, gate):
    form, screen = VIEWS[view]
    text = renderer(form).render([REPORTS[each]() for each in SETS[name]], screen, gate)
    text = TRIMMED.get(view, str)(text)
    path = GOLDEN / file_name(name, view, gate)
    if os.environ.get("VQDOCTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_behind():
    assert {path.name for path in GOLDEN.iterdir()} == {file_name(*case) for case in CASES}

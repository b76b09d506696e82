"""Workflow commands and the job summary: the caps, the escapes, and no command that a name could start."""

import re
from dataclasses import replace

import pytest
from gates import failed
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nasty_reports import REPORTS, blind, sick

from vqdoctor.model import Finding
from vqdoctor.render import Screen, renderer
from vqdoctor.render.to_github import CAP, ROOM, in_message, in_property, summary

COMMAND = re.compile(r"::(error|warning|notice) ((?:file=[^,:]*,)?title=[^,:]*)::(.*)")


def annotations(*reports, gate=None):
    """(kind, properties, message) of each command; any other line must be one of the log's own."""
    lines = renderer("github").render(reports, Screen(), gate).rstrip("\n").split("\n")
    assert all(line.startswith(("::", "vqdoctor: ")) for line in lines)
    return [COMMAND.fullmatch(line).groups() for line in lines if line.startswith("::")]


def many(severity, number):
    return tuple(Finding("VQ101", "codebook-collapse", severity, f"q[{i}]", f"Level {i}.") for i in range(number))


def test_errors_come_before_warnings_and_notices():
    kinds = [kind for kind, *_ in annotations(*(make() for make in REPORTS.values()))]
    assert kinds == sorted(kinds, key=("error", "warning", "notice").index)
    assert kinds[:2] == ["error", "error"]


def test_more_than_a_step_shows_are_folded_into_the_last():
    found = annotations(replace(sick(), findings=many("error", 12) + many("warning", 10) + many("info", 11)))
    by_kind = {kind: [message for each, _, message in found if each == kind] for kind in ("error", "warning", "notice")}
    assert {kind: len(messages) for kind, messages in by_kind.items()} == {"error": CAP, "warning": CAP, "notice": CAP}
    assert by_kind["error"][:9] == [f"Level {i}." for i in range(9)]
    assert "q[9]" in by_kind["error"][9] and "q[11]" in by_kind["error"][9]
    assert "title=3 more errors" in next(properties for kind, properties, message in found if message == by_kind["error"][9])
    assert by_kind["warning"] == [f"Level {i}." for i in range(10)]


@given(st.text(max_size=60))
@settings(deadline=None)
def test_nothing_ends_a_command_or_starts_one(words):
    message, value = in_message(words), in_property(words)
    assert "\n" not in message and "\r" not in message and "##[" not in message
    assert re.fullmatch(r"[^:,\r\n]*", value)
    assert re.fullmatch(r"(?:[^%]|%25|%0A|%0D|%3A|%2C)*", value)


@pytest.mark.parametrize("name", REPORTS)
def test_every_line_is_a_command_of_ours(name):
    annotations(REPORTS[name](), gate=failed())


def test_a_path_is_told_from_the_folder_that_the_job_runs_in():
    report = replace(sick(), source=replace(sick().source, path="/home/me/repo/runs/a.pt"))
    text = renderer("github").render([report], Screen(folder="/home/me/repo"))
    assert "file=runs/a.pt," in text and "/home/me/repo" not in text.split("\n", 1)[1]


def test_gate_checks_stand_first_with_both_numbers():
    kinds = annotations(sick(), gate=failed())
    assert kinds[0][0] == "error" and "usage.utilization 0.00391, asked ≥ 0.9" in kinds[0][2]
    assert [kind for kind, title, _ in kinds if "title=gate" in title] == ["error", "error", "warning", "warning"]
    assert "1 536 rows would settle it" in " ".join(message for *_, message in kinds)


def test_the_summary_leads_with_verdicts_and_folds_the_reports():
    text = summary([sick(), blind()], failed())
    assert text.startswith("## Gate: fail")
    assert text.index("| ✗ sick |") < text.index("<details>")
    assert text.count("<details>") == text.count("</details>") == 2


def test_the_summary_stays_within_its_room_and_says_what_it_left_out():
    noisy = replace(sick(), findings=many("error", 40), source=replace(sick().source, warnings=("w" * 3000,) * 400))
    text = summary([noisy] * 3)
    assert len(text.encode()) <= ROOM < 2**20
    assert "cut to stay under" in text
    assert text.count("<details>") == text.count("</details>")
    assert len(summary([noisy], room=0).encode()) < 200


def test_names_in_the_summary_open_no_html():
    tokens = MarkdownIt("commonmark").enable("table").parse(summary([REPORTS["hostile"]()]))
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.content for token in inline if token.type == "html_inline"} <= {"<!-- -->"}
    blocks = [token.content for token in tokens if token.type == "html_block"]
    assert [re.findall(r"<(/?\w+)", block) for block in blocks] == [["details", "summary", "/summary"], ["/details"]]

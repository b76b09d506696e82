"""The formats for other people's tools from the command line, and the summary of a GitHub job."""

import json
import xml.etree.ElementTree as Xml

import pytest
from command_line import report, stand_in

from vqdoctor.cli.entry import run
from vqdoctor.render import RENDERERS


@pytest.fixture
def job(monkeypatch, tmp_path):
    """Runs inspect within a job's step, on a stand-in; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    asked = []

    def step(*arguments):
        def inspect(paths, request, progress, left_out):
            asked.append(request)
            return [report(path=str(tmp_path / "runs" / "a.pt"))]

        stand_in(monkeypatch, inspect)
        return run(["inspect", "a.pt", *arguments])

    step.asked = asked
    return step


def test_annotations_go_to_standard_output_and_the_summary_to_its_file(job, tmp_path, capsys):
    assert job("--format", "github") == 0
    assert "::warning file=runs/a.pt,title=VQ203 zero-codes at vq::2 rows are zero." in capsys.readouterr().out.splitlines()
    assert "| ? unknown |" in (tmp_path / "summary.md").read_text()


def test_the_summary_is_added_to_and_not_replaced(job, tmp_path):
    (tmp_path / "summary.md").write_text("before\n")
    job("-o", "github=annotations.txt")
    assert (tmp_path / "summary.md").read_text().startswith("before\n## vqdoctor")
    assert (tmp_path / "annotations.txt").read_text().startswith("vqdoctor: ")


def test_other_formats_leave_the_summary_alone(job, tmp_path):
    job("--format", "junit")
    assert not (tmp_path / "summary.md").exists()


def test_a_summary_that_cannot_be_written_is_2_and_names_it(job, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert job("--format", "github") == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_one_run_writes_every_format(job, tmp_path):
    assert job(*(word for each in RENDERERS for word in ("-o", f"{each.name}=out.{each.name}"))) == 0
    assert {path.suffix for path in tmp_path.glob("out.*")} == {f".{each.name}" for each in RENDERERS}
    Xml.parse(tmp_path / "out.junit")
    sarif = json.loads((tmp_path / "out.sarif").read_text())
    assert sarif["runs"][0]["artifacts"][0]["location"]["uri"] == "runs/a.pt"
    assert json.loads((tmp_path / "out.bench").read_text()) == []


@pytest.mark.parametrize(("form", "wanted"), [("html", True), ("sarif", False)])
def test_the_page_is_given_every_code(job, form, wanted):
    job("-o", f"{form}=out")
    assert job.asked[0].details is wanted

"""`vqdoctor inspect`: what the use case is asked, where its reports go, and when the exit status is 1."""

import json
from dataclasses import replace

import pytest
from command_line import report, stand_in

from vqdoctor.app.request import InspectRequest
from vqdoctor.cli.entry import run


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Runs the command on a stand-in that gives `reports`; returns (status, paths, request)."""
    monkeypatch.chdir(tmp_path)

    def inspect_with(*arguments, reports=None):
        calls = []

        def inspect(paths, request, progress, left_out):
            calls.append((paths, request))
            progress.start("reading", 3)
            progress.advance(3)
            return list(reports or [report()])

        stand_in(monkeypatch, inspect)
        status = run(["inspect", *arguments])
        return (status, *calls[0]) if calls else (status, None, None)

    return inspect_with


def test_without_options_the_request_is_the_default(asked):
    status, paths, request = asked("a.pt", "b.pt")
    assert (status, tuple(paths), request) == (0, ("a.pt", "b.pt"), InspectRequest())


def test_every_option_reaches_the_request(asked, tmp_path):
    (tmp_path / "lr=0.1.npy").touch()
    _, _, request = asked(
        *("a.pt", "--features", "enc.vq=f.npy", "--features", "lr=0.1.npy", "--codes", "c.npy", "--data", "d.npy", "--population"),
        *("--batch", "64", "--quantizer", "vq", "--metric", "cosine", "--suffix", "no", "--sizes", "4, 8", "--checkpoint", "k.pt"),
        *(
            "--select",
            "emb.*",
            "--axis",
            "dk",
            "--ema-threshold",
            "2",
            "--ema-decay",
            "0.99",
            "--temperature",
            "0.5",
            "--fit",
            "--translate",
        ),
        *("--details", "out.csv"),
    )
    assert request == InspectRequest(
        features=(("enc.vq", "f.npy"), (None, "lr=0.1.npy")),
        codes="c.npy",
        data="d.npy",
        population=True,
        batch=64,
        quantizer="vq",
        metric="cosine",
        suffix=False,
        sizes=(4, 8),
        checkpoint="k.pt",
        select="emb.*",
        axis="dk",
        ema_threshold=2.0,
        ema_decay=0.99,
        temperature=0.5,
        fit=True,
        translate=True,
        details=True,
    )
    assert (tmp_path / "out.csv").read_bytes() == b"path,quantizer,level\r\n"


def test_sample_and_suffix_the_other_way(asked):
    _, _, request = asked("a.pt", "--sample", "--suffix", "yes")
    assert request.population is False and request.suffix is True


@pytest.mark.parametrize("severity", ["info", "warning", "error", None])
@pytest.mark.parametrize("limit", ["never", "info", "warning", "error"])
def test_fail_on(asked, severity, limit):
    order = [None, "info", "warning", "error"]
    expected = limit != "never" and order.index(severity) >= order.index(limit)
    assert asked("a.pt", "--fail-on", limit, reports=[report(None), report(severity)])[0] == expected


def test_one_run_feeds_every_consumer(asked, tmp_path, capsys):
    status, _, _ = asked(
        "a.pt", "--report", "json=r.json", "-o", "markdown=r.md", "-o", "text=r.txt", "--color", "always", "--format", "jsonl"
    )
    assert status == 0
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(capsys.readouterr().out)
    assert (tmp_path / "r.md").read_text().startswith("## ? unknown: a.pt")
    assert "\x1b" not in (tmp_path / "r.txt").read_text()


def test_a_dash_is_standard_output(asked, tmp_path, capsys):
    assert asked("a.pt", "-o", "json=-", "-o", "markdown=r.md")[0] == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "vqdoctor.report/1"
    assert [path.name for path in tmp_path.iterdir()] == ["r.md"]
    assert asked("a.pt", "--format", "json", "-o", "json=-")[0] == 0
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("first", [["--format", "markdown"], ["--format", "text"], ["-o", "junit=-"]])
def test_standard_output_takes_one_view(asked, capsys, first):
    assert asked("a.pt", *first, "-o", "json=-") == (2, None, None)
    assert "standard output takes one view, not " in capsys.readouterr().err


def test_colour_is_asked_for_or_follows_the_terminal(asked, capsys, monkeypatch):
    asked("a.pt")
    assert "\x1b" not in capsys.readouterr().out
    asked("a.pt", "--color", "always")
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    asked("a.pt", "--color", "never")
    assert "\x1b" not in capsys.readouterr().out


def test_warnings_are_in_the_text_and_beside_other_formats(asked, capsys):
    warned = report(warnings=["odd\x1b[2J"])
    asked("a.pt", reports=[warned])
    out, err = capsys.readouterr()
    assert "! odd\\x1b[2J" in out and err == ""
    asked("a.pt", "--format", "json", reports=[warned])
    out, err = capsys.readouterr()
    assert json.loads(out)["source"]["warnings"] == ["odd\x1b[2J"] and err == "vqdoctor: warning: a.pt: odd\\x1b[2J\n"
    asked("a.pt", "--format", "json", "--quiet", reports=[warned])
    assert capsys.readouterr().err == ""


def test_charts_follow_the_text_and_only_the_text(asked, capsys):
    pytest.importorskip("plotext")
    assert asked("a.pt", "--plot")[0] == 0
    assert capsys.readouterr().out.endswith("nothing to draw: no use of codes was counted\n")
    assert asked("a.pt", "--plot", "--format", "json") == (2, None, None)


@pytest.mark.parametrize("output", [["-o", "json=a.pt"], ["--details", "./a.pt"], ["-o", "json=hard.pt"], ["-o", "json=f.npy"]])
def test_an_input_is_never_overwritten(asked, tmp_path, capsys, output):
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "hard.pt").hardlink_to(tmp_path / "a.pt")
    (tmp_path / "f.npy").write_bytes(b"rows")
    assert asked("a.pt", "--features", "f.npy", *output) == (2, None, None)
    assert "must not replace it" in capsys.readouterr().err
    assert (tmp_path / "a.pt").read_bytes() == b"weights"


def test_a_report_that_cannot_be_written_is_2_whatever_was_found(asked, capsys):
    assert asked("a.pt", "-o", "json=missing/r.json", "--fail-on", "warning")[0] == 2
    out, err = capsys.readouterr()
    assert out == "" and "missing/r.json" in err


def test_details_must_be_of_a_known_kind(asked, capsys):
    assert asked("a.pt", "--details", "codes.xlsx") == (2, None, None)
    assert ".csv, .json or .parquet" in capsys.readouterr().err


def test_thresholds_of_the_project_reach_the_request(asked, tmp_path, capsys):
    (tmp_path / "vqdoctor.toml").write_text("[rules]\nVQ103 = { warn = 0.3 }\nzero-codes = 'off'\n")
    assert asked("a.pt")[2].rules == {"VQ103": {"warn": 0.3}, "VQ203": {"severity": "off"}}
    (tmp_path / "vqdoctor.toml").write_text("[rules]\nVQ103 = { wran = 0.3 }\n")
    assert asked("a.pt") == (2, None, None)
    assert "vqdoctor.toml:2: tool.vqdoctor.rules.VQ103" in capsys.readouterr().err


def test_several_sources_are_one_document(asked, capsys):
    asked("a.pt", "b.pt", "--format", "json", reports=[report(), replace(report(), verdict="sick")])
    assert [each["verdict"] for each in json.loads(capsys.readouterr().out)["reports"]] == ["unknown", "sick"]

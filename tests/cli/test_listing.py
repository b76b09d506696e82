"""`vqdoctor inspect --list`: names what is there, measures nothing, imports nothing that measures."""

import json

import numpy as np
import pytest
from command_line import ROOT, shell

from vqdoctor.cli.entry import run

SAMPLES = ROOT / "sample_checkpoints"
RESIDUAL = str(SAMPLES / "collapsed-rq.pt")


def test_every_level_of_a_folder_has_a_line(capsys):
    assert run(["inspect", "--list", str(SAMPLES)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("    [") for line in lines) == 1 + 1 + 1 + 3 + 3
    at = next(number for number, line in enumerate(lines) if "collapsed-rq.pt" in line)
    assert lines[at + 1].split("   ")[0].strip() == "quantizer"
    assert "residual, 3 levels" in lines[at + 1]
    assert [line.split() for line in lines[at + 2 : at + 5]] == [
        [f"[{level}]", "32", "×", "16", "float32", f"quantizer.layers.{level}.codebook"] for level in range(3)
    ]


def test_for_a_program_as_a_report_names_it(capsys, tmp_path):
    written = tmp_path / "list.txt"
    assert run(["inspect", "--list", "--format", "json", "-o", f"text={written}", RESIDUAL]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema"] == "vqdoctor.list/1"
    assert run(["inspect", "--format", "json", RESIDUAL]) == 0
    report = json.loads(capsys.readouterr().out)
    (file,) = listed["files"]
    assert {name: file[name] for name in ("path", "kind", "bytes")} == {
        name: report["source"][name] for name in ("path", "kind", "bytes")
    }
    for own, other in zip(file["quantizers"], report["quantizers"], strict=True):
        shared = own.keys() & other.keys() - {"levels"}
        assert {"name", "layout", "structure", "metric"} <= shared
        assert [own[name] for name in shared] == [other[name] for name in shared]
        assert own["confidence"] == 1
        for level, reported in zip(own["levels"], other["levels"], strict=True):
            assert level == {name: reported[name] for name in level}
    assert "collapsed-rq.pt" in written.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--codes", "c.npy"], "leave --codes away"),
        (["--fit"], "leave --fit away"),
        (["--sizes", "4,4"], "leave --sizes away"),
        (["--format", "html"], "text or json, not as html"),
        (["-o", f"json={RESIDUAL}"], "this is an input"),
        (["--axis", "kd"], "--select"),
    ],
)
def test_what_a_list_has_no_use_for_is_refused(capsys, options, message):
    assert run(["inspect", "--list", RESIDUAL, *options]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True)


def test_a_file_without_codebooks_and_one_of_ids(capsys, tmp_path):
    np.savez(tmp_path / "none.npz", step=np.arange(3))
    assert run(["inspect", "--list", str(tmp_path / "none.npz")]) == 3
    (tmp_path / "ids.json").write_text('{"0": ["<a_1>", "<b_2>"], "1": ["<a_1>", "<b_3>"]}')
    assert run(["inspect", "--list", str(tmp_path / "ids.json")]) == 2
    assert "semantic IDs" in capsys.readouterr().err


def test_names_from_a_file_reach_no_terminal_raw(capsys, tmp_path):
    np.savez(tmp_path / "odd.npz", **{"\x1b[31mquantizer.embedding.weight": np.eye(8, 4, dtype=np.float32)})
    assert run(["inspect", "--list", "--select", "embedding", str(tmp_path / "odd.npz")]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_nothing_that_measures_is_loaded():
    script = (
        "import sys\nfrom vqdoctor.cli.entry import run\n"
        "status = run(sys.argv[1:])\n"
        "heavy = [name for name in ('vqdoctor.metrics', 'vqdoctor.diagnosis', 'vqdoctor.engines', 'rich', 'torch', 'scipy')"
        " if name in sys.modules]\n"
        "sys.exit(f'loaded {heavy}' if heavy else status)\n"
    )
    done = shell("inspect", "--list", RESIDUAL, script=script)
    assert (done.returncode, done.stderr) == (0, "")

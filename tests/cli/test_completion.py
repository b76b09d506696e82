"""What TAB offers, asked as a shell asks; and the environment that a bug report quotes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from command_line import ROOT, shell

from vqdoctor.cli.entry import commands

SAMPLE = str(ROOT / "sample_checkpoints" / "collapsed-rq.pt")


def offered(line: str, begun: str = "") -> list[str]:
    asked = ShellComplete(commands, {}, "vqdoctor", "_VQDOCTOR_COMPLETE")
    return [item.value for item in asked.get_completions(line.split(), begun)]


@pytest.mark.parametrize(
    ("line", "begun", "wanted"),
    [
        ("", "in", "inspect"),
        ("gate", "--inc", "--inconclusive"),
        ("gate --min", "usage.uti", "usage.utilization="),
        ("gate --max-drop", "vq[1]:usage.uti", "vq[1]:usage.utilization="),
        ("gate --rule", "vq10", "VQ103="),
        ("gate --rule", "ema-ill", "ema-illusion="),
        ("gate --rule", "VQ103=w", "VQ103=warning"),
        ("gate --preset", "s", "semantic-ids"),
        ("watch --until", "vq5", "VQ501"),
        ("watch --until", "e", "end"),
        ("watch --alias", "my=usage.per", "my=usage.perplexity"),
        ("compare --first-bad", "VQ1", "VQ101"),
        ("explain", "usage.p", "usage.perplexity"),
        ("explain", "ema-", "ema-illusion"),
        ("explain", "st", "strict"),
        ("explain", "rq-", "rq-tuned"),
        ("train", "rq-", "rq-tuned"),
        ("train --set", "commitment_", "commitment_weight="),
        ("plugins", "log", "log_readers"),
        ("inspect --engine", "lo", "local"),
        ("inspect -o", "js", "json="),
        ("compare --report", "m", "markdown="),
        ("gate --engine", "", "local"),
    ],
)
def test_names_are_offered_where_options_take_them(line, begun, wanted):
    found = offered(line, begun)
    assert wanted in found and all(one.lower().startswith(begun.lower()) for one in found)


@pytest.mark.parametrize("command", ["inspect", "repair", "encode", "gate"])
def test_quantisers_are_those_of_the_checkpoint(command):
    assert offered(f"{command} {SAMPLE} --quantizer") == ["quantizer"]
    assert offered(f"{command} nowhere.pt --quantizer") == [] == offered(f"{command} --quantizer")


def test_places_and_tensors_are_those_of_the_checkpoint():
    assert offered(f"gate {SAMPLE} --min", "qua") == ["quantizer:"]
    found = offered(f"inspect {SAMPLE} --select", "model.q")
    assert found == [f"model.quantizer.layers.{level}.codebook" for level in range(3)]


def test_nothing_that_could_drive_a_terminal_is_offered(tmp_path):
    np.savez(tmp_path / "odd.npz", **{"quantize\x1b[2J.embedding.weight": np.zeros((8, 4), "f4")})
    assert offered(f"inspect {tmp_path / 'odd.npz'} --select") == []
    assert not any("\x1b" in name for name in offered(f"inspect {tmp_path / 'odd.npz'} --quantizer"))


def test_a_broken_file_offers_nothing(tmp_path):
    (tmp_path / "cut.pt").write_bytes(Path(SAMPLE).read_bytes()[:300])
    assert offered(f"inspect {tmp_path / 'cut.pt'} --quantizer") == []


@pytest.mark.parametrize(
    "line", ["inspect", "watch", "repair", "gate", "compare", "encode", "inspect --features", "repair m.pt -o", "train --out"]
)
def test_files_are_left_to_the_shell(line):
    asked = ShellComplete(commands, {}, "vqdoctor", "_VQDOCTOR_COMPLETE")
    assert [item.type for item in asked.get_completions(line.split(), "run")] == ["file"]


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_a_shell_is_set_up_and_answered(kind):
    script = "import sys; sys.argv[0] = 'vqdoctor'; from vqdoctor.cli import main; main()"
    setup = shell(script=script, _VQDOCTOR_COMPLETE=f"{kind}_source")
    assert setup.returncode == 0 and "_VQDOCTOR_COMPLETE" in setup.stdout
    word = "VQ10" if kind == "fish" else "2"
    asked = {"_VQDOCTOR_COMPLETE": f"{kind}_complete", "COMP_WORDS": "vqdoctor explain VQ10", "COMP_CWORD": word}
    answer = shell(script=script, **asked)
    assert "VQ103" in answer.stdout and not answer.stderr


def imported_by(code: str) -> set[str]:
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    code += "; import sys; print(*sys.modules, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert run.returncode == 0, run.stderr
    return set(run.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        f"from test_completion import offered; offered('inspect {SAMPLE} --quantizer')[0]",
        "from vqdoctor.cli.environment import environment; environment()",
    ],
)
def test_neither_names_of_a_checkpoint_nor_the_environment_import_anything_heavy(code):
    assert not {"torch", "textual", "sklearn"} & imported_by(code)


@pytest.mark.parametrize("arguments", [("--version", "-v"), ("-v", "--version"), ("--version", "--verbose")])
def test_the_environment_names_versions_and_nothing_private(arguments):
    run = shell(*arguments, SECRET_TOKEN="hunter2", HOME="/home/somebody")
    assert run.returncode == 0 and f"numpy {version('numpy')}\n" in run.stdout and f"torch {version('torch')}\n" in run.stdout
    assert "hunter2" not in run.stdout and str(ROOT) not in run.stdout and "/home" not in run.stdout


def test_the_version_alone_is_a_line():
    assert shell("--version").stdout.startswith("vqdoctor 0.") and len(shell("--version").stdout.splitlines()) == 1

"""The ways in that are files of a repository: the GitHub action's step and the hooks of pre-commit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "plugins" / "github-action"
FAKE = """#!{python}
import json, sys
print(json.dumps(sys.argv[1:]))
sys.exit(7)
"""


def step(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's step, with a vqdoctor on the path that says what it was given."""
    (folder / "bin").mkdir()
    fake = folder / "bin" / "vqdoctor"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}", **inputs}
    return subprocess.run(["bash", ACTION / "gate.sh"], capture_output=True, text=True, env=environment, cwd=folder, timeout=60)


def test_the_step_hands_each_line_to_vqdoctor_and_its_status_on(tmp_path):
    run = step(
        tmp_path, PATHS="a.pt\n  b c.pt  \n\n", FEATURES="vq=f.npy", ARGUMENTS="--min=usage.utilization=0.9\r\n--preset=strict\n",
        REPORTS="sarif=v.sarif\nhtml=v.html",
    )  # fmt: skip
    assert run.returncode == 7
    assert json.loads(run.stdout)[1:] == [
        "--format", "github", "--features", "vq=f.npy", "-o", "sarif=v.sarif", "-o", "html=v.html",
        "--min=usage.utilization=0.9", "--preset=strict", "--", "a.pt", "b c.pt",
    ]  # fmt: skip


@pytest.mark.parametrize("hostile", ["$(touch owned)", "`touch owned`", "; touch owned", "a\\\n* ?", "--debug", "'\"${PATH}"])
def test_nothing_of_an_input_is_run_or_taken_for_an_option(tmp_path, hostile):
    run = step(tmp_path, PATHS=hostile)
    given = json.loads(run.stdout)[1:]
    assert given[:3] == ["--format", "github", "--"] and given[3:] == hostile.split("\n")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("paths", ["", " \n\t\n"])
def test_without_a_path_it_says_so(tmp_path, paths):
    run = step(tmp_path, PATHS=paths)
    assert run.returncode not in (0, 7) and "name at least one file" in run.stderr and not run.stdout


def test_the_action_puts_inputs_into_the_environment_only():
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite" and not any("${{" in one.get("run", "") for one in steps)
    told = set(re.findall(r"inputs\.([\w-]+)", json.dumps(steps)))
    assert told == set(action["inputs"]) and all(one["description"] for one in action["inputs"].values())
    assert set(re.findall(r"\$\{(\w+):", (ACTION / "gate.sh").read_text())) <= set(steps[-1]["env"])


HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}


@pytest.mark.parametrize(
    ("hook", "name", "taken"),
    [
        ("vqdoctor-gate", "runs/vq.ckpt", True),
        ("vqdoctor-gate", "items.index.json", True),
        ("vqdoctor-gate", "runs/vq.features.pt", False),
        ("vqdoctor-gate", "package.json", False),
        ("vqdoctor-config", "vqdoctor.toml", True),
        ("vqdoctor-config", "sub/pyproject.toml", False),
    ],
)
def test_a_hook_is_run_on_its_files_only(hook, name, taken):
    asked = HOOKS[hook]
    found = re.search(asked["files"], name) is not None and not re.search(asked.get("exclude", "$^"), name)
    assert found is taken


def test_hooks_call_commands_that_are_there(tmp_path):
    (tmp_path / "vqdoctor.toml").write_text("[gate]\npresett = 'codec'\n")
    config = HOOKS["vqdoctor-config"]
    run = hooked(config, tmp_path)
    assert run.returncode == 2 and "presett" in run.stderr
    (tmp_path / "vqdoctor.toml").write_text("[gate]\npreset = 'codec'\n")
    assert hooked(config, tmp_path).returncode == 0
    sick = hooked(HOOKS["vqdoctor-gate"], ROOT, "sample_checkpoints/ema-illusion.pt")
    well = hooked(HOOKS["vqdoctor-gate"], ROOT, "sample_checkpoints/healthy-vq.pt")
    assert (sick.returncode, well.returncode) == (1, 0)


def hooked(hook: dict[str, str], folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """A hook as pre-commit calls it."""
    command = [sys.executable, "-m", *hook["entry"].split(), *files]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=120)

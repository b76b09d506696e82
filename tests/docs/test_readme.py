"""The README is run: what it shows is what one gets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = re.sub("[\u00a0\u202f]", " ", (ROOT / "README.md").read_text(encoding="utf-8"))


def run(*command: str) -> str:
    environment = os.environ | {"COLUMNS": "120", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return re.sub("[\u00a0\u202f]", " ", done.stdout)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_session_shown_is_the_session_had() -> None:
    shown = blocks("console")[0].split("\n\n$ ")[0].splitlines()[1:]
    had = run(sys.executable, "-m", "vqdoctor", "inspect", "sample_checkpoints/ema-illusion.pt").splitlines()
    for line in shown:
        if line.strip() and "…" not in line:
            assert line in had


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str) -> None:
    assert run(sys.executable, "-c", code).strip() == "sick 1 256"


def test_the_make_targets_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_commands_in_the_readme_exist_with_their_options() -> None:
    for line in re.findall(r"vqdoctor (inspect [^`\n]*)", README):
        for option in re.findall(r"--[a-z]+(?:-[a-z]+)*", line):
            assert option in run(sys.executable, "-m", "vqdoctor", "inspect", "--help")

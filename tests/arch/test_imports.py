"""What a command may load: measured in a fresh process, because a lazy import that stopped being lazy breaks no other test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HEAVY = ("torch", "sklearn", "scipy", "textual", "pandas", "pyarrow", "plotext")


def modules_after(*arguments: str) -> set[str]:
    """Modules loaded once `vqdoctor ARGUMENTS` has run: all, and the packages that they are of."""
    code = (
        "import sys, json\n"
        "from vqdoctor.cli import main\n"
        f"sys.argv = ['vqdoctor', *{list(arguments)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted({part for name in sys.modules for part in (name, name.partition('.')[0])})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("inspect", "--help"), ("gate", "--help")])
def test_help_loads_no_numbers_and_no_screens(arguments: tuple[str, ...]) -> None:
    assert not modules_after(*arguments) & {*HEAVY, "numpy", "rich", "orjson"}


def test_inspecting_a_checkpoint_loads_no_torch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "books.npz", codebook_0=rng.normal(size=(16, 4)).astype(np.float32))
    np.save(tmp_path / "books.features.npy", rng.normal(size=(200, 4)).astype(np.float32))
    loaded = modules_after("inspect", str(tmp_path / "books.npz"))
    assert "numpy" in loaded
    assert not loaded & set(HEAVY)


def test_inspecting_without_rows_loads_nothing_that_only_other_work_needs(tmp_path: Path) -> None:
    np.savez(tmp_path / "books.npz", codebook_0=np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    loaded = modules_after("inspect", str(tmp_path / "books.npz"))
    writing = {f"vqdoctor.checkpoint.{name}" for name in ("copying", "comparing", "patching", "encoding")}
    assert not loaded & {"numpy.ma", "importlib.resources", "vqdoctor.treatment", "vqdoctor.trainer", *writing}


def test_importing_the_package_loads_nothing_of_it() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import sys, vqdoctor; print('numpy' in sys.modules, 'vqdoctor.model' in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert run.stdout.split() == ["False", "False"]

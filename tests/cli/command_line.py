"""Running the command line as a shell does, and standing in for the use case behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

from vqdoctor.model import Finding, QuantizerReport, Report, Source

SHAPING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONIOENCODING")
ROOT = Path(__file__).parents[2]


def environment(**more):
    """The test's environment without what would colour or resize the output."""
    names = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONIOENCODING")
    }
    return names | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "PYTHONUTF8": "1"} | more


def shell(*arguments, script=None, folder=None, timeout=120, **more):
    """The finished process of `vqdoctor ARGUMENTS` in `folder`, or of a Python script that is given them."""
    start = ["-c", script] if script else ["-m", "vqdoctor"]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)], capture_output=True, text=True, env=environment(**more), timeout=timeout,
        errors="replace", cwd=folder,
    )  # fmt: skip


def report(severity="warning", path="a.pt", warnings=()):
    """A report with one finding of `severity`, or none."""
    findings = (Finding("VQ203", "zero-codes", severity, "vq", "2 rows are zero."),) if severity else ()
    quantizer = QuantizerReport("vq", "fsq", "key vq", "implicit", "l2", "stated", ())
    return Report(Source(path, "npz", 10, warnings=tuple(warnings)), (quantizer,), findings, version="0.1.0")


def stand_in(monkeypatch, inspect):
    """`vqdoctor.app.inspect.inspect` is `inspect` during the test."""
    module = types.ModuleType("vqdoctor.app.inspect")
    module.inspect = inspect
    monkeypatch.setitem(sys.modules, "vqdoctor.app.inspect", module)

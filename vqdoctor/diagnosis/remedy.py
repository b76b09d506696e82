"""The commands that a finding names: only where one helps, quoted so that they can be pasted.

A semantic-ID file holds nothing that could be repaired, a log only where it names a checkpoint, and features help only where
nearest-code search gives the model's own codes; there a finding has its text alone.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Any

from vqdoctor.diagnosis.case import Case, Level
from vqdoctor.errors import printable
from vqdoctor.model import Remedy

PLACEHOLDER = "FEATURES.npy"
SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def repair(text: str, case: Case, *options: str, level: Level | None = None) -> Remedy:
    """A remedy with `vqdoctor repair`: for methods that work on the tensors alone (``--sanitize``, ``--sync-ema``, …).

    Args:
        level: names this level in the command where the quantiser has several.
    """
    return Remedy(text, _command(case, options, level) if case.quantizer else None)


def refit(text: str, case: Case, *options: str, level: Level | None = None) -> Remedy:
    """A remedy with `vqdoctor repair` by a method that needs features (``--kmeans``, ``--reset-dead``, ``--split``)."""
    if case.quantizer is None or case.quantizer.searchable is not None:
        return Remedy(text)
    return Remedy(text, _command(case, (*options, "--features", _argument(case.features or PLACEHOLDER)), level))


def repair_checkpoint(text: str, log: str, checkpoint: Any, *options: str, level: int | None = None) -> Remedy:
    """A remedy with `vqdoctor repair` on a checkpoint that a log at `log` names, or that lies beside it.

    Args:
        checkpoint: as the log names it, of any type; None where it names none: then there is no command.
    """
    name = re.split(r"[/\\\\]", checkpoint)[-1] if isinstance(checkpoint, str) else ""
    if not name.endswith(SUFFIXES):
        return Remedy(text)
    path = _argument(posixpath.join(posixpath.dirname(log), name))
    words = ["vqdoctor", "repair", path, *options, *(() if level is None else ("--level", str(level)))]
    return Remedy(text, shlex.join([*words, "-o", f"repaired{_suffix(path)}"]))


def _command(case: Case, options: tuple[str, ...], level: Level | None) -> str:
    words = ["vqdoctor", "repair", _argument(case.path), *options]
    if not case.alone:
        words += ["--quantizer", _argument(case.name)]
    if level is not None and len(case.report.levels) > 1:
        words += ["--level", str(level.report.index)]
    return shlex.join([*words, "-o", f"repaired{_suffix(case.path)}"])


def _argument(text: str) -> str:
    """Safe to show, and never read as an option."""
    shown = printable(text, limit=4096)
    return f"./{shown}" if shown.startswith("-") else shown


def _suffix(path: str) -> str:
    """A repaired copy is of the same format as its source."""
    return ".safetensors" if path.endswith(".safetensors") else ".pt"

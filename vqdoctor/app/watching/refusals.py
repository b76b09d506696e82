"""What a user names as a log and is none: told at once and with what to do instead, before it is read as a log of odd numbers."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence

from vqdoctor.app.watching.arrivals import looks_like_checkpoint
from vqdoctor.checkpoint import sniff
from vqdoctor.errors import UnsupportedInput, printable
from vqdoctor.logs import looks_like_log
from vqdoctor.logs.rows import COARSE, FINE, TIMES
from vqdoctor.samples import is_surely_ids, sniff_ids

AXES = frozenset((*FINE, *COARSE, *TIMES))
TEE = "PROGRAM | tee run.log"
ARRAYS = ("npy", "npz")


def refuse_others(paths: Sequence[str]) -> None:
    """Refuse what is no log. A path that is not there yet, and a folder, may become one.

    Raises:
        UnsupportedInput: a file is a checkpoint, an array, semantic IDs or a table in parquet, or a pipe or device.
    """
    for path in paths:
        if (told := _told(path)) is not None:
            what, hint = told
            raise UnsupportedInput(what, where=path, hint=hint)


def _told(path: str) -> tuple[str, str] | None:
    """What a path is and what to do with it, None where it may be a log."""
    if path == "-" and not os.path.lexists(path):
        return "standard input is not read.", f"Keep what comes in a file and watch that: {TEE}"
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever opens it says why it cannot be
        return None
    if not stat.S_ISREG(mode):
        return None if stat.S_ISDIR(mode) else _stream(path, mode)
    name, shown = os.path.basename(path), shlex.quote(printable(path))
    inspect = f"Look into it: vqdoctor inspect {shown}"
    looks = sniff_ids(path)
    if looks == "npy":
        return "is an array of codes or semantic IDs, not a log.", inspect
    kind = sniff(path)
    if kind in ARRAYS:
        return "is an array, not a log.", f"{inspect}, or --features {shown} beside its checkpoint."
    if kind is not None or looks_like_checkpoint(name):
        return "is a checkpoint, not a log.", inspect
    if looks == "parquet":
        if looks_like_log(name):  # to a plugin
            return None
        return "is a table in parquet, not a log.", f"{inspect} reads semantic IDs; save a log as CSV."
    if is_surely_ids(path, AXES, in_doubt=not looks_like_log(name)):
        return "holds semantic IDs, and is no log.", inspect
    return None


def _stream(path: str, mode: int) -> tuple[str, str]:
    if stat.S_ISFIFO(mode):
        named = not path.startswith("/dev/")  # else of the shell's making
        keep = f"cat {shlex.quote(printable(path))} > run.log & vqdoctor watch run.log" if named else TEE
        return "is a pipe, and a log is read more than once.", f"Keep what comes in a file and watch that: {keep}"
    return "is a device or socket, not a log.", "Name a file, or a folder of runs."

"""Whether there is something to repair and where the copy goes, for a face that asks before any work is done."""

from __future__ import annotations

import os
from itertools import count

from vqdoctor.errors import UsageError, printable

PLAIN = (".safetensors", ".npz", ".npy")
"""Suffixes of files that are nothing else; any other may be torch's."""
TORCH = (".pt", ".pth", ".ckpt", ".bin")


def can_be_repaired(path: str) -> bool:
    """Whether there is a file of this name to begin with: a log may name one that was taken away."""
    return os.path.isfile(path)


def free_target(path: str) -> str:
    """``vq.repaired.pt`` beside ``vq.pt``, or the first such name with a number that nothing has."""
    stem, suffix = os.path.splitext(path)
    names = (f"{stem}.repaired{'' if number == 1 else f'-{number}'}{suffix}" for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def misnamed(out: str, kind: str) -> str | None:
    """A sentence where a copy of a source of this kind would be taken by its name for a file of another; None else."""
    suffix = os.path.splitext(out)[1].lower()
    fits = suffix == f".{kind}" if f".{kind}" in PLAIN else suffix in TORCH
    if fits or suffix not in (*PLAIN, *TORCH) or kind.endswith("-sharded"):
        return None
    return f"{printable(out)} is named {suffix}; its format is that of its source, {kind}."


def refuse_taken(out: str) -> None:
    """What writing the copy would refuse, before the work.

    Raises:
        UsageError: a file of this name is there.
    """
    if not out.strip():
        raise UsageError("the repaired copy needs a name.", hint="For example repaired.pt.")
    if os.path.lexists(out):
        raise UsageError("exists already and is left as it is.", where=out, hint="Name another file.")

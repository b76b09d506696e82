"""What lies beside a repaired copy: the old rows that undo it (`OUT.undo.npz`) and the note that binds them (`OUT.repair.json`).

Both may come from strangers when a repair is undone, so that what they tell is checked against the file they tell it of.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vqdoctor.errors import MissingInput, UsageError, printable
from vqdoctor.json_text import dumped, loaded
from vqdoctor.model import TensorSource
from vqdoctor.safe_write import write_atomically
from vqdoctor.small_files import read_small
from vqdoctor.treatment.patched import Undo

SCHEMA = "vqdoctor.repair/1"
LARGEST_NOTE = 256 << 20  # bytes


@contextlib.contextmanager
def undoable(side: str, old_rows: bytes) -> Iterator[None]:
    """`old_rows` lie at `side` while the copy is written; where that fails, what was there before: it may undo another repair."""
    kept = None
    if os.path.isfile(side):
        with open(side, "rb") as file:
            kept = file.read()
    write_atomically(side, old_rows)
    try:
        yield
    except BaseException:
        if kept is None:
            os.unlink(side)
        else:
            write_atomically(side, kept)
        raise


def undo_bytes(kept: Mapping[str, Undo]) -> bytes:
    """An .npz: for tensor number i its name (as UTF-8 bytes), the places that changed and what they held."""
    arrays: dict[str, np.ndarray] = {}
    for i, (name, old) in enumerate(kept.items()):
        arrays[f"{i}.name"] = np.frombuffer(name.encode("utf-8", "surrogatepass"), np.uint8)
        arrays[f"{i}.elements"], arrays[f"{i}.values"] = old.elements, old.values
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def restored(old: TensorSource, source: TensorSource) -> dict[str, np.ndarray]:
    """The repaired file's tensors with the old values back.

    Raises:
        UsageError: `old` is not what a repair of this file leaves.
    """
    found: dict[str, np.ndarray] = {}
    for i in range(-(-len(old.specs) // 3)):
        try:
            raw, elements, values = (old.read(f"{i}.{part}") for part in ("name", "elements", "values"))
            name = raw.tobytes().decode("utf-8", "surrogatepass")
        except (KeyError, ValueError):
            raise UsageError("is not what a repair leaves to undo it.", where=old.path) from None
        if name not in source.specs:
            raise UsageError(f"tells of a tensor {printable(name)} that the repaired file does not hold.", where=old.path)
        found[name] = _fitting(Undo(elements, values), source.read(name), old.path, name)
    return found


def _fitting(undo: Undo, array: np.ndarray, path: str, name: str) -> np.ndarray:
    places, values = undo.elements, undo.values
    fits = places.dtype == np.int64 and values.dtype == array.dtype and places.shape == values.shape == (places.size,)
    if not fits or (places.size and not 0 <= places.min() <= places.max() < array.size):
        raise UsageError(f"holds old values of tensor {printable(name)} that do not fit it.", where=path)
    return undo.restored(array)


def read_note(path: str) -> dict[str, Any]:
    """The note of a repair that was written.

    Raises:
        MissingInput: there is none. LimitExceeded: it is too large. UsageError: it is another file.
    """
    if not os.path.lexists(path):
        raise MissingInput("there is no such file.", where=path, hint="--undo takes the OUT.repair.json beside a repaired copy.")
    if not path.endswith(".repair.json"):
        raise UsageError(
            "is not the note of a repair.", where=path, hint="It is the file OUT.repair.json beside the repaired copy."
        )
    try:
        note = loaded(read_small(path, LARGEST_NOTE, "the note of a repair"))
    except ValueError as error:
        raise UsageError(f"cannot be read as the note of a repair ({type(error).__name__}).", where=path) from error
    if (
        not isinstance(note, dict)
        or note.get("schema") != SCHEMA
        or not all(isinstance(note.get(k), dict) for k in ("source", "target"))
    ):
        raise UsageError("is not the note of a repair that was written.", where=path)
    return note


def as_json(value: Mapping[str, Any]) -> bytes:
    """As it is written: indented, its arrays as lists."""
    return dumped(value, indent=True) + b"\n"

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
from vqdoctor.model import TensorSource
from vqdoctor.safe_write import write_atomically
from vqdoctor.treatment.patched import Undo

SCHEMA = "vqdoctor.repair/1"


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


def read_undo(old: TensorSource, source: TensorSource) -> dict[str, Undo]:
    """What `undo_bytes` wrote, by the names of tensors of `source`.

    Raises:
        UsageError: it is no such file, or does not fit these tensors.
    """
    found: dict[str, Undo] = {}
    for i in range(len(old.specs) // 3):
        parts = [f"{i}.{part}" for part in ("name", "elements", "values")]
        if not all(part in old.specs for part in parts):
            raise UsageError("does not hold the old rows of a repair.", where=old.path)
        letters, elements, values = (old.read(part) for part in parts)
        name = letters.tobytes().decode("utf-8", "backslashreplace")
        with contextlib.suppress(UnicodeDecodeError):
            name = letters.tobytes().decode("utf-8", "surrogatepass")
        if name not in source.specs:
            raise UsageError(f"tells of a tensor {printable(name)} that the repaired file does not hold.", where=old.path)
        if not _fits(elements, values, source.specs[name].size):
            raise UsageError(f"tells of elements that {printable(name)} does not have.", where=old.path)
        found[name] = Undo(elements, values)
    return found


def _fits(elements: np.ndarray, values: np.ndarray, size: int) -> bool:
    whole = elements.dtype.kind in "iu" and elements.ndim == 1 and elements.shape == values.shape and values.dtype.kind in "fiub"
    return whole and (not len(elements) or (int(elements.min()) >= 0 and int(elements.max()) < size))


def read_note(path: str) -> dict[str, Any]:
    """The note of a repair that was written.

    Raises:
        MissingInput: there is none. UsageError: it is another file.
    """
    import orjson

    if not path.endswith(".repair.json"):
        raise UsageError(
            "is not the note of a repair.", where=path, hint="It is the file OUT.repair.json beside the repaired copy."
        )
    if not os.path.isfile(path):
        raise MissingInput("no such file.", where=path, hint="It is the file OUT.repair.json beside the repaired copy.")
    try:
        with open(path, "rb") as file:
            note = orjson.loads(file.read())
    except (OSError, ValueError) as error:
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
    import orjson

    return (
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS, default=_plain)
        + b"\n"
    )


def _plain(value: Any) -> Any:
    """What the serialiser does not know: mappings that are no dict, numpy scalars."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a repair note")

"""An array in a file, read by slices of its first axis: what feature and code readers have in common.

`.npy` headers are read here (format: numpy.lib.format), nothing is unpickled, and the slices with plain reads: a memory map of a
large file would count as this process's memory.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqdoctor.errors import CorruptInput, MissingInput, SampleError, UnsupportedInput, printable
from vqdoctor.model import TensorSource

OpenSource = Callable[[str], TensorSource]
"""Opens a `.pt`, `.safetensors`, `.npz`, …: `checkpoint`'s reader, handed in by the caller."""

_LISTED = 8  # names quoted in a message
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")  # of "s3://…", as a path keeps it
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array in a file.

    Attributes:
        path: the file. name: the array's name in it, "" where it is alone.
        shape, dtype: as stored; dtype is numpy's or torch's word for it.
        read: read(start, stop) → rows start:stop of the first axis.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[int, int], np.ndarray]


def regular_file(path: str | Path) -> Path:
    """`path`, if it is a regular file.

    Raises:
        MissingInput: it is not there, or is a folder, pipe or device.
    """
    path = Path(path)
    if not path.exists():
        url = _URL.match(str(path)) is not None
        hint = "Behind URLs only checkpoints, features and codes are opened: copy the file here." if url else "Check the path."
        raise MissingInput("no such file", where=str(path), hint=hint)
    if not path.is_file():
        raise MissingInput("not a regular file", where=str(path))
    return path


def npy_array(path: str | Path) -> StoredArray:
    """The array of a `.npy` file; nothing but the header is read.

    Raises:
        MissingInput: no such file.
        CorruptInput: no `.npy`, or cut off.
        UnsupportedInput: it holds pickled objects or records.
    """
    path = regular_file(path)
    shape, fortran, dtype, offset = _npy_header(path)
    if dtype.hasobject:
        raise UnsupportedInput(
            "holds pickled Python objects, which are not opened", where=str(path), hint="Save a plain array of numbers."
        )
    if dtype.kind not in "fiubc":
        hint = "Save bfloat16 as float16 or float32." if dtype == np.dtype("V2") else "Save a plain array of numbers."
        raise UnsupportedInput(f"holds {printable(dtype)} values, not numbers", where=str(path), hint=hint)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if (there := path.stat().st_size - offset) < size:
        raise CorruptInput(f"is cut off: its header promises {size} bytes of values, {there} are there", where=str(path))
    if fortran and len(shape) > 1:
        whole = np.memmap(path, dtype, "r", offset, shape, order="F")
        return StoredArray(str(path), "", shape, dtype.name, lambda start, stop: np.ascontiguousarray(whole[start:stop]))

    def read(start: int, stop: int) -> np.ndarray:
        start, stop, _ = slice(start, stop).indices(shape[0])
        step = int(np.prod(shape[1:], dtype=np.int64))
        flat = np.fromfile(path, dtype, max(0, stop - start) * step, offset=offset + start * step * dtype.itemsize)
        if flat.size != max(0, stop - start) * step:
            raise CorruptInput("became shorter while it was read", where=str(path))
        return flat.reshape(-1, *shape[1:])

    return StoredArray(str(path), "", shape, dtype.name, read)


def _npy_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, dtype and where the values begin."""
    with path.open("rb") as file:
        magic = file.read(8)
        width = {b"\x01": 2, b"\x02": 4, b"\x03": 4}.get(magic[6:7])
        if magic[:6] != b"\x93NUMPY" or width is None:
            raise CorruptInput("is not a readable .npy file", where=str(path))
        length = int.from_bytes(file.read(width), "little")
        text = file.read(min(length, _LONGEST_HEADER))
        try:
            header = ast.literal_eval(text.decode("latin-1").strip())
            shape, fortran, dtype = header["shape"], header["fortran_order"], np.dtype(header["descr"])
            if len(text) < length or not all(type(size) is int and size >= 0 for size in shape):
                raise ValueError
        except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise CorruptInput("has a broken .npy header", where=str(path)) from None
        return tuple(shape), bool(fortran), dtype, file.tell()


def opened(open_source: OpenSource, path: str, what: str) -> TensorSource:
    """A container opened for the array in it. what: "features", "codes", for the message where it is a text.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return open_source(path)
    except UnsupportedInput as error:
        if not error.what.startswith(("a text file", "a JSON text")):
            raise
        hint = f"Save the array: numpy.save({printable(Path(path).stem + '.npy')!r}, {what})."
        raise UnsupportedInput(f"a text, in which no {what} were found.", where=path, hint=hint) from None


def source_array(source: TensorSource, wanted: str | None, fits: Callable[[tuple[int, ...], str], bool]) -> StoredArray:
    """The array of an opened container that is meant: the one named, or the only one whose (shape, dtype) fits.

    Raises:
        SampleError: none or several fit; the message lists them.
    """
    names = [wanted] if wanted is not None else [name for name, spec in source.specs.items() if fits(spec.shape, spec.dtype)]
    if len(names) != 1 or names[0] not in source.specs:
        shown = [f"{printable(name, 60)} {spec.shape} {spec.dtype}" for name, spec in source.specs.items()][:_LISTED]
        what = "none of its arrays fits" if not names else "several of its arrays fit" if len(names) > 1 else "it has no such array"
        raise SampleError(
            f"{what}: {'; '.join(shown) or 'it holds none'}", where=source.path, hint="Save the one that is meant alone, as .npy."
        )
    name = names[0]
    spec = source.specs[name]
    return StoredArray(source.path, name, spec.shape, spec.dtype, lambda start, stop: source.read(name, start, stop))

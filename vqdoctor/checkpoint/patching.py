"""New values into a copy of a checkpoint: which bytes of which file they are, written there and nowhere else.

A tensor is a view of a storage, so its elements may lie apart, in any order, and be another tensor's too. Windows of the storage
are read from the copy, changed and written back: what lies between the elements stays, and memory stays small. Readers describe
all containers as extents, so none is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from vqdoctor.checkpoint.dtypes import ITEM_BYTES, stored_dtype
from vqdoctor.checkpoint.encoding import encode
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.values import elements_spanned, fits, windows
from vqdoctor.errors import CorruptInput, UsageError, VqdoctorError, printable
from vqdoctor.model import TensorSpec
from vqdoctor.safe_write import Draft

_WINDOW = 256 * 1024  # bytes of a storage at a time; encoding takes up to some 60 times that for the types of one byte


@dataclass(frozen=True, slots=True)
class Window:
    """Some elements of a tensor: they are among the `bytes` of the file from `start`, `strides` bytes apart.

    Attributes:
        values: a view of what the tensor is to hold.
        dtype: of the elements as they are stored.
    """

    values: np.ndarray
    dtype: np.dtype
    strides: tuple[int, ...]
    start: int
    bytes: int

    def read(self, file: RegularFile) -> bytearray:
        """The bytes of the file that the elements are among."""
        raw = bytearray(self.bytes)
        file.read_into(memoryview(raw), self.start)
        return raw

    def elements(self, raw: bytearray) -> np.ndarray:
        """The elements among those bytes, a writable view."""
        return np.ndarray(self.values.shape, self.dtype, raw, strides=self.strides)

    def flags(self) -> np.ndarray:
        """(bytes,) bool: which of those bytes are the elements' own."""
        flags = np.zeros(self.bytes, np.bool_)
        shape = (*self.values.shape, self.dtype.itemsize)
        np.ndarray(shape, np.bool_, flags.data, strides=(*self.strides, 1))[...] = True
        return flags


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes are: in `file`, its storage from byte `start` on."""

    spec: TensorSpec
    file: RegularFile
    start: int
    big_endian: bool

    @property
    def span(self) -> tuple[int, int]:
        """First byte, and the byte behind the last; equal for a tensor without elements."""
        item = ITEM_BYTES[self.spec.dtype]
        first = self.start + self.spec.offset * item
        return first, first + elements_spanned(self.spec.shape, self.spec.strides) * item

    def windows(self, values: np.ndarray | None = None) -> Iterator[Window]:
        """The tensor in parts, in the order of the file; `values` of its shape, where there are any."""
        dtype = stored_dtype(self.spec.dtype, big_endian=self.big_endian)
        item = dtype.itemsize
        if values is None:
            values = np.broadcast_to(np.False_, self.spec.shape)
        for part, steps, first in windows(values, self.spec.strides, self.spec.offset, _WINDOW // item):
            size = elements_spanned(part.shape, steps) * item
            yield Window(part, dtype, tuple(step * item for step in steps), self.start + first * item, size)

    def encoded(self, window: Window) -> np.ndarray:
        """The window's values as they are to be stored in place of what the file holds. Raises UnsupportedInput."""
        try:
            return encode(window.values, self.spec.dtype, window.elements(window.read(self.file)))
        except VqdoctorError as error:
            error.where = f"{self.file.path}, tensor {printable(self.spec.name)}"
            raise


def locate(source: CheckpointSource, name: str) -> Place:
    """Where a tensor is.

    Raises:
        UsageError: there is none of that name. CorruptInput: its bytes are not all there.
        UnsupportedInput: they are not plain in a file.
    """
    where = f"{source.path}, tensor {printable(name)}"
    spec = source.specs.get(name)
    if spec is None:
        raise UsageError("there is no such tensor.", where=where)
    extent = source.extents.get(spec.storage)
    if extent is None or not fits(spec, extent):
        raise CorruptInput("its bytes are not all in the file.", where=where)
    try:
        return Place(spec, *extent.place(), extent.big_endian)
    except VqdoctorError as error:
        error.where = where
        raise


def plan(source: CheckpointSource, changes: Mapping[str, np.ndarray]) -> list[tuple[Place, np.ndarray]]:
    """Where each change goes; all that can be refused is refused here, before anything is copied.

    Raises:
        UsageError: no such tensor, or values of another shape. CorruptInput: the tensor's bytes are not all there.
        UnsupportedInput: they are not plain in a file, or the stored type cannot hold a value.
    """
    patches = []
    for name, given in changes.items():
        place, values = locate(source, name), np.asarray(given)
        if values.shape != place.spec.shape:
            raise UsageError(
                f"its shape is {place.spec.shape}, that of its new values {values.shape}.",
                where=f"{source.path}, tensor {printable(name)}",
            )
        for window in place.windows(values):
            place.encoded(window)
        patches.append((place, values))
    return patches


def write_values(place: Place, values: np.ndarray, copy: RegularFile, draft: Draft) -> None:
    """Writes `values` into `draft`, a copy of the place's file; `copy` is that draft, open for reading."""
    for window in place.windows(values):
        raw = window.read(copy)
        window.elements(raw)[...] = place.encoded(window)
        draft.write(raw, window.start)


def holds(copy: RegularFile, place: Place, values: np.ndarray) -> bool:
    """Whether `copy`, a copy of the place's file, holds `values` as `write_values` would have left them, to the bit."""
    return all(window.elements(window.read(copy)).tobytes() == place.encoded(window).tobytes() for window in place.windows(values))

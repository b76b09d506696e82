"""From a tensor's description and the bytes of its storage to numbers, reading only the bytes that it covers.

All checks of offset, strides and size against the storage stand here, before anything is allocated: no other file of this room
trusts a shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from vqdoctor.checkpoint.dtypes import ITEM_BYTES, arriving_bytes, numbers, stored_dtype
from vqdoctor.checkpoint.extents import Extent
from vqdoctor.checkpoint.limits import MIB, Limits
from vqdoctor.errors import CorruptInput
from vqdoctor.model import TensorSpec

_WINDOW = 64 * MIB  # most bytes of a storage held at once beside the result, where a view skips over parts of it


def elements_spanned(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements from the first to the last that a view touches, both included; 0 for an empty one."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def fits(spec: TensorSpec, extent: Extent) -> bool:
    """Whether every element of the tensor lies inside its storage."""
    span = elements_spanned(spec.shape, spec.strides)
    return span == 0 or (spec.offset + span) * ITEM_BYTES[spec.dtype] <= extent.bytes


def read_tensor(spec: TensorSpec, extent: Extent, limits: Limits, start: int | None = None, stop: int | None = None) -> np.ndarray:
    """The values of `spec` (rows start:stop of its first axis), C order, native byte order.

    Raises:
        CorruptInput: the view leaves its storage, or the file ends early.
        LimitExceeded: the result is larger than `limits.read_bytes`.
    """
    if not fits(spec, extent):
        raise CorruptInput("the tensor reaches beyond the bytes that are in the file.")
    shape, offset = spec.shape, spec.offset
    if shape:
        first, last, _ = slice(start, stop).indices(shape[0])
        shape = (max(0, last - first), *shape[1:])
        offset += first * spec.strides[0]
    count = math.prod(shape)
    limits.check("read_bytes", count * arriving_bytes(spec.dtype))
    raw = np.empty(shape, stored_dtype(spec.dtype, big_endian=extent.big_endian))
    if count:
        _fill(raw, spec.strides, offset, extent)
    return numbers(raw, spec.dtype)


def _fill(out: np.ndarray, strides: tuple[int, ...], offset: int, extent: Extent) -> None:
    """Reads a strided view into `out`: at one go where its elements lie in order, else in windows, forward through the storage."""
    item = out.itemsize
    if out.flags.c_contiguous and _in_order(out.shape, strides):
        extent.read_into(out.reshape(-1).view(np.uint8).data, offset * item)
        return
    for part, steps, first in windows(out, strides, offset, _WINDOW // item):
        window = bytearray(elements_spanned(part.shape, steps) * item)
        extent.read_into(memoryview(window), first * item)
        part[...] = np.ndarray(part.shape, part.dtype, window, strides=tuple(step * item for step in steps))


def windows(
    values: np.ndarray, strides: tuple[int, ...], offset: int, most: int
) -> Iterator[tuple[np.ndarray, tuple[int, ...], int]]:
    """Parts of a tensor, each a view of `values`, its strides and its first element, in the order of the storage.

    Args:
        values: the tensor's elements, or anything of its shape.
        strides, offset: where the elements are in the storage, as in a TensorSpec.
        most: elements from the first to the last of a part, gaps included.

    Raises:
        CorruptInput: rows that overlap and span more than `most`.
    """
    if values.size:
        steps = tuple(0 if size == 1 else stride for size, stride in zip(values.shape, strides, strict=True))
        order = sorted(range(values.ndim), key=lambda axis: -steps[axis])
        yield from _split(values.transpose(order), tuple(steps[axis] for axis in order), offset, most)


def _split(
    values: np.ndarray, strides: tuple[int, ...], offset: int, most: int
) -> Iterator[tuple[np.ndarray, tuple[int, ...], int]]:
    """`windows` for strides in descending order; recursion ends at the rank."""
    if elements_spanned(values.shape, strides) <= most:
        yield values, strides, offset
        return
    inner = elements_spanned(values.shape[1:], strides[1:])
    if inner > strides[0]:
        raise CorruptInput("the tensor's strides overlap, so that it is larger than its storage.")
    rows = max(1, most // strides[0])
    for row in range(0, values.shape[0], rows):
        part, steps = (values[row : row + rows], strides) if rows > 1 else (values[row], strides[1:])
        yield from _split(part, steps, offset + row * strides[0], most)


def _in_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements follow one another in C order without gaps."""
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True

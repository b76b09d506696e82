"""What a quantiser's forward was given and what it returned, as rows and codes.

Quantisers return their indices at any place of a tuple, dict or dataclass, with the levels on any axis, and take channels first or
last. Where they are is decided at the first call, by structure: the first whole numbers that are all below K and as many as there
are rows. That reads values and so waits for the device once; later calls follow the plan and read shapes alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

Path = tuple[str | int, ...]
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where rows and codes are.

    Attributes:
        rows: place of the input among the arguments; channels: its axis of columns.
        width: columns of a row; several rows may lie side by side on that axis (heads that share a book).
        codes: place of the indices in what is returned; levels: their axis of levels, None where there is one level.
        one_hot: True where instead of indices there are rows of one-hot shares, as zalando's clones return them.
    """

    rows: Path
    channels: int
    width: int
    codes: Path
    levels: int | None
    one_hot: bool = False

    def inputs(self, given: Any) -> Tensor:
        """The rows, (n, D)."""
        tensor = reach(given, self.rows)
        return tensor.movedim(self.channels, -1).reshape(-1, self.width)

    def indices(self, returned: Any) -> Tensor:
        """The codes, (levels, n)."""
        tensor = reach(returned, self.codes)
        if self.one_hot:
            return tensor.reshape(-1, tensor.shape[-1]).argmax(1)[None]
        return tensor.reshape(1, -1) if self.levels is None else tensor.movedim(self.levels, 0).flatten(1)


def plan(
    given: Any, returned: Any, sizes: Sequence[int], widths: Sequence[int], *, channels_first: bool | None = None
) -> Plan | None:
    """Where rows and codes are in one call, None where no whole numbers fit.

    Args:
        given: the arguments, the dict of named ones last. returned: what the forward gave back.
        sizes: K of each level. widths: columns that a row may have, () where unknown.
        channels_first: what the module itself says, None if nothing: then images have channels first, sequences last.
    """
    inputs = [(path, tensor) for path, tensor in tensors(given) if tensor.is_floating_point() and tensor.ndim >= 1]
    whole = [(path, tensor) for path, tensor in tensors(returned) if tensor.dtype in INTEGERS and tensor.numel()]
    for path, codes in whole:
        for where, rows in inputs:
            for axis, width in _columns(rows, widths, channels_first):
                shape, heads = _without(rows.shape, axis), rows.shape[axis] // width
                if heads > 1 and tuple(codes.shape) != (*shape, heads):
                    continue
                found, levels = _level_axis(codes.shape, (*shape, heads) if heads > 1 else shape, len(sizes))
                if found and _below(codes, levels, sizes):
                    return Plan(where, axis, width, path, levels)
    return _one_hot(inputs, returned, sizes, widths, channels_first) if len(set(sizes)) == 1 and not whole else None


def tensors(value: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Every tensor in nested tuples, lists, dicts and dataclasses, with the way to it."""
    if isinstance(value, Tensor):
        yield path, value
        return
    parts: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, Mapping):
        parts = iter(value.items())
    elif isinstance(value, list | tuple):
        parts = iter(enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value))
    for key, part in parts:
        yield from tensors(part, (*path, key))


def reach(value: Any, path: Path) -> Tensor:
    """The tensor at the end of a way that `tensors` gave.

    Raises:
        LookupError, TypeError, AttributeError: the structure has changed.
    """
    for key in path:
        value = getattr(value, str(key)) if is_dataclass(value) and not isinstance(value, Mapping) else value[key]
    if not isinstance(value, Tensor):
        raise LookupError("there is no tensor any more")
    return value


def _columns(rows: Tensor, widths: Sequence[int], first: bool | None) -> Iterator[tuple[int, int]]:
    """The axes that may be columns and the width of a row there, likeliest first: exact widths, then multiples of one."""
    last = -1
    order = [last] if rows.ndim < 3 else [1, last] if first or (first is None and rows.ndim >= 4) else [last, 1]
    if not widths:
        yield from ((axis, rows.shape[axis]) for axis in order)
    for fits in (int.__eq__, _is_multiple):
        yield from ((axis, width) for width in widths for axis in order if fits(rows.shape[axis], width))


def _is_multiple(size: int, width: int) -> bool:
    return size > width and size % width == 0


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _level_axis(codes: Sequence[int], rows: tuple[int, ...], most: int) -> tuple[bool, int | None]:
    """Whether indices of shape `codes` belong to rows of shape `rows`, and their axis of levels (None: one level).

    Exact shapes first; then equal numbers, for indices that come flattened.
    """
    count, total = math.prod(rows), math.prod(codes)
    if total == count:
        return True, None
    axes = dict.fromkeys([len(codes) - 1, *range(len(codes) - 1)])
    for axis in axes:
        if _without(codes, axis) == rows and 1 < codes[axis] <= most:
            return True, axis
    for axis in axes:
        if 1 < codes[axis] <= most and total == count * codes[axis]:
            return True, axis
    return False, None


def _below(codes: Tensor, levels: int | None, sizes: Sequence[int]) -> bool:
    """True where every index is a code of its level, or −1 for none."""
    parts = codes.reshape(1, -1) if levels is None else codes.movedim(levels, 0).flatten(1)
    return all(int(part.min()) >= -1 and int(part.max()) < size for part, size in zip(parts, sizes, strict=False))


def _one_hot(
    inputs: list[tuple[Path, Tensor]], returned: Any, sizes: Sequence[int], widths: Sequence[int], first: bool | None
) -> Plan | None:
    for path, shares in tensors(returned):
        if not shares.is_floating_point() or shares.ndim < 2 or shares.shape[-1] != sizes[0]:
            continue
        flat = shares.detach().reshape(-1, sizes[0])
        for where, rows in inputs:
            for axis, width in _columns(rows, widths, first):
                if rows.numel() // width == len(flat) and _is_one_hot(flat):
                    return Plan(where, axis, width, path, None, one_hot=True)
    return None


def _is_one_hot(shares: Tensor) -> bool:
    return bool(((shares == 0) | (shares == 1)).all() & (shares.sum(1) == 1).all())

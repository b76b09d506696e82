"""A checkpoint as it will read once a plan is written: the source with tensors replaced; every promise is measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts import Write
from vqdoctor.model import TensorSource, TensorSpec
from vqdoctor.treatment.rounding import rounded


class Patched:
    """A `TensorSource` over another one. Never changes what it was made of; `with_writes` gives a new one.

    Args:
        source: the checkpoint. arrays: complete new values by tensor name, as reading would give them.
    """

    def __init__(self, source: TensorSource, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self.source = source
        self.arrays: dict[str, np.ndarray] = dict(arrays or {})
        self.path, self.kind, self.bytes = source.path, source.kind, source.bytes
        self.specs, self.info, self.tree, self.warnings = source.specs, source.info, source.tree, source.warnings

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """See `TensorSource.read`."""
        if name not in self.arrays:
            return self.source.read(name, start, stop)
        array = self.arrays[name]
        return np.array(array if start is None and stop is None else array[start:stop])

    def close(self) -> None:
        """Gives back the source's file handles."""
        self.source.close()

    def with_writes(self, writes: Iterable[Write]) -> Patched:
        """This checkpoint after `writes`, each value rounded to the type of its tensor; other names of the same bytes follow.

        Raises:
            UsageError: a value is beyond what the stored type can hold, or not finite.
        """
        arrays: dict[str, np.ndarray] = {}
        for write in writes:
            name, dtype = write.where.name, self.specs[write.where.name].dtype
            if name not in arrays:
                arrays[name] = np.array(self.read(name))
            values = rounded(np.asarray(write.values), dtype)
            if not np.isfinite(values).all():
                raise UsageError(
                    f"what has to be written to {printable(name)} is not finite in {dtype}.",
                    hint="Repair broken counts and sums first (--sanitize), or save the quantiser in float32.",
                )
            Write(write.where, write.rows, values).apply(arrays[name])
        for name in list(arrays):
            arrays |= dict.fromkeys(other_names(self, name), arrays[name])
        return Patched(self.source, self.arrays | arrays)


@dataclass(frozen=True, slots=True)
class Undo:
    """What a tensor held: elements (m,) int64 places in C order, values (m,) as reading gave them."""

    elements: np.ndarray
    values: np.ndarray

    def restored(self, array: np.ndarray) -> np.ndarray:
        """A copy of `array` with the old values back."""
        old = np.array(array)
        old.reshape(-1)[self.elements] = self.values
        return old


def undo_of(source: TensorSource, arrays: Mapping[str, np.ndarray]) -> dict[str, Undo]:
    """By tensor name, the elements of `source` that `arrays` change; tensors that stay as they are left out."""
    found = {name: _differing(source.read(name), array) for name, array in arrays.items()}
    return {name: undo for name, undo in found.items() if len(undo.elements)}


def _differing(old: np.ndarray, new: np.ndarray) -> Undo:
    flat = old.reshape(-1)
    elements = np.flatnonzero(differs(flat, new.reshape(-1)))
    return Undo(elements, flat[elements].copy())


def differs(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape and type differ in any bit, bool, the same shape: NaN equals the same NaN, −0 is not 0."""
    bits = np.dtype(f"u{min(left.dtype.itemsize, 8)}")
    one, two = (np.ascontiguousarray(array).view(bits) for array in (left, right))
    return np.asarray((one != two).reshape(*left.shape, -1).any(axis=-1))


def other_names(source: TensorSource, name: str) -> list[str]:
    """Other names of the very same view of the same bytes (tied weights)."""
    place = _place(source.specs[name])
    return [other for other, spec in source.specs.items() if other != name and spec.size and _place(spec) == place]


def _place(spec: TensorSpec) -> tuple[str, int, tuple[int, ...], tuple[int, ...]]:
    return spec.storage, spec.offset, spec.shape, spec.strides


def overlapping(source: TensorSource, names: Iterable[str]) -> set[str]:
    """`names` and every tensor that shares bytes with one of them."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for name in names:
        spec = source.specs[name]
        spans.setdefault(spec.storage, []).append(_span(spec))
    return {
        name
        for name, spec in source.specs.items()
        if any(_span(spec)[0] < end and start < _span(spec)[1] for start, end in spans.get(spec.storage, ()))
    }


def _span(spec: TensorSpec) -> tuple[int, int]:
    """First element of the storage and one past the last."""
    reach = sum(step * (size - 1) for step, size in zip(spec.strides, spec.shape, strict=True)) if spec.size else -1
    return spec.offset, spec.offset + reach + 1

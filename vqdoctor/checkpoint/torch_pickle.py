"""The steps that torch's containers share: run the object's pickle, name its tensors, say what was odd, find each storage's
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vqdoctor.checkpoint.dtypes import ITEM_BYTES
from vqdoctor.checkpoint.extents import Extent, HeldExtent, PartExtent, TextExtent
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.naming import NamedTree
from vqdoctor.checkpoint.numpy_values import Array, numpy_builders
from vqdoctor.checkpoint.pickle_machine import Machine
from vqdoctor.checkpoint.python_values import PYTHON_BUILDERS
from vqdoctor.checkpoint.torch_values import DTYPES, Storage, Storages, TensorBuilders
from vqdoctor.checkpoint.values import elements_spanned
from vqdoctor.errors import printable

# what a pickle may name to run code when it is loaded; only for telling: nothing is called, whatever its name
_DANGEROUS = frozenset({
    "os", "posix", "nt", "subprocess", "sys", "socket", "shutil", "runpy", "pty", "importlib", "webbrowser", "ctypes",
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.open", "builtins.breakpoint",
    "__builtin__.eval", "__builtin__.exec", "__builtin__.compile", "__builtin__.__import__", "__builtin__.open",
    "__builtin__.execfile",
})  # fmt: skip


def torch_machine(extent: Extent, limits: Limits, storages: Storages, start: int = 0) -> Machine:
    """A machine that knows torch's, numpy's and Python's plain values."""
    builders = PYTHON_BUILDERS | numpy_builders(limits) | TensorBuilders(limits).table
    return Machine(extent, limits, start=start, builders=builders, constants=DTYPES, persistent=storages)


def oddities(machines: Sequence[Machine], named: NamedTree) -> Iterator[str]:
    """Warnings about what a file's pickles ask for."""
    names = {name for machine in machines for name in machine.names}
    misfits = {name for machine in machines for name in machine.misfits}
    dangerous = sorted(name for name in names if name in _DANGEROUS or name.split(".")[0] in _DANGEROUS)
    if dangerous:
        shown = ", ".join(printable(name, 80) for name in dangerous[:3])
        yield f"The pickle names {shown}, which run code. Nothing was run here; do not load this file with anything else."
    for name in sorted(misfits)[:3]:
        yield f"A call of {printable(name, 80)} has arguments that are not understood; its value is left out."
    yield from named.warnings()


def extents(named: NamedTree, pickled: Extent, locate: Callable[[Storage], Extent | None]) -> dict[str, Extent]:
    """The bytes behind each storage id: torch's by `locate`, numpy's inside the pickle's own extent."""
    found: dict[str, Extent] = {}
    for key, held in named.storages.items():
        extent = _array_extent(held, pickled) if isinstance(held, Array) else locate(held)
        if extent is not None:
            found[key] = extent
    return found


def _array_extent(array: Array, pickled: Extent) -> Extent:
    data: Any = array.data
    if type(data) is bytes:
        return HeldExtent(data, big_endian=array.big_endian)
    if not data.text:
        return PartExtent(pickled, data.position, data.bytes, big_endian=array.big_endian)
    size = elements_spanned(array.shape, array.strides) * ITEM_BYTES[array.dtype]
    encoded = PartExtent(pickled, data.position, data.bytes)
    return TextExtent(encoded, min(size, data.bytes), big_endian=array.big_endian)

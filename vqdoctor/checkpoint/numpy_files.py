"""numpy's .npy and .npz, without numpy's own reader: its header limit is checked too late, and its errors are not all
documented.

Source: numpy/lib/format.py (versions 1.0–3.0).
"""

from __future__ import annotations

import re

from vqdoctor.checkpoint.dtypes import FROM_NUMPY, ITEM_BYTES, MOST_ELEMENTS
from vqdoctor.checkpoint.extents import Extent, PartExtent, StoredExtent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.numpy_values import ordered_strides
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.values import elements_spanned
from vqdoctor.checkpoint.zip_archive import ZipArchive
from vqdoctor.errors import CorruptInput, UnsupportedInput, VqdoctorError, printable
from vqdoctor.model import TensorSpec

MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?)([a-zA-Z]\d*)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,19}L?(?:, ?|(?=\))))*)\), ?\}[ \n]*",
    re.ASCII,
)


def open_npy(file: RegularFile, limits: Limits) -> CheckpointSource:
    """Opens a .npy file; its one tensor is called "array". Raises CorruptInput, UnsupportedInput, LimitExceeded."""
    spec, extent = _array("array", StoredExtent(file, file.bytes, 0), limits)
    return CheckpointSource([file], "npy", {spec.name: spec}, {spec.storage: extent}, limits)


def is_npz(archive: ZipArchive) -> bool:
    """Whether every member is a .npy."""
    return bool(archive.members) and all(name.endswith(".npy") for name in archive.members)


def open_npz(file: RegularFile, archive: ZipArchive, limits: Limits) -> CheckpointSource:
    """Opens a .npz file; tensors are called as its members, without ".npy". Arrays of objects or text are left out and named."""
    limits.check("tensors", len(archive.members))
    specs: dict[str, TensorSpec] = {}
    extents: dict[str, Extent] = {}
    warnings = list(archive.warnings)
    for member in archive.members:
        name = member.removesuffix(".npy")
        try:
            spec, extent = _array(name, archive.extent(member), limits)
        except UnsupportedInput as error:
            warnings.append(f"{printable(name)} was left out: {error.what}")
            continue
        except VqdoctorError as error:
            error.where = f"{file.path}, array {printable(name)}"
            raise
        specs[name], extents[name] = spec, extent
    return CheckpointSource([file], "npz", specs, extents, limits, warnings=warnings)


def _array(name: str, stored: Extent, limits: Limits) -> tuple[TensorSpec, Extent]:
    """The spec of a .npy, and the extent of its numbers."""
    start, raw = _header(stored, limits)
    match = _HEADER.fullmatch(raw)
    if match is None:
        if b"'descr': [" in raw:
            raise UnsupportedInput("an array of records, not of numbers.")
        raise CorruptInput("its .npy header is broken.")
    order, code, fortran, sizes = (group.decode("ascii") for group in match.groups())
    word = FROM_NUMPY.get(code)
    if word is None:
        kind = "Python objects (pickled)" if code.startswith("O") else f"type {code}"
        raise UnsupportedInput(f"an array of {kind}, not of numbers.")
    shape = tuple(int(size) for size in re.findall(r"\d+", sizes))
    limits.check("rank", len(shape))
    strides = ordered_strides(shape, fortran=fortran == "True")
    needed = elements_spanned(shape, strides) * ITEM_BYTES[word]
    if needed > stored.bytes - start or max(shape, default=0) >= MOST_ELEMENTS:
        raise CorruptInput(
            f"its array needs {needed:,} bytes and {max(0, stored.bytes - start):,} are there: it looks cut off.",
            hint="Download or copy it again, or take an earlier checkpoint.",
        )
    spec = TensorSpec(name, name, "", shape, word, name, 0, strides)
    return spec, PartExtent(stored, start, needed, big_endian=order == ">")


def _header(stored: Extent, limits: Limits) -> tuple[int, bytes]:
    """(position of the numbers, text of the header)"""
    head = stored.read(0, 12)
    if not head.startswith(MAGIC) or len(head) < 12:
        raise CorruptInput("not a .npy, or cut off inside its first bytes.")
    if head[6] not in (1, 2, 3):
        raise UnsupportedInput("a .npy of a version that is not known.")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    if start > stored.bytes:
        raise CorruptInput("a .npy that ends inside its header: it looks cut off.")
    limits.check("header_bytes", length)
    return start, stored.read(8 + width, length)

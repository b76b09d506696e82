"""safetensors: eight bytes of length, a JSON header, the bytes of every tensor one after the other.

Every check of the reference implementation (safetensors/src/tensor.rs) is repeated, and what Python's JSON lets through is
refused: duplicate names, NaN, True as a number. An own reader, since the library's wants a framework, and opens files one at a
time into whole arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from vqdoctor.checkpoint.dtypes import ITEM_BYTES
from vqdoctor.checkpoint.extents import Extent, StoredExtent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.header import header
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.numpy_values import ordered_strides
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.errors import CorruptInput, printable
from vqdoctor.model import TensorSpec

LENGTH_BYTES = 8
LARGEST_HEADER = 100_000_000  # the reference implementation's own bound
_HINT = "Download or copy it again, or take an earlier checkpoint."

_WORDS: dict[str, str] = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
_PACKED_BITS: dict[str, int] = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # more than one to a byte or across bytes: listed, not read


def open_safetensors(file: RegularFile, limits: Limits) -> CheckpointSource:
    """Opens it. Raises CorruptInput, LimitExceeded."""
    length = int.from_bytes(file.read(0, LENGTH_BYTES), "little")
    start = LENGTH_BYTES + length
    if file.bytes < LENGTH_BYTES or start > file.bytes:
        raise CorruptInput(f"a safetensors file of {file.bytes:,} bytes that ends inside its header: it looks cut off.", hint=_HINT)
    limits.check("header_bytes", length)
    entries = read_json(file.read(LENGTH_BYTES, length), limits)
    metadata = _metadata(entries.pop("__metadata__", None))
    limits.check("tensors", len(entries))
    _check_ranges(entries, file.bytes - start)
    specs: dict[str, TensorSpec] = {}
    extents: dict[str, Extent] = {}
    warnings: list[str] = []
    for name, entry in entries.items():
        spec, first, last = _spec(name, entry, limits)
        if spec is None:
            warnings.append(f"Tensor {printable(name)} packs its numbers ({entry['dtype']}) in a way that is not read.")
            continue
        specs[name] = spec
        extents[name] = StoredExtent(file, last - first, start + first)
    _restore_shared(specs, metadata)
    facts = {key: text for key, text in metadata.items() if text not in specs}
    tree = {"__metadata__": metadata} if metadata else None
    return CheckpointSource([file], "safetensors", specs, extents, limits, info=header(facts), tree=tree, warnings=warnings)


def read_json(raw: bytes, limits: Limits) -> dict[str, Any]:
    """A JSON object, strictly: UTF-8, no duplicate names, no NaN, not deeper than Python's stack, of a bounded number of values."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > 16 * limits.tensors:
        raise limits.exceeded("tensors")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise CorruptInput("its header is not the JSON that it should be.", hint=_HINT) from None
    if type(value) is not dict:
        raise CorruptInput("its header is not a JSON object.", hint=_HINT)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that occurs twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError("a number that JSON does not have")


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise CorruptInput("its __metadata__ is not a table of texts.")
    return value


def _check_ranges(entries: Mapping[str, Any], available: int) -> None:
    """The byte ranges follow one another from 0 to the end of the file: no gaps, no overlaps, nothing behind."""
    ranges = sorted(_range(name, entry) for name, entry in entries.items())
    reached = 0
    for first, last in ranges:
        if first == last <= available:
            continue  # an empty tensor may stand anywhere
        if first != reached or last < first:
            raise CorruptInput("its tensors overlap or leave gaps.")
        reached = last
    if reached > available:
        raise CorruptInput(f"its tensors need {reached:,} bytes and {available:,} are there: it looks cut off.", hint=_HINT)
    if reached < available:
        raise CorruptInput(f"{available - reached:,} bytes at its end belong to no tensor.")


def _range(name: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if type(entry) is dict else None
    if type(offsets) is not list or len(offsets) != 2 or not all(type(number) is int and number >= 0 for number in offsets):
        raise CorruptInput(f"its header does not say where tensor {printable(name)} is.")
    return offsets[0], offsets[1]


def _spec(name: str, entry: Mapping[str, Any], limits: Limits) -> tuple[TensorSpec | None, int, int]:
    """The tensor's spec (None for packed types), first byte and end, after the sizes have been checked against each other."""
    first, last = _range(name, entry)
    shape, dtype = entry.get("shape"), entry.get("dtype")
    if type(shape) is not list or not all(type(size) is int and size >= 0 for size in shape) or type(dtype) is not str:
        raise CorruptInput(f"tensor {printable(name)} has no proper shape and type.")
    limits.check("rank", len(shape))
    word = _WORDS.get(dtype)
    bits = _PACKED_BITS.get(dtype) if word is None else 8 * ITEM_BYTES[word]
    if bits is None:
        raise CorruptInput(f"tensor {printable(name)} is of the unknown type {printable(dtype, 20)}.")
    if math.prod(shape) * bits != 8 * (last - first):
        raise CorruptInput(f"tensor {printable(name)} has other bytes than its shape needs.")
    if word is None:
        return None, first, last
    return TensorSpec(name, name, "", tuple(shape), word, name, 0, ordered_strides(tuple(shape))), first, last


def _restore_shared(specs: dict[str, TensorSpec], metadata: Mapping[str, str]) -> None:
    """Names that ``save_model`` dropped because their tensor was shared: the metadata maps each to the name that was kept."""
    for dropped, kept in metadata.items():
        original = specs.get(kept)
        if original is not None and dropped not in specs:
            specs[dropped] = TensorSpec(
                dropped, dropped, "", original.shape, original.dtype, original.storage, original.offset, original.strides
            )

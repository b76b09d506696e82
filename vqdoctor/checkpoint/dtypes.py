"""Torch's element types: how many bytes one takes, and how its bytes become numbers that numpy has.

bfloat16 and the float8 types are widened to float32, which holds each of their values exactly. Formats: Micikevicius et al.,
"FP8 Formats for Deep Learning" (2022); the OCP Microscaling specification (2023) for e8m0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

# torch's word → numpy code of the stored bytes, without byte order
STORED_AS: dict[str, str] = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2",
    "float8_e4m3fn": "u1", "float8_e4m3fnuz": "u1", "float8_e5m2": "u1", "float8_e5m2fnuz": "u1", "float8_e8m0fnu": "u1",
    "float4_e2m1fn_x2": "u1",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1",
    "bool": "u1", "complex128": "c16", "complex64": "c8", "complex32": "u4",
    "qint8": "i1", "quint8": "u1", "qint32": "i4", "quint4x2": "u1", "quint2x4": "u1",
}  # fmt: skip

ITEM_BYTES: dict[str, int] = {word: int(code[1:]) for word, code in STORED_AS.items()}

MOST_ELEMENTS = 1 << 62  # no tensor can have more: they could not be addressed

# what is read are the stored integers, not the numbers they stand for
QUANTISED = frozenset({"qint8", "quint8", "qint32", "quint4x2", "quint2x4", "float4_e2m1fn_x2"})

# numpy's code → torch's word, for arrays that numpy itself wrote
FROM_NUMPY: dict[str, str] = {
    "f8": "float64", "f4": "float32", "f2": "float16", "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8",
    "u8": "uint64", "u4": "uint32", "u2": "uint16", "u1": "uint8", "b1": "bool", "c16": "complex128", "c8": "complex64",
}  # fmt: skip


def stored_dtype(word: str, *, big_endian: bool = False) -> np.dtype:
    """The numpy type of the stored bytes of torch's `word`."""
    return np.dtype((">" if big_endian else "<") + STORED_AS[word])


def _widen_complex32(raw: np.ndarray) -> np.ndarray:
    halves = raw.ravel().view(np.dtype(raw.dtype.byteorder + "f2"))  # the order holds within each half
    return halves.astype(np.float32).view(np.complex64).reshape(raw.shape)


def _widen_bfloat16(raw: np.ndarray) -> np.ndarray:
    wide = raw.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


@cache
def _float8_table(exponent_bits: int, mantissa_bits: int, bias: int, nans: tuple[int, ...]) -> np.ndarray:
    """float32 value of each of the 256 patterns of a float8 with a sign bit and no infinities."""
    pattern = np.arange(256)
    exponent = (pattern >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fraction = (pattern & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    size = np.where(exponent == 0, np.ldexp(fraction, 1 - bias), np.ldexp(1 + fraction, exponent - bias))
    table = np.where(pattern & 0x80, -size, size).astype(np.float32)
    table[list(nans)] = np.nan
    return table


@cache
def _scale_table() -> np.ndarray:
    """float32 value of each e8m0 pattern: 2^(pattern − 127); 255 is NaN."""
    table = np.ldexp(np.float64(1), np.arange(256) - 127)
    table[255] = np.nan
    return table.astype(np.float32)


_WIDEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bool": lambda raw: raw != 0,
    "bfloat16": _widen_bfloat16,
    "float8_e4m3fn": lambda raw: _float8_table(4, 3, 7, (0x7F, 0xFF))[raw],
    "float8_e4m3fnuz": lambda raw: _float8_table(4, 3, 8, (0x80,))[raw],
    "float8_e5m2": lambda raw: (raw.astype(np.uint16) << 8).view(np.float16).astype(np.float32),  # the upper half of a float16
    "float8_e5m2fnuz": lambda raw: _float8_table(5, 2, 16, (0x80,))[raw],
    "float8_e8m0fnu": lambda raw: _scale_table()[raw],
}

_WIDENED_BYTES = {word: 1 if word == "bool" else 4 for word in _WIDEN} | {"complex32": 8}


def arriving_bytes(word: str) -> int:
    """Bytes that one element takes once it is a number in memory, its stored form beside it included."""
    return ITEM_BYTES[word] + _WIDENED_BYTES.get(word, 0)


def numbers(raw: np.ndarray, word: str) -> np.ndarray:
    """Stored elements as numbers: native byte order; types that numpy lacks as float32 (complex32 as complex64), bool as bool."""
    if word == "complex32":
        return _widen_complex32(raw)
    if not raw.dtype.isnative:
        raw = raw.astype(raw.dtype.newbyteorder("="))
    widen = _WIDEN.get(word)
    return raw if widen is None else widen(raw)

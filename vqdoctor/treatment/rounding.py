"""Numbers as the file will hold them: a repair is measured on what survives the stored type, not on what was computed.

bfloat16 and float8 reach us widened to float32 (see `TensorSource.read`), so rounding them is our business; ties go to even.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vqdoctor.checkpoint.dtypes import numbers

FLOAT8 = frozenset({"float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"})


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` rounded to what torch's `dtype` can hold, in the type that reading gives; beyond its range infinite.

    Example:
        >>> rounded(np.array([1.01], np.float32), "bfloat16")
        array([1.0078125], dtype=float32)
    """
    if dtype == "bfloat16":
        return _to_bfloat16(values.astype(np.float32, copy=False))
    if dtype in FLOAT8:
        return _to_float8(values.astype(np.float32, copy=False), dtype)
    with np.errstate(over="ignore"):
        return values.astype(np.dtype(dtype), copy=False)


def _to_bfloat16(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values).view(np.uint32)
    nearest = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, nearest.view(np.float32))


def _to_float8(values: np.ndarray, dtype: str) -> np.ndarray:
    held = _held_by(dtype)
    above = np.searchsorted(held, values).clip(1, len(held) - 1)
    low, high = held[above - 1], held[above]
    with np.errstate(invalid="ignore"):
        gap = (values - low) - (high - values)
    even = (above - len(held) // 2) % 2 == 0  # the last bit of a pattern alternates outwards from 0, which is in the middle
    up = (gap > 0) | ((gap == 0) & even)
    nearest = np.where(up, high, low)
    nearest = np.where(np.abs(values) > held[-1], np.copysign(np.float32(np.inf), values), nearest)
    return np.where(np.isnan(values), values, nearest).astype(np.float32)


@cache
def _held_by(dtype: str) -> np.ndarray:
    """Every finite value of a float8, ascending."""
    table = numbers(np.arange(256, dtype=np.uint8), dtype)
    return np.unique(table[np.isfinite(table)])

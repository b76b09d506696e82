"""Numbers to the bytes that a checkpoint stores: the inverse of `dtypes.numbers`, rounding to nearest, ties to even.

A value that the stored type does not have is refused, never clipped: an overflow to infinity in a float16 book would be a new
disease. NaNs that are stored already keep their very bits, since a repair that leaves a row alone leaves its bytes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from vqdoctor.checkpoint.dtypes import QUANTISED, STORED_AS, numbers
from vqdoctor.errors import UnsupportedInput

_NEVER_WRITTEN = QUANTISED | {"complex32"}  # integers that stand for other numbers; a type that no codebook has
_HINT = "Save the checkpoint in a wider type first, or leave this tensor as it is."


def encode(values: np.ndarray, word: str, current: np.ndarray) -> np.ndarray:
    """`values` as they are stored in a tensor of torch's type `word`.

    Args:
        values: any shape; bool, integer, float or (for complex tensors) complex.
        current: what is stored there now, same shape, dtype `stored_dtype(word, ...)`; its byte order is taken over.

    Raises:
        UnsupportedInput: the type is quantised (or complex32), or cannot hold one of the values, which is named.
    """
    if word in _NEVER_WRITTEN:
        raise UnsupportedInput(f"is stored as {word}, a type that is read and not written.", hint=_HINT)
    if values.dtype.kind not in "biufc" or (values.dtype.kind == "c" and not word.startswith("complex")):
        raise UnsupportedInput(f"is stored as {word} and cannot hold values of type {values.dtype}.")
    stored = current.copy()
    with np.errstate(all="ignore"):
        np.copyto(stored, _encoder(word)(values, word), where=~_is_kept(values, current, word))
    return stored


def _is_kept(values: np.ndarray, current: np.ndarray, word: str) -> np.ndarray:
    """Where the stored bits say what `values` say in another way: NaNs, and truths that are not spelled 1."""
    stored = numbers(current, word)
    if word == "bool":
        return stored == (values != 0)
    return np.isnan(stored) & np.isnan(values) if stored.dtype.kind in "fc" else np.zeros(values.shape, bool)


def _encoder(word: str) -> Callable[[np.ndarray, str], np.ndarray]:
    if word == "bool":
        return _truths
    if word == "bfloat16":
        return _bfloat16
    if word.startswith("float8"):
        return _float8
    return _integers if STORED_AS[word][0] in "iu" else _floats


def _check(fits: np.ndarray, values: np.ndarray, word: str) -> None:
    if not fits.all():
        first = values[~fits].ravel()[0].item()
        raise UnsupportedInput(f"is stored as {word}, which cannot hold the value {first!r}.", hint=_HINT)


def _floats(values: np.ndarray, word: str) -> np.ndarray:
    """float64, float32, float16, complex128, complex64."""
    rounded = values.astype(STORED_AS[word])
    _check(np.isfinite(rounded) | ~np.isfinite(values), values, word)
    return rounded


def _integers(values: np.ndarray, word: str) -> np.ndarray:
    bounds = np.iinfo(STORED_AS[word])
    if values.dtype.kind == "f":
        wide = values.astype(np.float64)  # has both bounds exactly, as powers of two
        fits = (wide == np.trunc(wide)) & (wide >= float(bounds.min)) & (wide < float(bounds.max + 1))
    else:
        fits = (values >= bounds.min) & (values <= bounds.max)
    _check(fits, values, word)
    return values.astype(STORED_AS[word])


def _truths(values: np.ndarray, word: str) -> np.ndarray:
    _check((values == 0) | (values == 1), values, word)
    return (values != 0).astype(np.uint8)


def _bfloat16(values: np.ndarray, word: str) -> np.ndarray:
    """The upper half of a float32, after rounding."""
    bits = _float32_to_odd(values).view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    rounded = np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
    _check(((rounded & 0x7FFF) != 0x7F80) | ~np.isfinite(values), values, word)
    return rounded


def _float32_to_odd(values: np.ndarray) -> np.ndarray:
    """float32, inexact ones rounded to an odd last bit, so that rounding them once more gives what rounding once would give.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums" (2008), theorem 2.
    """
    wide = values.astype(np.float64)
    single = wide.astype(np.float32)
    bits = single.view(np.uint32) - (np.abs(single) > np.abs(wide))  # towards zero
    odd = np.where(single == wide, bits, bits | 1).astype(np.uint32)
    return np.where(np.isfinite(wide), odd, single.view(np.uint32)).astype(np.uint32).view(np.float32)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """A float8 type by its bit patterns.

    Attributes:
        sizes: float64 magnitudes of patterns 0, 1, …, ascending, and the one that would follow them if the type went on.
        nan, infinity: patterns; infinity None where it has none. signed: the top bit is a sign. minus_zero: it has one.
    """

    sizes: np.ndarray
    nan: int
    infinity: int | None
    signed: bool
    minus_zero: bool


@cache
def _patterns(word: str) -> _Patterns:
    table = numbers(np.arange(256, dtype=np.uint8), word).astype(np.float64)
    signed = table[0x80] != 2 * table[0x7F]  # e8m0 goes on doubling
    finite = table[: 0x80 if signed else 0x100]
    finite = finite[np.isfinite(finite)]
    beyond = 2 * finite[-1] - (finite[-2] if signed else 0)
    nans = np.flatnonzero(np.isnan(table[: 0x81 if signed else 0x100]))
    infinities = np.flatnonzero(np.isinf(table))
    infinity = int(infinities[0]) if infinities.size else None
    return _Patterns(np.append(finite, beyond), int(nans[-1]), infinity, bool(signed), table[0x80] == 0)


def _float8(values: np.ndarray, word: str) -> np.ndarray:
    """The nearest of the type's few values; of two equally near ones the even pattern."""
    kind, values = _patterns(word), values.astype(np.float64)
    sizes, size = kind.sizes, np.abs(values)
    above = np.clip(np.searchsorted(sizes, size), 1, len(sizes) - 1)
    middle = (sizes[above - 1] + sizes[above]) / 2
    is_even = (above % 2 == 0) | (not kind.signed)  # of a power of two and its double, the double is even
    pattern = np.where((size > middle) | ((size == middle) & is_even), above, above - 1)
    fits = (pattern < len(sizes) - 1) & (kind.signed | (values > 0))
    if kind.infinity is not None:
        fits |= np.isinf(values)
        pattern = np.where(np.isinf(values), kind.infinity, pattern)
    _check(fits | np.isnan(values), values, word)
    if kind.signed:
        pattern |= np.where(np.signbit(values) & (kind.minus_zero | (pattern > 0)), 0x80, 0)
    return np.where(np.isnan(values), kind.nan, pattern).astype(np.uint8)

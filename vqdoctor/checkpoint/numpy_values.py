"""What numpy writes into pickles: scalars become plain numbers, arrays tensors whose bytes stay in the pickle.

Sources: numpy/_core/src/multiarray (``_reconstruct``, ``scalar``, ``ndarray.__setstate__``), numpy/_core/numeric.py
(``_frombuffer``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vqdoctor.checkpoint.dtypes import FROM_NUMPY, MOST_ELEMENTS
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.pickle_machine import Builder
from vqdoctor.checkpoint.pickle_nodes import Blob, Node
from vqdoctor.checkpoint.torch_values import Tensor

_MODULES = ("numpy.core.", "numpy._core.")
_PYTHON2_BYTES = 1024  # longer ones stay in the file


class Dtype(Node):
    """A numpy dtype: its code ("f4") and, once built, its byte order."""

    __slots__ = ("big_endian", "code")

    def __init__(self, code: str) -> None:
        self.code = code.lstrip("<>=|")
        self.big_endian = code.startswith(">")

    def build(self, state: Any) -> None:
        """(version, byte order, subtype, names, fields, size, alignment, flags)"""
        if type(state) is list and len(state) > 1 and state[1] == ">":
            self.big_endian = True

    @property
    def word(self) -> str | None:
        """Torch's word for it, None for records, text and objects."""
        return FROM_NUMPY.get(self.code)


class Array(Tensor):
    """A numpy array; its shape and bytes arrive by BUILD."""

    __slots__ = ("_limits", "big_endian", "data")

    def __init__(self, limits: Limits) -> None:
        super().__init__(None, 0, (), (), "")
        self._limits = limits
        self.data: bytes | Blob | None = None
        self.big_endian = False

    def build(self, state: Any) -> None:
        """([version,] shape, dtype, is Fortran order, bytes)"""
        shape, dtype, fortran, data = state[-4:]
        self.fill(shape, dtype, bool(fortran), data)

    def fill(self, shape: Any, dtype: Any, fortran: bool, data: Any) -> None:
        """Takes the array's description; it stays without data (a stub) where numpy would have needed more than bytes."""
        data = _from_python2(data)
        if type(dtype) is not Dtype or dtype.word is None or type(data) not in (bytes, Blob) or type(shape) is not list:
            return
        self._limits.check("rank", len(shape))
        if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) >= MOST_ELEMENTS:
            return
        self.shape = tuple(shape)
        self.strides = ordered_strides(self.shape, fortran=fortran)
        self.dtype = dtype.word
        self.big_endian = dtype.big_endian
        self.data = data


def ordered_strides(shape: tuple[int, ...], *, fortran: bool = False) -> tuple[int, ...]:
    """Strides, in elements, of a gapless array in C (or Fortran) order."""
    strides, step = [], 1
    for size in shape if fortran else reversed(shape):
        strides.append(step)
        step *= size
    return tuple(strides if fortran else reversed(strides))


def _from_python2(data: Any) -> Any:
    """Short bytes that Python 2 wrote and that happen to be text, as bytes again."""
    return data.encode("utf-8") if type(data) is str and len(data) <= _PYTHON2_BYTES else data


def _dtype(args: list[Any]) -> Dtype | None:
    return Dtype(args[0]) if args and type(args[0]) is str else None


def _scalar(args: list[Any]) -> Any:
    """``scalar(dtype, bytes)``"""
    dtype, data = args[0], _from_python2(args[1])
    if type(dtype) is not Dtype or dtype.word is None or type(data) is not bytes:
        return None
    return np.frombuffer(data, np.dtype((">" if dtype.big_endian else "<") + dtype.code), 1)[0].item()


def numpy_builders(limits: Limits) -> dict[str, Builder]:
    """Builders by exact name, for numpy 1 and 2."""

    def from_buffer(args: list[Any]) -> Array:
        data, dtype, shape, order = args
        array = Array(limits)
        array.fill(shape, dtype, order == "F", data)
        return array

    table: dict[str, Builder] = {"numpy.dtype": _dtype}
    for module in _MODULES:
        table[module + "multiarray._reconstruct"] = lambda args: Array(limits)
        table[module + "multiarray.scalar"] = _scalar
        table[module + "numeric._frombuffer"] = from_buffer
    return table

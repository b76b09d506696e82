"""Codes that a model assigned, for lookups that cannot be searched or to measure the model's own choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqdoctor.errors import SampleError
from vqdoctor.remote import is_url
from vqdoctor.samples.stored import OpenSource, StoredArray, npy_array, opened, source_array


@dataclass(frozen=True, slots=True)
class CodeTable:
    """Assigned codes of n rows at `levels` levels, read in blocks; −1 marks a row without a code."""

    path: str
    n: int
    levels: int
    dtype: str
    array: StoredArray

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """(b, levels) int64 blocks in order, b ≤ size.

        Raises:
            SampleError: a value that is no whole number; the message names its row.
        """
        for start in range(0, self.n, size):
            yield self.read(start, start + size)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start:stop, (b, levels) int64; raises as `blocks` does."""
        block = self.array.read(start, stop).reshape(-1, self.levels)
        if block.dtype.kind == "f":
            self._check_whole(block, start)
        elif block.dtype == np.uint64 and block.max(initial=0) > np.iinfo(np.int64).max:
            raise SampleError("holds codes beyond 64-bit integers", where=self.path)
        return block.astype(np.int64)

    def _check_whole(self, block: np.ndarray, start: int) -> None:
        with np.errstate(invalid="ignore"):
            odd = np.argwhere(~(np.abs(block) < 2**53) | (block != np.floor(block)))
        if len(odd):
            row, level = odd[0]
            hint = "Codes are whole numbers, -1 where a row has none. Features go to --features."
            raise SampleError(f"row {start + row} holds {block[row, level]}, which is no code", where=self.path, hint=hint)


def read_codes(path: str | Path, *, open_source: OpenSource | None = None, name: str | None = None) -> CodeTable:
    """Codes (N,) or (N, L), integers or floats that are whole numbers, of a `.npy`, `.npz`, `.pt` or `.safetensors` file.

    Args:
        open_source: opens what is no `.npy`. name: which array of a container; None: the only one of whole numbers.

    Raises:
        MissingInput, CorruptInput, UnsupportedInput: the file cannot be read.
        SampleError: it holds no codes.
    """
    remote = isinstance(path, str) and is_url(path)
    if open_source is None or (Path(path).suffix == ".npy" and not remote):
        array = npy_array(path)
    else:
        array = source_array(
            opened(open_source, str(path), "codes"), name, lambda shape, dtype: "int" in dtype and len(shape) in (1, 2)
        )
    if array.dtype in ("bool", "object") or array.dtype.startswith("complex"):
        raise SampleError(f"holds {array.dtype} values, codes are whole numbers", where=array.path)
    if len(array.shape) not in (1, 2):
        hint = "Put the levels last: codes.transpose(…).reshape(-1, levels)."
        raise SampleError(f"has shape {array.shape}, codes are (N,) or (N, levels)", where=array.path, hint=hint)
    if 0 in array.shape:
        raise SampleError(f"holds no codes (shape {array.shape})", where=array.path)
    return CodeTable(array.path, array.shape[0], 1 if len(array.shape) == 1 else array.shape[1], array.dtype, array)

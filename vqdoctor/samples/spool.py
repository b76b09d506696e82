"""Values set aside in order: in memory while they are few, else in a file without a name that ends with whoever holds it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np

from vqdoctor.errors import UsageError

HELD_BYTES = 1 << 20
BLOCK = 1 << 16  # values read at a time


class Spool:
    """A column of values of one type.

    Args:
        dtype: theirs. held_bytes: in memory, at most.
    """

    def __init__(self, dtype: np.dtype, held_bytes: int = HELD_BYTES) -> None:
        self._dtype = dtype
        self._file = tempfile.SpooledTemporaryFile(held_bytes)  # noqa: SIM115 (it goes with the spool)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, values: np.ndarray) -> None:
        """The next values, of any shape.

        Raises:
            UsageError: the disk does not take them.
        """
        try:
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(values, self._dtype).tobytes())
        except OSError as error:
            what = f"what memory does not hold cannot be set aside in {tempfile.gettempdir()}: {error.strerror or error}."
            raise UsageError(what, hint="Name a folder with room: TMPDIR=DIR.") from error
        self._n += values.size

    def read(self, start: int, stop: int) -> np.ndarray:
        """Values start:stop."""
        self._file.seek(start * self._dtype.itemsize)
        return np.frombuffer(self._file.read(max(0, stop - start) * self._dtype.itemsize), self._dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """All values, a block at a time."""
        for start in range(0, self._n, BLOCK):
            yield self.read(start, min(start + BLOCK, self._n))

"""Encoder outputs before quantisation: rows (N, D) of float32, streamed in blocks from one file or a folder of shards.

Every reader gives the same rows however they are blocked. A row with NaN or Inf (or a float64 beyond float32) is left out and
counted, because it has no nearest code; anything else that is wrong with a file stops the reading, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from vqdoctor.errors import CorruptInput, SampleError, UnsupportedInput, printable
from vqdoctor.remote import is_url, shown
from vqdoctor.samples.parts import PART_ROWS, Part, Piece, gathered
from vqdoctor.samples.stored import OpenSource, StoredArray, npy_array, opened, source_array

MOST_LISTED = 10_000  # dropped rows whose numbers are kept
_CONTAINERS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz")


class Rows(Protocol):
    """A stream of feature rows.

    Attributes:
        path: the file or folder.
        n: rows in it, bad ones included; None where unknown before the end.
        width: D. dtype: as stored.
        dropped: bad rows left out by the latest pass; complete once the pass is.
        dropped_rows: their numbers, ascending; only the first 10,000.
    """

    path: str
    n: int | None
    width: int
    dtype: str
    dropped: int
    dropped_rows: list[int]

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The good rows in order, as (b, width) float32 blocks, 0 < b ≤ size. Each call is a new pass."""
        ...

    def parts(self, size: int) -> Iterator[Part]:
        """All rows in order, as parts of about `size` rows that a process elsewhere can read: see :func:`open_part`."""
        ...


class FiniteRows:
    """What all readers share: raw blocks to float32, bad rows out. Subclasses say where raw blocks come from."""

    def __init__(self, path: str, n: int | None, width: int, dtype: str) -> None:
        self.path, self.n, self.width, self.dtype = path, n, width, dtype
        self.dropped = 0
        self.dropped_rows: list[int] = []

    def raw(self, size: int) -> Iterator[np.ndarray]:
        """All rows in order, (b, width) of any number type, b ≤ size."""
        raise NotImplementedError

    def pieces(self, size: int) -> Iterator[Piece] | None:
        """The file in ranges of about `size` rows; None where there is no file that could be opened again."""
        return None

    def piece(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """The rows of a piece, as `raw` gives them."""
        raise NotImplementedError

    def parts(self, size: int) -> Iterator[Part]:
        """See :class:`Rows`."""
        pieces = self.pieces(size)
        if pieces is not None:
            yield from gathered(self.path, pieces, size)
            return
        first = 0
        for rows in self.raw(min(size, PART_ROWS)):  # they are in memory until they are counted
            yield Part(self.path, first, len(rows), held=rows)
            first += len(rows)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """See :class:`Rows`."""
        if size < 1:
            raise ValueError("a block has at least one row")
        self.dropped, self.dropped_rows = 0, []
        seen = 0
        for block, good in self.checked(size):
            bad = np.flatnonzero(~good)
            self.dropped += len(bad)
            self.dropped_rows += (bad[: MOST_LISTED - len(self.dropped_rows)] + seen).tolist()
            seen += len(block)
            if len(bad) < len(block):
                yield block[good] if len(bad) else block

    def checked(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All rows in order, as (b, width) float32 blocks, and which of each are good, (b,) bool."""
        for raw in self.raw(size):
            with np.errstate(over="ignore", invalid="ignore"):
                block = np.ascontiguousarray(raw, dtype=np.float32)
            finite = np.isfinite(block)
            yield block, np.ones(len(block), bool) if finite.all() else np.asarray(finite.all(axis=1))


class ArrayRows(FiniteRows):
    """Rows of one stored array, (N, D) or (B, T, D). reopens: `open_rows` finds the same array by its path and name."""

    def __init__(self, array: StoredArray, *, reopens: bool = False) -> None:
        _check_features(array)
        self._array, self._reopens = array, reopens
        self._per_read = 1 if len(array.shape) == 2 else array.shape[1]  # rows in one step of the first axis
        super().__init__(array.path, array.shape[0] * self._per_read, array.shape[-1], array.dtype)

    def raw(self, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        return self.piece(0, self._array.shape[0], size)

    def piece(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        step = max(1, size // self._per_read)
        for at in range(start, stop, step):
            rows = self._array.read(at, min(at + step, stop)).reshape(-1, self.width)
            for row in range(0, len(rows), size):
                yield rows[row : row + size]

    def pieces(self, size: int) -> Iterator[Piece] | None:
        """See :class:`FiniteRows`. A compressed archive is one piece: who wants its end has to unpack it from its beginning."""
        if not self._reopens:
            return None
        path, steps = self._array.path, self._array.shape[0]
        step = steps if path.endswith(".npz") else max(1, size // self._per_read)
        return (
            Piece(path, self._array.name or None, start, stop, (stop - start) * self._per_read, self)
            for start, stop in ((start, min(start + step, steps)) for start in range(0, steps, step))
        )


class Shards(FiniteRows):
    """The rows of several files, one after the other."""

    def __init__(self, path: str, shards: list[FiniteRows]) -> None:
        widths = {shard.width for shard in shards}
        if len(widths) > 1:
            odd = next(shard for shard in shards if shard.width != shards[0].width)
            what = f"has {odd.width} columns, {printable(Path(shards[0].path).name)} has {shards[0].width}"
            raise SampleError(what, where=odd.path, hint="All shards must have the same width.")
        counts = [shard.n for shard in shards]
        n = None if None in counts else sum(count for count in counts if count is not None)
        super().__init__(path, n, shards[0].width, shards[0].dtype)
        self._shards = shards

    def raw(self, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        for shard in self._shards:
            yield from shard.raw(size)

    def pieces(self, size: int) -> Iterator[Piece] | None:
        """See :class:`FiniteRows`."""
        found = [shard.pieces(size) for shard in self._shards]
        return None if None in found else chain.from_iterable(pieces for pieces in found if pieces is not None)


class PartRows(FiniteRows):
    """The rows of one part, numbered from 0."""

    def __init__(self, part: Part, width: int, dtype: str, readers: Sequence[FiniteRows]) -> None:
        super().__init__(part.path, part.rows, width, dtype)
        self._part, self._readers = part, readers

    def raw(self, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        held = self._part.held
        if held is not None:
            yield from (held[start : start + size] for start in range(0, len(held), size))
        for piece, reader in zip(self._part.pieces, self._readers, strict=True):
            left = piece.rows
            for rows in reader.piece(piece.start, piece.stop, size):
                left -= len(rows)
                yield rows
            if left:
                raise CorruptInput("holds other rows than when it was first opened", where=piece.path, hint="Is it being written?")


def open_part(part: Part, open_source: OpenSource | None = None) -> PartRows:
    """The rows of a part, wherever it was cut. open_source: as for :func:`open_rows`.

    Raises:
        MissingInput, CorruptInput, UnsupportedInput, SampleError: the file is not there, or not as it was when it was cut.
    """
    if part.held is not None:
        return PartRows(part, part.held.shape[1], str(part.held.dtype), ())
    readers = [piece.reader or _open_file(Path(piece.path), open_source, piece.name) for piece in part.pieces]
    return PartRows(part, readers[0].width, readers[0].dtype, readers)


def open_rows(path: str | Path, *, open_source: OpenSource | None = None, name: str | None = None) -> FiniteRows:
    """Feature rows of a `.npy`, `.parquet`, `.pt`, `.safetensors` or `.npz` file, behind a URL too, or of a folder of such shards.

    Args:
        open_source: opens what is neither `.npy` nor `.parquet`, and all that is behind a URL but `.parquet`.
        name: which array of a container, or column of a table; None: the only one that fits.

    Raises:
        MissingInput, CorruptInput, UnsupportedInput: the file cannot be read.
        SampleError: it holds no rows of numbers of one width.
    """
    if isinstance(path, str) and is_url(path) and open_source is not None:
        return _open_url(path, open_source, name)
    path = Path(path)
    if path.is_dir():
        shards = [_open_file(shard, open_source, name) for shard in shard_paths(path, open_source is not None)]
        if not shards:
            raise SampleError(
                "this folder has no feature files", where=str(path), hint="Shards end in .npy, .parquet, .pt or .safetensors."
            )
        return Shards(str(path), shards)
    return _open_file(path, open_source, name)


def shard_paths(folder: Path, containers: bool = True) -> list[Path]:
    """Feature files of a folder, numbers in their names in numeric order; hidden files left out."""
    suffixes = (".npy", ".parquet", *(_CONTAINERS if containers else ()))
    found = [path for path in folder.iterdir() if path.suffix in suffixes and path.is_file() and not path.name.startswith(".")]
    return sorted(
        found, key=lambda path: [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
    )


def _open_file(path: Path, open_source: OpenSource | None, name: str | None) -> FiniteRows:
    if path.suffix == ".parquet":
        from vqdoctor.samples.parquet import ParquetRows

        return ParquetRows(path, name)
    if path.suffix == ".npy" or open_source is None:
        return ArrayRows(npy_array(path), reopens=True)
    return ArrayRows(source_array(opened(open_source, str(path), "features"), name, _fits), reopens=True)


def _open_url(url: str, open_source: OpenSource, name: str | None) -> FiniteRows:
    if shown(url).endswith(".parquet"):
        from vqdoctor.samples.parquet import ParquetRows

        return ParquetRows(url, name)
    return ArrayRows(source_array(open_source(url), name, _fits))


def _fits(shape: tuple[int, ...], dtype: str) -> bool:
    """Could this array be feature rows? Whole numbers are more likely labels or codes, so they must be named."""
    return len(shape) in (2, 3) and "float" in dtype


def _check_features(array: StoredArray) -> None:
    """Raises SampleError or UnsupportedInput unless the array is rows of real numbers."""
    shape, where = array.shape, array.path
    if array.dtype in ("object", "bool") or array.dtype.startswith("complex"):
        raise UnsupportedInput(f"holds {array.dtype} values, features are real numbers", where=where)
    if len(shape) > 3:
        hint = "If the last axis is: x.reshape(-1, x.shape[-1]); if axis 1 is: numpy.moveaxis(x, 1, -1).reshape(-1, x.shape[1])."
        raise SampleError(f"has shape {shape}: which axis is the feature is not clear", where=where, hint=hint)
    if len(shape) < 2:
        raise SampleError(f"has shape {shape}: features are rows (N, D)", where=where, hint="One number a row: reshape to (N, 1).")
    if 0 in shape:
        raise SampleError(f"holds no rows (shape {shape})", where=where)

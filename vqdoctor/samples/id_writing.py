"""Semantic IDs out, in the formats that `semantic_ids` reads in: `.index.json`, `.npy`, `.parquet`; a stretch of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.safe_write import writing

ROWS = 1 << 14  # written at a time
GROUP = 1 << 20  # rows of a row group of parquet, as pyarrow would cut it
ENDINGS = (".json", ".npy", ".parquet")
DEDUP = "dedup"
"""Mark of a last token that only tells equal IDs apart: it says so in the file itself, also where no IDs are equal."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def level_marks(levels: int) -> tuple[str, ...]:
    """What each level's tokens begin with: "a", "b", …; beyond the alphabet "level26_", …."""
    return tuple(LETTERS[level] if level < len(LETTERS) else f"level{level}_" for level in range(levels))


Blocks = Callable[[int], Iterable[np.ndarray]]
"""Of a size: the IDs of all rows in order, (b, W) integers, 0-based; b is that size but in the last."""


def slices_of(table: np.ndarray) -> Blocks:
    """IDs (n, W) that are in memory, as `write_ids` takes them."""
    return lambda size: (table[start : start + size] for start in range(0, len(table), size))


def write_ids(path: str, n: int, blocks: Blocks, marks: Sequence[str], *, seen: Callable[[int], None] = lambda n: None) -> None:
    """Writes the file that `path` asks for; it takes that name once it is whole.

    Args:
        path: ends in .index.json (or .json), .npy or .parquet. n: IDs.
        marks: what each column's tokens begin with. seen: told of rows written.

    Raises:
        UsageError: another ending, or pyarrow is missing; or it cannot be written.
    """
    refuse_ending(path)
    write, size = {".json": (_index_json, ROWS), ".npy": (_npy, ROWS), ".parquet": (_parquet, GROUP)}[Path(path).suffix.lower()]

    def told() -> Iterator[np.ndarray]:
        for block in blocks(size):
            yield block
            seen(len(block))

    with writing(path) as file:
        write(file, n, told(), marks)


def refuse_ending(path: str) -> None:
    """Raises UsageError where no IDs can be written to a file of this name: to be asked before the work."""
    suffix = Path(path).suffix.lower()
    if suffix not in ENDINGS:
        raise UsageError(
            f"IDs are written as .index.json, .npy or .parquet, not {printable(suffix or 'without an ending')}.",
            where=path,
            hint="Name the file so.",
        )
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError("writing .parquet needs pyarrow.", hint="pip install 'vqdoctor[tables]'")


def _index_json(file: BinaryIO, n: int, blocks: Iterable[np.ndarray], marks: Sequence[str]) -> None:
    """``{"0": ["<a_12>", "<b_7>"], …}``, one item a line, keys the row numbers."""
    tokens = ", ".join(f'"<{mark}_%d>"' for mark in marks)
    done, between = 0, ""
    file.write(b"{\n")
    for block in blocks:
        numbered = np.column_stack([np.arange(done, done + len(block)), block])
        lines = ",\n".join([f'"%d": [{tokens}]'] * len(block)) % tuple(numbered.ravel().tolist())
        file.write((between + lines).encode())
        done, between = done + len(block), ",\n"
    file.write(b"\n}\n")


def _npy(file: BinaryIO, n: int, blocks: Iterable[np.ndarray], marks: Sequence[str]) -> None:
    """(n, W) int32."""
    descr = np.lib.format.dtype_to_descr(np.dtype(np.int32))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (n, len(marks))})
    for block in blocks:
        file.write(np.ascontiguousarray(block, np.int32).data)


def _parquet(file: BinaryIO, n: int, blocks: Iterable[np.ndarray], marks: Sequence[str]) -> None:
    """A column of int32 a token, called like its mark."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    schema = pa.schema([(mark, pa.int32()) for mark in marks])
    with parquet.ParquetWriter(file, schema) as writer:
        for block in blocks:
            buffers = (pa.py_buffer(np.ascontiguousarray(column, np.int32)) for column in block.T)  # pa.array would load pandas
            columns = [pa.Array.from_buffers(pa.int32(), len(block), [None, buffer]) for buffer in buffers]
            writer.write_batch(pa.record_batch(columns, schema=schema))

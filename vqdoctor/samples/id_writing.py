"""Semantic IDs out, in the formats that `semantic_ids` reads in: `.index.json`, `.npy`, `.parquet`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vqdoctor.errors import UsageError, printable

ROWS = 1 << 14  # turned into tokens at a time
ENDINGS = (".json", ".npy", ".parquet")
DEDUP = "dedup"
"""Mark of a last token that only tells equal IDs apart: it says so in the file itself, also where no IDs are equal."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def level_marks(levels: int) -> tuple[str, ...]:
    """What each level's tokens begin with: "a", "b", …; beyond the alphabet "level26_", …."""
    return tuple(LETTERS[level] if level < len(LETTERS) else f"level{level}_" for level in range(levels))


def encode_ids(table: np.ndarray, marks: Sequence[str], path: str) -> bytes:
    """The file that `path` asks for.

    Args:
        table: (n, L) integers, one ID a row, 0-based. marks: what each column's tokens begin with.
        path: ends in .index.json (or .json), .npy or .parquet.

    Raises:
        UsageError: another ending, or pyarrow is missing.
    """
    refuse_ending(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        return index_json(table, marks)
    if suffix == ".parquet":
        return _parquet(table, marks)
    file = io.BytesIO()
    np.save(file, table.astype(np.int32))
    return file.getvalue()


def refuse_ending(path: str) -> None:
    """Raises UsageError where a file of this name could hold no IDs: to be asked before the work."""
    suffix = Path(path).suffix.lower()
    if suffix not in ENDINGS:
        raise UsageError(
            f"IDs are written as .index.json, .npy or .parquet, not {printable(suffix or 'without an ending')}.",
            where=path,
            hint="Name the file so.",
        )


def index_json(table: np.ndarray, marks: Sequence[str]) -> bytes:
    """``{"0": ["<a_12>", "<b_7>"], …}``, one item a line, keys the row numbers."""
    lines = []
    for start in range(0, len(table), ROWS):
        for row, codes in enumerate(table[start : start + ROWS].tolist(), start=start):
            tokens = ", ".join(f'"<{mark}_{code}>"' for mark, code in zip(marks, codes, strict=True))
            lines.append(f'"{row}": [{tokens}]')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _parquet(table: np.ndarray, marks: Sequence[str]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UsageError("writing .parquet needs pyarrow.", hint="pip install 'vqdoctor[tables]'") from error
    columns = {mark: pa.array(column.astype(np.int32)) for mark, column in zip(marks, table.T, strict=True)}
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()

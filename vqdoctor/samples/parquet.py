"""Parquet through pyarrow, an extra: imported only when such a file is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vqdoctor.errors import CorruptInput, SampleError, UnsupportedInput, printable
from vqdoctor.remote import is_url, open_url, shown
from vqdoctor.samples.features import FiniteRows
from vqdoctor.samples.parts import Piece
from vqdoctor.samples.stored import regular_file

BUFFER_BYTES = 1 << 20  # of a column as stored, read at a time


def arrow() -> ModuleType:
    """pyarrow with its parquet reader.

    Raises:
        UnsupportedInput: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UnsupportedInput("parquet needs pyarrow, which is not installed", hint="pip install 'vqdoctor[tables]'") from None
    return pyarrow


def open_table(path: str | Path) -> Any:
    """A pyarrow ParquetFile.

    Raises:
        MissingInput, UnsupportedInput: no such file; no pyarrow.
        CorruptInput: no parquet.
    """
    pyarrow = arrow()
    file = open_url(path)[0] if isinstance(path, str) and is_url(path) else regular_file(path)
    try:
        return pyarrow.parquet.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)  # else it holds all that is stored
    except (pyarrow.ArrowException, OSError) as error:
        raise CorruptInput(f"is not a readable parquet file ({printable(error, 80)})", where=_place(path)) from None


def _place(path: str | Path) -> str:
    return shown(path) if isinstance(path, str) and is_url(path) else str(path)


def batches(table: Any, path: str, columns: list[str], size: int, groups: range | None = None) -> Iterator[Any]:
    """Record batches of the columns, at most `size` rows each, read and decoded as they are asked for. groups: None: all."""
    pyarrow = arrow()
    try:
        for batch in table.iter_batches(batch_size=size, columns=columns, row_groups=groups):
            batch.validate(full=True)  # reading looks neither at text nor at where lists begin
            yield batch
    except (pyarrow.ArrowException, OSError) as error:
        raise CorruptInput(f"cannot be decoded ({printable(error, 80)})", where=path) from None


def list_matrix(column: Any, width: int, path: str, first: int) -> np.ndarray:
    """A list column of one batch as (b, width) numbers, rows of NaN where the list or a value is null.

    Raises:
        SampleError: a list of another length; `first` is the number of the batch's first row.
    """
    lengths = np.asarray(column.value_lengths().fill_null(-1))
    odd = np.flatnonzero((lengths != width) & (lengths != -1))
    if len(odd):
        raise SampleError(f"row {first + odd[0]} has {lengths[odd[0]]} values, the rows before it {width}", where=path)
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if len(values) == len(lengths):
        return values
    rows = np.full((len(lengths), width), np.nan)
    rows[lengths != -1] = values
    return rows


class ParquetRows(FiniteRows):
    """Features in a table: one list column, or a floating column per dimension."""

    def __init__(self, path: str | Path, name: str | None) -> None:
        self._table, self._name = open_table(path), name
        self._reopens = not (isinstance(path, str) and is_url(path))
        place = _place(path)
        self._columns, self._listed = self._choose(place, name)
        width = self._list_width(place) if self._listed else len(self._columns)
        dtype = str(self._table.schema_arrow.field(self._columns[0]).type)
        super().__init__(place, self._table.metadata.num_rows, width, dtype)
        if not self.n or not width:
            raise SampleError("holds no rows", where=self.path)

    def _choose(self, path: str, name: str | None) -> tuple[list[str], bool]:
        """The columns to read, and whether it is a column of lists."""
        types = arrow().types
        fields = [field for field in self._table.schema_arrow if name in (None, field.name)]
        lists = [field.name for field in fields if is_list(types, field.type) and types.is_floating(field.type.value_type)]
        if len(lists) == 1:
            return lists, True
        floats = [field.name for field in fields if types.is_floating(field.type)]
        if lists or not floats:
            shown = ", ".join(f"{printable(field.name, 40)} ({field.type})" for field in list(self._table.schema_arrow)[:8])
            what = "several columns hold lists of numbers" if lists else "no column holds features"
            raise SampleError(
                f"{what}: {shown}", where=path, hint="Keep one column of lists, or one floating column per dimension."
            )
        return floats, False

    def _list_width(self, path: str) -> int:
        """Length of the first list there is."""
        for batch in batches(self._table, path, self._columns, 1024):
            lengths = batch.column(0).value_lengths().drop_null()
            if len(lengths):
                return int(lengths[0].as_py())
        return 0

    def raw(self, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        return self.piece(0, self._table.num_row_groups, size)

    def pieces(self, size: int) -> Iterator[Piece] | None:
        """See :class:`FiniteRows`: a row group each, however large it is; none behind a URL, whose secrets stay here."""
        if not self._reopens:
            return None
        of = [self._table.metadata.row_group(group).num_rows for group in range(self._table.num_row_groups)]
        return (Piece(self.path, self._name, group, group + 1, rows, self) for group, rows in enumerate(of))

    def piece(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """See :class:`FiniteRows`."""
        seen = sum(self._table.metadata.row_group(group).num_rows for group in range(start))
        for batch in batches(self._table, self.path, self._columns, size, range(start, stop)):
            if self._listed:
                yield list_matrix(batch.column(0), self.width, self.path, seen)
            else:
                yield np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], axis=1)
            seen += batch.num_rows


def is_list(types: Any, kind: Any) -> bool:
    """Whether values of this type are lists. types: pyarrow's module."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))

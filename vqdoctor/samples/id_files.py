"""Files of semantic IDs to entries: JSON in its dialects, JSON lines, delimited text, parquet. Tokens are read in `tokens`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from vqdoctor.errors import CorruptInput, SampleError, printable
from vqdoctor.samples.id_batches import ROWS, IdBatch, named
from vqdoctor.samples.id_cells import Grid, cells, line_stretches
from vqdoctor.samples.id_lines import LONGEST_LINE, bounded, is_json_lines, json_lines
from vqdoctor.samples.id_records import CATALOGUES, ID_FIELDS, LEVEL_FIELD, NAME_FIELDS, id_of, name_field
from vqdoctor.samples.id_writing import DEDUP
from vqdoctor.samples.json_stretches import stretches
from vqdoctor.samples.names import Names
from vqdoctor.samples.parquet import batches, open_table
from vqdoctor.samples.spool import Spool
from vqdoctor.samples.tokens import JOINED, SINGLE, Items, chunked, unframed

WITH_GAPS = re.compile(r"\d+\.0+")
"""A whole number of a column that has gaps, as pandas writes it."""
LEAST_NAMES = 16  # numbers, all different, that are rather names of items than codes
LARGEST_CODE = 1 << 20
_LOOKED_AT = 64  # lines that the columns of a table are judged by


def json_items(path: Path) -> Items:
    """Entries of a JSON file: item → tokens, a list of IDs, a list of records, or one of them under a name for
    it ("items", "codes", …).

    A file of JSON lines has one of the first three's parts a line.

    Raises:
        CorruptInput: no JSON. SampleError: JSON of something else.
    """
    with path.open("rb") as file:
        if is_json_lines(file.read(LONGEST_LINE)):
            return json_lines(path)
    field, parts = stretches(path, CATALOGUES)
    first = next(parts)
    inside = "" if field is None else f' under "{field}"'
    if isinstance(first, dict) and first:
        _check_not_inverted(first, path)
        names = Names()
        return Items(str(path), f"JSON, item → ID{inside}", _values(first, parts, names, path), names)
    if isinstance(first, list) and first:
        called = name_field(first[0])
        spelled = "IDs" if called is None else "records"
        known = None if called is None else Names()
        return Items(str(path), f"JSON, list of {spelled}{inside}", _elements(first, parts, called, known), known)
    raise SampleError(f"holds no semantic IDs{inside}", where=str(path), hint='IDs look like {"0": ["<a_12>", "<b_7>"], …}.')


def _values(first: dict[str, Any], others: Iterator[dict[str, Any]], names: Names, path: Path) -> Iterator[Any]:
    """The ID of each item; its name goes to `names`. Raises SampleError where a name comes again in a later stretch."""
    yield from map(id_of, first.values())
    names.extend(first)
    hashes = Spool(np.dtype(np.int64))
    hashes.append(_hashes(first))
    for part in others:
        yield from map(id_of, part.values())
        names.extend(part)
        hashes.append(_hashes(part))
    again = _repeated(hashes) if len(hashes) > len(first) else 0
    if again:
        raise SampleError(f"names {again} of its {len(hashes)} items again", where=str(path), hint="Each item needs its own name.")


def _hashes(names: Iterable[str]) -> np.ndarray:
    return np.fromiter(map(hash, names), np.int64)


def _repeated(hashes: Spool) -> int:
    """How many were there before; a sixteenth of them is in memory at a time."""
    again = 0
    for sixteenth in range(-8, 8):
        mine = np.concatenate([block[block >> 60 == sixteenth] for block in hashes.blocks()])
        again += len(mine) - len(np.unique(mine))
    return again


def _elements(first: list[Any], others: Iterator[list[Any]], field: str | None, names: Names | None) -> Iterator[Any]:
    """The ID of each element; what its `field` says goes to `names`."""
    row = count()
    for part in chain([first], others):
        if field is not None and names is not None:
            numbered = zip(part, row, strict=False)
            names.extend([str(record.get(field, at)) if isinstance(record, dict) else str(at) for record, at in numbered])
        yield from map(id_of, part)


def _check_not_inverted(held: dict[str, Any], path: Path) -> None:
    key, value = next(iter(held.items()))
    spelled = isinstance(value, str) and JOINED.fullmatch(unframed(value))
    if key.startswith("<") and JOINED.fullmatch(unframed(key)) and not spelled:
        raise SampleError("maps IDs to items, not items to IDs", where=str(path), hint="Turn it round: {item: ID}.")


def csv_items(path: Path) -> Items:
    """Entries of delimited text: one column a level, or one of joined tokens; a header, item names and other columns as they come.

    Raises:
        CorruptInput: no UTF-8 text. SampleError: no column holds IDs.
    """
    delimiter = _delimiter(path)
    header, sample = table_head(path)
    has_header = bool(header)
    columns, name = _id_columns(header, sample, str(path))
    names = None if name is None else Names()
    table = _Table(path, delimiter, has_header, tuple(columns), name, names)
    return Items(str(path), _spelled(columns, header), table.items(), names, 1 + has_header, table.blocks())


def table_head(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns of delimited text, [] where it has none, and its first rows.

    Raises:
        CorruptInput: no UTF-8 text. SampleError: nothing in it.
    """
    head = [[*map(unframed, row)] for _, row in zip(range(_LOOKED_AT), _lines(path, _delimiter(path)), strict=False)]
    if not head:
        raise SampleError("holds no lines", where=str(path))
    has_header = not any(SINGLE.fullmatch(cell.strip()) or JOINED.fullmatch(cell.strip()) for cell in head[0])
    return (head[0], head[1:]) if has_header else ([], head)


def _spelled(columns: list[int], header: Sequence[str]) -> str:
    called = [printable(header[column], 20) for column in columns[:4] if column < len(header)]
    named = f" ({', '.join(called)})" if called else ""
    return f"table, one column of joined tokens{named}" if len(columns) == 1 else f"table, {len(columns)} columns{named}"


def _delimiter(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(1 << 16)
    outside = re.sub(r'"[^"]*"|<[^<>]*>', "", line)
    return max("\t,;", key=outside.count)


def _lines(path: Path, delimiter: str, start: int = 0) -> Iterator[list[str]]:
    """Non-empty lines as cells. start: where in the file to begin."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            file.seek(start)
            yield from (row for row in csv.reader(bounded(file, path), delimiter=delimiter) if any(row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptInput(f"is not readable as text ({printable(error, 80)})", where=str(path)) from None


@dataclass(frozen=True, slots=True)
class _Table:
    """Delimited text whose columns are known.

    Attributes:
        columns: those of the ID. name: the one that names the item, for `names`.
    """

    path: Path
    delimiter: str
    has_header: bool
    columns: tuple[int, ...]
    name: int | None
    names: Names | None

    def items(self, start: int = 0, first: int | None = None) -> Iterator[list[str] | str]:
        """The ID of each line; its name goes to `names`. start: where in the file to begin; first: the number of that line."""
        lines = _lines(self.path, self.delimiter, start)
        if self.has_header and not start:
            next(lines)
        yield from self._cells(lines, 1 + self.has_header if first is None else first)

    def blocks(self) -> Iterator[Grid | list[Any]]:
        """The IDs by columns; from where lines are not alike, line by line."""
        number = 1 + self.has_header
        for start, text in line_stretches(self.path):
            found = self._grid(text if start else self._body(text))
            if found is None:
                yield from chunked(self.items(start, number))
                return
            yield found
            number += len(found.values)

    def _body(self, text: bytes) -> bytes:
        """What follows the header; nothing, where that is not plainly the first line."""
        end = text.find(b"\n") + 1 if self.has_header else 0
        header = cells(text[:end], self.delimiter)
        return text[end:] if not self.has_header or (header is not None and header.filled) else b""

    def _grid(self, text: bytes) -> Grid | None:
        """The IDs of whole lines, their names to `names`; None where they are not alike, or an ID is one cell."""
        found = cells(text, self.delimiter) if len(self.columns) > 1 else None
        if found is None or max(*self.columns, self.name or 0) >= found.width:
            return None
        grid = found.grid(self.columns)
        if grid is not None and self.names is not None and self.name is not None:
            self.names.extend(found.column(self.name))
        return grid

    def _cells(self, lines: Iterator[list[str]], first: int) -> Iterator[list[str] | str]:
        """The ID of each line. first: the number of the first."""
        for number, row in enumerate(lines, start=first):
            if len(row) <= self.columns[0]:
                what = f"line {number} has {len(row)} columns, IDs begin in column {self.columns[0] + 1}"
                raise SampleError(what, where=str(self.path))
            if self.names is not None and self.name is not None:
                self.names.append(row[self.name] if self.name < len(row) else str(number))
            found = [row[column].strip() for column in self.columns if column < len(row)]
            while found and not found[-1]:  # an empty last cell: an item without a de-duplication token
                found.pop()
            yield found[0] if len(self.columns) == 1 and found else found


def _id_columns(header: Sequence[str], sample: list[list[str]], path: str) -> tuple[list[int], int | None]:
    """Columns that hold the ID, and the one that names the item."""
    columns = [[row[at].strip() for row in sample if at < len(row)] for at in range(max(map(len, sample), default=0))]
    first = [next(filter(None, cells), "") for cells in columns]  # what comes later must be like it, or is an error of its line
    joined = [at for at, cell in enumerate(first) if JOINED.fullmatch(cell)]
    single = [at for at, cell in enumerate(first) if not cell or SINGLE.fullmatch(cell)]
    if header:
        levels = [at for at, called in enumerate(header[: len(first)]) if LEVEL_FIELD.fullmatch(called.strip())]
        known = [at for at in levels if at in single or WITH_GAPS.fullmatch(first[at])] if {*levels} & {*single} else []
        single = known or [at for at in single if any(columns[at]) and at < len(header) and header[at].strip().lower() in ID_FIELDS]
    elif len(single) > 1 and _names_items(columns[single[0]]):
        single = single[1:]
    chosen = joined[:1] or single
    if not chosen:
        hint = 'One column a level ("c0,c1,c2") or one of joined tokens ("<a_1><b_2>").'
        raise SampleError("no column holds semantic IDs", where=path, hint=hint)
    others = [at for at in range(len(columns)) if at not in chosen]
    named = [at for at in others if header and at < len(header) and header[at].strip().lower() in NAME_FIELDS]
    return chosen, next(iter(named or others), None)


def _names_items(cells: list[str]) -> bool:
    """A column of numbers that names the items: a running number, or many, none twice, in order or larger than codes are."""
    if cells in ([str(row + first) for row in range(len(cells))] for first in (0, 1)):
        return True
    if len(cells) < LEAST_NAMES or len({*cells}) < len(cells) or not all(cell.isascii() and cell.isdigit() for cell in cells):
        return False
    numbers = [int(cell[:18]) for cell in cells]
    return numbers == sorted(numbers) or max(numbers) >= LARGEST_CODE


def parquet_items(path: Path) -> Items:
    """Entries of a table: a list or string column named like IDs, or one column a level.

    Raises:
        CorruptInput, UnsupportedInput: no parquet, no pyarrow. SampleError: no column holds IDs.
    """
    table = open_table(path)
    fields = {field.name: str(field.type) for field in table.schema_arrow}
    whole = [name for name, kind in fields.items() if name.lower() in ID_FIELDS and ("list" in kind or "string" in kind)]
    whole = whole or [name for name, kind in fields.items() if "list" in kind and "int" in kind]
    columns = whole[:1] or _level_columns(fields)
    if not columns:
        shown = ", ".join(f"{printable(name, 40)} ({kind})" for name, kind in list(fields.items())[:8])
        raise SampleError(
            f"no column holds semantic IDs: {shown}", where=str(path), hint='Name it "codes", or one column a level: "c0", "c1".'
        )
    name = next((name for name in fields if name.lower() in NAME_FIELDS and name not in columns), None)
    names = None if name is None else Names()
    spelled = f"parquet, {', '.join(printable(column, 20) for column in columns[:4])}"
    wanted = columns if name is None else [*columns, name]

    def read() -> Iterator[IdBatch]:
        for batch in batches(table, str(path), wanted, ROWS):
            held = dict(zip(batch.schema.names, batch.columns, strict=True))
            if names is not None:
                names.extend(named(held[name]))
            yield IdBatch([held[column] for column in columns], columns[-1] == DEDUP)

    blocks = (part for batch in read() for part in ([batch] if batch.is_plain else chunked(batch.items())))
    return Items(str(path), spelled, (item for batch in read() for item in batch.items()), names, 1, blocks)


def _level_columns(fields: Mapping[str, str]) -> list[str]:
    """One a level; beside those of whole numbers also one with gaps, which pandas writes as floats."""
    levels = [name for name in fields if LEVEL_FIELD.fullmatch(name)]
    whole = any("int" in fields[name] for name in levels)
    found = [name for name in levels if "int" in fields[name] or (whole and fields[name] in ("float", "double"))]
    return [*found, DEDUP] if found and "int" in fields.get(DEDUP, "") else found

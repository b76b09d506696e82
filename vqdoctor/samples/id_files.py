"""Files of semantic IDs to entries: JSON in its dialects, delimited text, parquet. Tokens are read in `tokens`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vqdoctor.errors import CorruptInput, LimitExceeded, SampleError, printable
from vqdoctor.samples.json_stretches import stretches
from vqdoctor.samples.names import Names
from vqdoctor.samples.parquet import batches, open_table
from vqdoctor.samples.spool import Spool
from vqdoctor.samples.tokens import JOINED, SINGLE, Items, unframed

LONGEST_LINE = 1 << 20  # characters
_LOOKED_AT = 64  # lines that the columns of a table are judged by
_ID_FIELDS = ("codes", "sid", "semantic_id", "semantic_ids", "tokens", "code", "sids")
_INNER = ("items", "semantic_ids")  # keys that a whole catalogue is under
_NAME_FIELDS = ("item_id", "item", "id", "pid", "asin", "iid", "sku", "name", "key", "title", "index", "")
_LEVEL_FIELD = re.compile(r"(?i)[a-z_ -]*\d+|[a-h]")


def json_items(path: Path) -> Items:
    """Entries of a JSON file: item → tokens, a list of IDs, a list of records, or any of these under "items" or "semantic_ids".

    Raises:
        CorruptInput: no JSON. SampleError: JSON of something else.
    """
    field, parts = stretches(path, _INNER)
    first = next(parts)
    inside = "" if field is None else f' under "{field}"'
    if isinstance(first, dict) and first:
        _check_not_inverted(first, path)
        names = Names()
        return Items(str(path), f"JSON, item → ID{inside}", _values(first, parts, names, path), names)
    if isinstance(first, list) and first:
        called = _name_field(first[0])
        spelled = "IDs" if called is None else "records"
        known = None if called is None else Names()
        return Items(str(path), f"JSON, list of {spelled}{inside}", _elements(first, parts, called, known), known)
    raise SampleError(f"holds no semantic IDs{inside}", where=str(path), hint='IDs look like {"0": ["<a_12>", "<b_7>"], …}.')


def _values(first: dict[str, Any], others: Iterator[dict[str, Any]], names: Names, path: Path) -> Iterator[Any]:
    """The ID of each item; its name goes to `names`. Raises SampleError where a name comes again in a later stretch."""
    yield from map(_id_of, first.values())
    names.extend(first)
    hashes = Spool(np.dtype(np.int64))
    hashes.append(_hashes(first))
    for part in others:
        yield from map(_id_of, part.values())
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
        yield from map(_id_of, part)


def _id_of(entry: Any) -> Any:
    """The ID inside a record; anything else is left to whoever reads the tokens."""
    if isinstance(entry, dict):
        return next((entry[field] for field in _ID_FIELDS if field in entry), entry.values())
    return entry


def _name_field(record: Any) -> str | None:
    """The field of a record that looks like a name; None where it has none, or is no record."""
    return next((field for field in _NAME_FIELDS if field in record), None) if isinstance(record, dict) else None


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
    head = [[*map(unframed, row)] for _, row in zip(range(_LOOKED_AT), _lines(path, delimiter), strict=False)]
    if not head:
        raise SampleError("holds no lines", where=str(path))
    has_header = not any(SINGLE.fullmatch(cell.strip()) or JOINED.fullmatch(cell.strip()) for cell in head[0])
    header, sample = (head[0], head[1:]) if has_header else ([], head)
    columns, name = _id_columns(header, sample, str(path))
    names = None if name is None else Names()
    return Items(
        str(path), _spelled(columns, header), _cells(path, delimiter, has_header, columns, name, names), names, 1 + has_header
    )


def _spelled(columns: list[int], header: Sequence[str]) -> str:
    called = [printable(header[column], 20) for column in columns[:4] if column < len(header)]
    named = f" ({', '.join(called)})" if called else ""
    return f"table, one column of joined tokens{named}" if len(columns) == 1 else f"table, {len(columns)} columns{named}"


def _delimiter(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(1 << 16)
    outside = re.sub(r'"[^"]*"|<[^<>]*>', "", line)
    return max("\t,;", key=outside.count)


def _lines(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Non-empty lines as cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (row for row in csv.reader(_bounded(file, path), delimiter=delimiter) if any(row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptInput(f"is not readable as text ({printable(error, 80)})", where=str(path)) from None


def _bounded(file: TextIO, path: Path) -> Iterator[str]:
    """Lines, none longer than LONGEST_LINE.

    Raises:
        LimitExceeded: one is.
    """
    for number in count(1):
        line = file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise LimitExceeded(f"line {number} is longer than {LONGEST_LINE >> 20} MiB", where=str(path), hint="Is it a table?")
        if not line:
            return
        yield line


def _cells(
    path: Path, delimiter: str, has_header: bool, columns: list[int], name: int | None, names: Names | None
) -> Iterator[list[str] | str]:
    """The ID of each line; its name goes to `names`."""
    lines = _lines(path, delimiter)
    if has_header:
        next(lines)
    for number, row in enumerate(lines, start=1 + has_header):
        if len(row) <= columns[0]:
            raise SampleError(f"line {number} has {len(row)} columns, IDs begin in column {columns[0] + 1}", where=str(path))
        if names is not None and name is not None:
            names.append(row[name] if name < len(row) else str(number))
        cells = [row[column].strip() for column in columns if column < len(row)]
        while cells and not cells[-1]:  # an empty last cell: an item without a de-duplication token
            cells.pop()
        yield cells[0] if len(columns) == 1 and cells else cells


def _id_columns(header: Sequence[str], sample: list[list[str]], path: str) -> tuple[list[int], int | None]:
    """Columns that hold the ID, and the one that names the item."""
    columns = [[row[at].strip() for row in sample if at < len(row)] for at in range(max(map(len, sample), default=0))]
    first = [next(filter(None, cells), "") for cells in columns]  # what comes later must be like it, or is an error of its line
    joined = [at for at, cell in enumerate(first) if JOINED.fullmatch(cell)]
    single = [at for at, cell in enumerate(first) if not cell or SINGLE.fullmatch(cell)]
    if header:
        known = [at for at in single if at < len(header) and _LEVEL_FIELD.fullmatch(header[at].strip())]
        single = known or [
            at for at in single if any(columns[at]) and at < len(header) and header[at].strip().lower() in _ID_FIELDS
        ]
    elif len(single) > 1 and columns[single[0]] in ([str(row + first) for row in range(len(sample))] for first in (0, 1)):
        single = single[1:]  # a running number names the item
    chosen = joined[:1] or single
    if not chosen:
        hint = 'One column a level ("c0,c1,c2") or one of joined tokens ("<a_1><b_2>").'
        raise SampleError("no column holds semantic IDs", where=path, hint=hint)
    others = [at for at in range(len(columns)) if at not in chosen]
    named = [at for at in others if header and at < len(header) and header[at].strip().lower() in _NAME_FIELDS]
    return chosen, next(iter(named or others), None)


def parquet_items(path: Path) -> Items:
    """Entries of a table: a list or string column named like IDs, or one column a level.

    Raises:
        CorruptInput, UnsupportedInput: no parquet, no pyarrow. SampleError: no column holds IDs.
    """
    table = open_table(path)
    fields = {field.name: str(field.type) for field in table.schema_arrow}
    whole = [name for name, kind in fields.items() if name.lower() in _ID_FIELDS and ("list" in kind or "string" in kind)]
    whole = whole or [name for name, kind in fields.items() if "list" in kind and "int" in kind]
    columns = whole[:1] or [name for name, kind in fields.items() if "int" in kind and _LEVEL_FIELD.fullmatch(name)]
    if not columns:
        shown = ", ".join(f"{printable(name, 40)} ({kind})" for name, kind in list(fields.items())[:8])
        raise SampleError(
            f"no column holds semantic IDs: {shown}", where=str(path), hint='Name it "codes", or one column a level: "c0", "c1".'
        )
    name = next((name for name in fields if name.lower() in _NAME_FIELDS and name not in columns), None)
    names = None if name is None else Names()
    return Items(
        str(path),
        f"parquet, {', '.join(printable(column, 20) for column in columns[:4])}",
        _records(table, path, columns, name, names),
        names,
        1,
    )


def _records(table: Any, path: Path, columns: list[str], name: str | None, names: Names | None) -> Iterator[Any]:
    """The ID of each row; its name goes to `names`."""
    wanted = columns if name is None else [*columns, name]
    for batch in batches(table, str(path), wanted, 1 << 16):
        held = batch.to_pydict()
        if names is not None and name is not None:
            names.extend(map(str, held[name]))
        yield from held[columns[0]] if len(columns) == 1 else zip(*(held[column] for column in columns), strict=True)

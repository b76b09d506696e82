"""Files of semantic IDs to entries: JSON in its dialects, JSON lines, delimited text, parquet. Tokens are read in `tokens`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import orjson

from vqdoctor.errors import CorruptInput, LimitExceeded, SampleError, printable
from vqdoctor.samples.names import Names
from vqdoctor.samples.parquet import batches, open_table
from vqdoctor.samples.tokens import JOINED, SINGLE, Items, unframed

LARGEST_JSON = 4 << 30
LONGEST_LINE = 1 << 20  # characters
MOST_TOKENS = 64  # of an ID; a longer list is something else
_LOOKED_AT = 64  # lines that the columns of a table are judged by
_ID_FIELDS = ("codes", "sid", "semantic_id", "semantic_ids", "tokens", "code", "sids")
_INNER = ("items", "semantic_ids")  # keys that a whole catalogue is under
_NAME_FIELDS = ("item_id", "item", "id", "pid", "asin", "iid", "sku", "name", "key", "title", "index", "")
_LEVEL_FIELD = re.compile(r"(?i)[a-z_ -]*\d+|[a-h]")


def json_items(path: Path) -> Items:
    """Entries of a JSON file: item → tokens, a list of IDs, a list of records, or any of these under "items" or "semantic_ids".

    A file of JSON lines has one of the first three's parts a line.

    Raises:
        CorruptInput: no JSON. SampleError: JSON of something else.
    """
    with path.open("rb") as file:
        if is_json_lines(file.read(LONGEST_LINE)):
            return _json_lines(path)
    if path.stat().st_size > LARGEST_JSON:
        raise LimitExceeded(
            f"is larger than {LARGEST_JSON >> 30} GiB of JSON", where=str(path), hint="Save the IDs as .npy or .parquet."
        )
    try:
        data = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise CorruptInput(f"is no JSON: {printable(error, 120)}", where=str(path)) from None
    field = next((name for name in _INNER if isinstance(data, dict) and isinstance(data.get(name), dict | list)), None)
    held = data if field is None else data[field]
    inside = "" if field is None else f' under "{field}"'
    if isinstance(held, dict) and held:
        _check_not_inverted(held, path)
        return Items(str(path), f"JSON, item → ID{inside}", map(_id_of, held.values()), list(held))
    if isinstance(held, list) and held:
        names = _record_names(held)
        return Items(str(path), f"JSON, list of {'records' if names else 'IDs'}{inside}", map(_id_of, held), names)
    raise SampleError(f"holds no semantic IDs{inside}", where=str(path), hint='IDs look like {"0": ["<a_12>", "<b_7>"], …}.')


def is_json_lines(head: bytes) -> bool:
    """Whether a file that begins like this has an ID a line: a list of tokens, a record with one, or ``{item: ID}``."""
    lines = [line.strip() for line in head.split(b"\n", 2)[:2]]
    if len(lines) < 2 or not lines[0] or lines[0][:1] != lines[1][:1]:
        return False
    try:
        entry = orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return False
    if isinstance(entry, dict) and len(entry) > 1 and entry.keys().isdisjoint(_ID_FIELDS):
        return False  # numbers under several names: a log has such lines
    found = _named(entry)[1]
    if isinstance(found, str):
        return JOINED.fullmatch(unframed(found)) is not None
    tokens = found if isinstance(found, list) and len(found) <= MOST_TOKENS else []
    return bool(tokens) and all(type(token) in (int, str) and SINGLE.fullmatch(str(token)) for token in tokens)


def _named(entry: Any) -> tuple[Any, Any]:
    """Of one line: what it calls the item, None where it does not, and what should be its ID."""
    if not isinstance(entry, dict):
        return None, entry
    if len(entry) == 1 and entry.keys().isdisjoint(_ID_FIELDS):
        return next(iter(entry.items()))
    return entry.get(_name_field(entry) or ""), _id_of(entry)


def _json_lines(path: Path) -> Items:
    """Entries of a file that has one a line; messages name the line."""
    with path.open("rb") as file:
        named = _named(orjson.loads(file.readline()))[0] is not None
    names = Names() if named else None
    return Items(str(path), "JSON lines, an ID each", _line_entries(path, names), names, 1)


def _line_entries(path: Path, names: Names | None) -> Iterator[Any]:
    """The ID of each line; its name goes to `names`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(_bounded(file, path), start=1):
            if not line.strip():
                continue
            try:
                name, found = _named(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise CorruptInput(f"line {number} is no JSON: {printable(error, 120)}", where=str(path)) from None
            if names is not None:
                names.append(str(number if name is None else name))
            yield found


def _id_of(entry: Any) -> Any:
    """The ID inside a record: a field of its own, or one a level; anything else is left to whoever reads the tokens."""
    if not isinstance(entry, dict):
        return entry
    levels = [value for key, value in entry.items() if _LEVEL_FIELD.fullmatch(key)]
    return next((entry[field] for field in _ID_FIELDS if field in entry), levels or entry.values())


def _name_field(record: dict[str, Any]) -> str | None:
    return next((field for field in _NAME_FIELDS if field in record), None)


def _record_names(records: list[Any]) -> list[str] | None:
    """Names of records, None where the first has no field that looks like one."""
    if not isinstance(records[0], dict):
        return None
    field = _name_field(records[0])
    return (
        None
        if field is None
        else [str(record.get(field, row)) if isinstance(record, dict) else str(row) for row, record in enumerate(records)]
    )


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
            for called in held[name]:
                names.append(str(called))
        yield from held[columns[0]] if len(columns) == 1 else zip(*(held[column] for column in columns), strict=True)

"""JSON lines of semantic IDs: a list of tokens a line, a record with one, or ``{item: ID}``; of any length, a line at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import orjson

from vqdoctor.errors import CorruptInput, LimitExceeded, printable
from vqdoctor.samples.id_records import holds_id, named
from vqdoctor.samples.names import Names
from vqdoctor.samples.tokens import Items

LONGEST_LINE = 1 << 20  # characters


def is_json_lines(head: bytes) -> bool:
    """Whether a file that begins like this has an ID a line."""
    lines = [line.strip() for line in head.split(b"\n", 2)[:2]]
    if len(lines) < 2 or not lines[0] or lines[0][:1] != lines[1][:1]:
        return False
    try:
        entry = orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return False
    return holds_id(entry) or (isinstance(entry, dict) and len(entry) == 1 and holds_id(named(entry)[1]))


def json_lines(path: Path) -> Items:
    """Entries of a file that has one a line; messages name the line.

    Raises:
        CorruptInput: a line is no JSON; LimitExceeded: it is too long.
    """
    with path.open("rb") as file:
        called, _ = named(orjson.loads(file.readline().strip()))
    names = None if called is None else Names()
    return Items(str(path), "JSON lines, an ID each", _entries(path, names), names, 1)


def _entries(path: Path, names: Names | None) -> Iterator[Any]:
    """The ID of each line; its name goes to `names`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(bounded(file, path), start=1):
            if not line.strip():
                continue
            try:
                name, found = named(orjson.loads(line.strip()))
            except orjson.JSONDecodeError as error:
                raise CorruptInput(f"line {number} is no JSON: {printable(error, 120)}", where=str(path)) from None
            if names is not None:
                names.append(str(number if name is None else name))
            yield found


def bounded(file: TextIO, path: Path) -> Iterator[str]:
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

"""JSON lines with any keys: a row a line. Nested keys are joined by dots; `rows` finds steps, times and curves."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.lines import LineCutter
from vqdoctor.logs.readers.json_values import parse
from vqdoctor.logs.readers.reader import Found, first_line
from vqdoctor.logs.rows import Rows


class JsonLines:
    """The reader; see `Reader`."""

    name: ClassVar[str] = "jsonl"
    by_lines: ClassVar[bool] = True

    def __init__(self) -> None:
        self.faults = Faults()
        self._cutter = LineCutter(self.faults)
        self._rows = Rows(self.faults)

    @property
    def held(self) -> int:
        """Bytes of a partial last line."""
        return self._cutter.held

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """A first line that is an object, or a name that says so where that line is broken."""
        line = first_line(head)
        return line.startswith(b"{") and (name.endswith((".jsonl", ".ndjson")) or isinstance(parse(line), dict))

    def feed(self, data: bytes) -> list[Found]:
        """Rows of the lines that `data` completes."""
        return self._read(self._cutter.cut(data))

    def finish(self) -> list[Found]:
        """The row of a last line without an end."""
        return self._read(self._cutter.rest())

    def _read(self, lines: list[bytes]) -> list[Found]:
        self._rows.add(objects(lines, self.faults))
        return list(self._rows.take())


def objects(lines: list[bytes], faults: Faults) -> list[dict[str, Any]]:
    """The objects that are on `lines`, one a line; anything else that is not blank is counted."""
    try:
        rows = list(map(orjson.loads, lines))  # the usual case, without a look at each line
        if set(map(type, rows)) <= {dict} and all(rows):
            return rows
    except orjson.JSONDecodeError:
        pass
    values = [parse(line) for line in lines if line and not line.isspace()]
    rows = [value for value in values if type(value) is dict and value]
    faults.add("line", len(values) - len(rows))
    return rows

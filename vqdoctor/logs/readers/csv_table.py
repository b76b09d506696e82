"""CSV and TSV: Lightning's `metrics.csv` and its kind. Most cells are empty, and the header may come again with more columns.

Lightning rewrites the whole file when a new metric appears: to the follower that is another file. Loggers that append print the
header again: a row of names among rows of numbers.
"""

from __future__ import annotations

import csv
from typing import ClassVar

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.lines import LIMIT, LineCutter
from vqdoctor.logs.numbers import number
from vqdoctor.logs.readers.reader import Found, first_line
from vqdoctor.logs.rows import COARSE, FINE, Rows

ENDS = ("__MIN", "__MAX")
"""Of the columns that wandb exports beside each other one: of the points that it thinned away."""
DELIMITERS = (",", "\t", ";")


class CsvTable:
    """The reader; see `Reader`."""

    name: ClassVar[str] = "csv"
    by_lines: ClassVar[bool] = True

    def __init__(self) -> None:
        self.faults = Faults()
        self._cutter = LineCutter(self.faults)
        self._rows = Rows(self.faults)
        self._header: list[str] = []
        self._delimiter = ","
        self._open = ""  # a record whose quoted cell goes on in the next line
        self._open_bytes = 0

    @property
    def held(self) -> int:
        """Bytes of an unfinished record."""
        return self._cutter.held + self._open_bytes

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """A name that says so, or a first line of names one of which is a step or an epoch."""
        line = first_line(head).decode("utf-8", errors="replace")
        if name.endswith((".csv", ".tsv")):
            return not line.startswith("{")
        cells = _cells(line, _delimiter_of(line))
        return len(cells) > 1 and _is_header(cells) and any(cell.lower() in FINE + COARSE for cell in cells)

    def feed(self, data: bytes) -> list[Found]:
        """Rows of the lines that `data` completes."""
        return self._read(self._cutter.cut(data))

    def finish(self) -> list[Found]:
        """The row of a last line without an end."""
        found = self._read(self._cutter.rest())
        if self._open:
            self._open, self._open_bytes = "", 0
            self.faults.add("line")
        return found

    def _read(self, lines: list[bytes]) -> list[Found]:
        rows = [self._row(record) for line in lines if (record := self._record(line))]
        self._rows.add([row for row in rows if row])
        return list(self._rows.take())

    def _record(self, line: bytes) -> str:
        """The record that `line` completes, "" while a quoted cell is open."""
        text = self._open + line.decode("utf-8-sig", errors="replace").rstrip("\r")
        if text.count('"') % 2 and len(text) < LIMIT:
            self._open, self._open_bytes = text + "\n", self._open_bytes + len(line) + 1
            return ""
        self._open, self._open_bytes = "", 0
        return "" if text.isspace() else text

    def _row(self, record: str) -> dict[str, float]:
        """Numbers of a record by column; empty where it is a header or broken."""
        if not self._header:
            self._delimiter = _delimiter_of(record)
        cells = _cells(record, self._delimiter)
        if not self._header and all(number(cell) is not None for cell in cells):
            self._header = [f"column {i}" for i in range(len(cells))]
        elif not self._header or (_is_header(cells) and not set(cells).isdisjoint(self._header)):
            self._header = cells
            return {}
        if len(cells) != len(self._header):
            self.faults.add("line")
            return {}
        return {
            name: value
            for name, cell in zip(self._header, cells, strict=True)
            if not name.endswith(ENDS) and (value := number(cell)) is not None
        }


def _cells(record: str, delimiter: str) -> list[str]:
    if '"' in record:
        try:
            return [cell.strip() for cell in next(csv.reader([record], delimiter=delimiter), [])]
        except csv.Error:  # a cell over the limit of the csv module
            return []
    return [cell.strip() for cell in record.split(delimiter)]


def _is_header(cells: list[str]) -> bool:
    """Whether all cells are names: none empty, none a number."""
    return bool(cells) and all(cell and number(cell) is None for cell in cells)


def _delimiter_of(line: str) -> str:
    return max(DELIMITERS, key=line.count)

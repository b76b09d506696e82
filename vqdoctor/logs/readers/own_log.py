"""Our own log, `vqdoctor.log/1` (contract §7): the names in it are ours already, with quantiser and level beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.lines import LineCutter
from vqdoctor.logs.numbers import number
from vqdoctor.logs.readers.json_lines import objects
from vqdoctor.logs.readers.json_values import parse
from vqdoctor.logs.readers.reader import Found, first_line
from vqdoctor.logs.rows import Place, Shape, Table, blocks, floats
from vqdoctor.model import Event, SeriesKey

SCHEMA = "vqdoctor.log/1"
KINDS = ("metrics", "scalars")
MOST_LEVELS = 1 << 31
CODES = 1 << 20  # pairs of one usage line that are kept


class OwnLog:
    """The reader; see `Reader`."""

    name: ClassVar[str] = SCHEMA
    by_lines: ClassVar[bool] = True

    def __init__(self) -> None:
        self.faults = Faults()
        self._cutter = LineCutter(self.faults)
        self._table = Table(self.faults)
        self._count = 0

    @property
    def held(self) -> int:
        """Bytes of a partial last line."""
        return self._cutter.held

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """A first line that names the schema."""
        line = first_line(head)
        value = parse(line) if SCHEMA.encode() in line else None
        return isinstance(value, dict) and value.get("schema") == SCHEMA

    def feed(self, data: bytes) -> list[Found]:
        """Points and events of the lines that `data` completes."""
        return self._read(self._cutter.cut(data))

    def finish(self) -> list[Found]:
        """Those of a last line without an end."""
        return self._read(self._cutter.rest())

    def _read(self, lines: list[bytes]) -> list[Found]:
        events: list[Found] = []
        groups: dict[tuple[Any, ...], tuple[list[int], list[dict[str, Any]]]] = defaultdict(lambda: ([], []))
        for ordinal, row in enumerate(objects(lines, self.faults), self._count):
            values = row.get("values")
            if type(values) is dict and row.get("kind") in KINDS:
                quantizer, level = row.get("quantizer"), row.get("level")
                if type(quantizer) is not str or type(level) is not int or not 0 <= level < MOST_LEVELS:
                    quantizer, level = None, None
                ordinals, rows = groups[quantizer, level, len(values)]
                ordinals.append(ordinal)
                rows.append(row)
            elif (event := _event(row)) is not None:
                events.append(event)
            else:
                self.faults.add("line")
        self._count += len(lines)
        for (quantizer, level, width), (ordinals, rows) in groups.items():
            if width:
                self._add(rows, np.array(ordinals), SeriesKey("", quantizer, level))
        return [*self._table.take(), *events]

    def _add(self, rows: list[dict[str, Any]], ordinals: np.ndarray, about: SeriesKey) -> None:
        """Metrics or scalars of one level, each with as many values."""
        steps, times = (floats([row.get(name) for row in rows]) for name in ("step", "time"))
        place = Place(ordinals, steps, times)
        for block, where in blocks([row["values"] for row in rows], _shape):
            self._table.add(block, place.only(where), about)


def _shape(values: Mapping[str, Any]) -> Shape:
    return Shape.of(values, axes=False)


def _event(row: Mapping[str, Any]) -> Event | None:
    """The event of a line that holds no metrics, None where it is none that is known."""
    kind, step, time = row.get("kind"), number(row.get("step")), number(row.get("time"))
    if kind == "event":
        detail = row.get("detail")
        return Event(str(row.get("event")), step, detail if isinstance(detail, dict) else {}, time)
    if kind == "run":
        return Event("run", step, {key: row.get(key) for key in ("run", "config")}, time)
    if kind == "usage":
        return _usage(row, step, time)
    return None


def _usage(row: Mapping[str, Any], step: float | None, time: float | None) -> Event | None:
    counts = row.get("counts")
    if not isinstance(counts, list) or len(counts) > CODES:
        return None
    pairs = [pair for pair in counts if isinstance(pair, list) and len(pair) == 2 and all(type(part) is int for part in pair)]
    detail = {key: row.get(key) for key in ("quantizer", "level", "codes")}
    return Event("usage", step, detail | {"counts": pairs}, time)

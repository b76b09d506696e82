"""Our own log, `vqdoctor.log/1` (contract §7): the names in it are ours already, with quantiser and level beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.lines import LineCutter
from vqdoctor.logs.numbers import number
from vqdoctor.logs.readers.json_lines import objects
from vqdoctor.logs.readers.json_values import parse
from vqdoctor.logs.readers.reader import Found, first_line
from vqdoctor.logs.rows import Block, Place, Shape, Table, floats
from vqdoctor.model import Event, SeriesKey

SCHEMA = "vqdoctor.log/1"
_MEASURED = itemgetter("kind", "step", "values")
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
        groups: dict[tuple[Any, ...], list[tuple[int, Any, Any, dict[str, Any]]]] = defaultdict(list)
        for count, row in enumerate(objects(lines, self.faults), self._count):
            try:
                kind, step, values = _MEASURED(row)
            except KeyError:
                kind, step, values = row.get("kind"), row.get("step"), row.get("values")
            if type(values) is dict and (kind == "metrics" or kind == "scalars"):
                quantizer, level = row.get("quantizer"), row.get("level")
                if type(quantizer) is not str or type(level) is not int:
                    quantizer, level = _about(quantizer, level)
                groups[quantizer, level, *values].append((count, step, row.get("time"), values))
            elif (event := _event(row)) is not None:
                events.append(event)
            else:
                self.faults.add("line")
        self._count += len(lines)
        for (quantizer, level, *names), members in groups.items():
            ordinals, steps, times, values = zip(*members, strict=True)
            if names:
                place = Place(np.array(ordinals), floats(steps), floats(times))
                self._table.add(Block.of(values, Shape.of(values[0], axes=False)), place, SeriesKey("", quantizer, level))
        return [*self._table.take(), *events]


def _about(quantizer: object, level: object) -> tuple[str | None, int | None]:
    return quantizer if isinstance(quantizer, str) else None, level if type(level) is int else None


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

"""The few protobuf messages of a run file that hold numbers, by field number (wandb/proto/wandb_internal.proto)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

HISTORY, RUN, EXIT = 2, 17, 18  # of Record
ITEM, STEP = 1, 2  # of HistoryRecord
KEY, NESTED, INTEGER, NUMBER, JSON = 1, 2, 5, 6, 16  # of HistoryItem and ConfigItem
CONFIG, UPDATE, NAME = 4, 1, 8  # of RunRecord, of ConfigRecord
DEEPEST = 100_000  # characters of a value that is read


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a message: whole numbers for varints, bytes for all else.

    Raises:
        ValueError: it is no message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield tag >> 3, data[at : at + size]
        at += size


def named_value(message: bytes) -> tuple[str, Any]:
    """Name, nested names joined by points, and value of an item; None where it is neither a number nor JSON."""
    key, nested, value = "", [], None
    for number, content in fields(message):
        if number == KEY and isinstance(content, bytes):
            key = content.decode("utf-8", "replace")
        elif number == NESTED and isinstance(content, bytes):
            nested.append(content.decode("utf-8", "replace"))
        elif number == INTEGER and isinstance(content, int):
            value = signed(content)
        elif number == NUMBER and isinstance(content, bytes):
            value = struct.unpack("<d", content)[0]
        elif number == JSON and isinstance(content, bytes):
            value = _json(content)
    return ".".join(nested) or key, value


def signed(number: int) -> int:
    """A varint as int64."""
    return number - (1 << 64) if number >> 63 else number


def _json(content: bytes) -> Any:
    """The value; None where it is none, or too long to be a number or a setting."""
    try:
        return json.loads(content) if len(content) <= DEEPEST else None
    except (ValueError, RecursionError):
        return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number is too long")

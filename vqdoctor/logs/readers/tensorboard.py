"""TensorBoard event files: the framing of TFRecord and the few fields of `Event` that hold scalars, without protobuf.

A record is a length (8 bytes), its CRC-32C, the payload, its CRC-32C. A wrong length checksum means that the place of everything
after it is unknown: reading stops there and says so. A wrong payload checksum concerns one record. A short record is one that is
still being written. Field numbers: tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.gather import Gatherer
from vqdoctor.logs.readers.reader import Found
from vqdoctor.model import SeriesKey

LIMIT = 1 << 20  # bytes of a record that is read; images and graphs are longer, scalars never
HEADER = 12
TAGS = 1 << 20  # bytes of tags that are remembered; no store takes that many series
_LENGTH = struct.Struct("<QI")
_CHECK = struct.Struct("<I")
_TENSOR_TYPES = {1: "f", 2: "d"}  # DT_FLOAT, DT_DOUBLE


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, rotated and offset as TFRecord stores it.

    Example:
        >>> hex(masked_crc32c(b"123456789"))
        '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class EventFile:
    """The reader; see `Reader`.

    Args:
        check: True to check payloads too, which costs far more than reading them.
    """

    name: ClassVar[str] = "tensorboard"
    by_lines: ClassVar[bool] = False

    def __init__(self, *, check: bool = False) -> None:
        self.faults = Faults()
        self._check = check
        self._gather = Gatherer()
        self._keys: dict[bytes, SeriesKey] = {}
        self._tags = 0  # bytes of them
        self._pending = b""
        self._skip = 0  # bytes of an over-long record still to come
        self._broken = False
        self._count = 0

    @property
    def held(self) -> int:
        """Bytes of a record still being written."""
        return len(self._pending)

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """A name that says so, or a length with a right checksum."""
        return "tfevents" in name or (len(head) >= HEADER and _length(head, 0) is not None)

    def feed(self, data: bytes) -> list[Found]:
        """Scalars of the records that `data` completes."""
        if self._broken:
            return []
        if self._skip:
            self._skip, data = max(0, self._skip - len(data)), data[self._skip :]
        data, at = self._pending + data, 0
        while len(data) - at >= HEADER:
            length = _length(data, at)
            if length is None:
                self._broken = True
                self.faults.add("broken")
                at = len(data)
                break
            end = at + HEADER + length + 4
            if length > LIMIT:
                self.faults.add("large")
                self._skip = max(0, end - len(data))
            elif end > len(data):
                break
            else:
                self._record(data[at + HEADER : end - 4], data[end - 4 : end])
            at = min(end, len(data))
        self._pending = data[at:]
        return list(self._gather.take())

    def finish(self) -> list[Found]:
        """Nothing: a cut record holds no scalar."""
        self._pending, self._skip = b"", 0
        return []

    def _record(self, payload: bytes, stored: bytes) -> None:
        if self._check and _CHECK.unpack(stored)[0] != masked_crc32c(payload):
            self.faults.add("record")
            return
        try:
            time, step, scalars = _event(payload)
        except (IndexError, struct.error, ValueError):
            self.faults.add("record")
            return
        for tag, value in scalars:
            key = self._keys.get(tag)
            if key is None:
                self._tags += len(tag)
                if self._tags > TAGS:
                    self._keys.clear()
                    self._tags = len(tag)
                key = self._keys[tag] = SeriesKey(tag.decode("utf-8", errors="replace"))
            self._gather.one(key, self._count, step, value, time)
        self._count += 1


def _length(data: bytes, at: int) -> int | None:
    """The length of the record at `at`, None where its checksum is wrong."""
    length, stored = _LENGTH.unpack_from(data, at)
    return length if _length_check(data[at : at + 8]) == stored else None


@lru_cache(maxsize=4096)  # a log has few different lengths
def _length_check(length: bytes) -> int:
    return masked_crc32c(length)


def _event(payload: bytes) -> tuple[float, int, list[tuple[bytes, float]]]:
    """Wall time, step and (tag, value) of each scalar of an Event message."""
    time, step, scalars = 0.0, 0, []
    for field, value in _fields(payload):
        if field == 1 and isinstance(value, bytes):
            time = struct.unpack("<d", value)[0]
        elif field == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
        elif field == 5 and isinstance(value, bytes):
            scalars += [scalar for part, item in _fields(value) if part == 1 and (scalar := _scalar(item)) is not None]
    return time, step, scalars


def _scalar(message: bytes | int) -> tuple[bytes, float] | None:
    """Tag and value of a Summary.Value that holds one number, else None."""
    tag, number = b"", None
    for field, value in _fields(message) if isinstance(message, bytes) else ():
        if field == 1 and isinstance(value, bytes):
            tag = value
        elif field == 2 and isinstance(value, bytes):
            number = struct.unpack("<f", value)[0]
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return None if number is None else (tag, number)


def _tensor(message: bytes) -> float | None:
    """The number of a TensorProto of one float or double, else None."""
    kind, content = 0, b""
    for field, value in _fields(message):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field in (4, 5, 6) and isinstance(value, bytes):  # tensor_content, float_val, double_val
            content = value
    code = _TENSOR_TYPES.get(kind)
    if code is None or len(content) != struct.calcsize(f"<{code}"):
        return None
    return float(struct.unpack(f"<{code}", content)[0])


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and values of a protobuf message: whole numbers for varints, bytes for everything else.

    Raises:
        IndexError: the message is cut off.
        ValueError: it is no message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(kind)
        if at + size > end:
            raise IndexError
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 128:
        return value, at
    value &= 127
    for shift in range(7, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError

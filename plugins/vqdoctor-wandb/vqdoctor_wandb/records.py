"""The container of a `.wandb` file: seven bytes of header, then the records of a LevelDB log, cut into blocks of 32 KiB.

A record, or each part of one, has its CRC-32 (of the kind and the bytes), its length and its kind before it. A part whose checksum
is wrong costs the record; reading goes on at the next block, as LevelDB's own reader does.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from vqdoctor.logs import Faults

HEADER = b":W&B"
START = 7  # bytes of the file's header: the four above, a magic number, a version
BLOCK = 1 << 15
LARGEST = 1 << 20  # bytes of a record that is put together; those with numbers are far shorter
_PART = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class Records:
    """Whole records of a stream that comes in pieces. faults: what was left out is counted there."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._at = 0  # of the stream: where `_pending` begins
        self._pending = b""
        self._parts: list[bytes] | None = None  # of a record that has begun; None where none has, or it is being left out

    @property
    def held(self) -> int:
        """Bytes of a part that is still being written."""
        return len(self._pending)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that `data` completes."""
        self._pending += data
        at = 0
        while (step := self._step(at)) is not None:
            size, record = step
            at += size
            if record is not None:
                yield record
        self._at, self._pending = self._at + at, self._pending[at:]

    def _step(self, at: int) -> tuple[int, bytes | None] | None:
        """Bytes to go on by from `at`, and the record that ends there; None where more must come first."""
        if self._at + at == 0:
            return (START, None) if len(self._pending) >= START else None
        left, there = BLOCK - (self._at + at) % BLOCK, len(self._pending) - at
        if left < _PART.size:
            return (left, None) if there >= left else None
        if there < _PART.size:
            return None
        stored, size, kind = _PART.unpack_from(self._pending, at)
        end = _PART.size + size
        if end > left or not FULL <= kind <= LAST:
            return self._spoilt(left) if there >= left else None
        if there < end:
            return None
        data = self._pending[at + _PART.size : at + end]
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != stored:
            return self._spoilt(left) if there >= left else None
        return end, self._joined(kind, data)

    def _spoilt(self, left: int) -> tuple[int, None]:
        self._faults.add("record")
        self._parts = None
        return left, None

    def _joined(self, kind: int, data: bytes) -> bytes | None:
        """The record where this part ends one."""
        if kind in (FULL, FIRST):
            self._parts = []
        if self._parts is None:
            return None  # the rest of one that was left out
        self._parts.append(data)
        if sum(map(len, self._parts)) > LARGEST:
            self._faults.add("large")
            self._parts = None
            return None
        if kind in (FIRST, MIDDLE):
            return None
        record, self._parts = b"".join(self._parts), None
        return record

"""The directory of a zip archive, read with suspicion: what torch.save, numpy.savez and TorchScript write, and nothing
cleverer.

Python's `zipfile` is not used: the releases around today's do not notice overlapping members (CVE-2024-0450), and it imports
much for little. Format: PKWARE APPNOTE 6.3 (central directory §4.3.12, zip64 §4.3.14 and §4.5.3).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vqdoctor.checkpoint.extents import DeflatedExtent, Extent, StoredExtent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.errors import CorruptInput, UnsupportedInput, printable

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_UTF8 = 0x0800
_DEFLATE_RATIO = 1033  # no deflate stream expands more


class Member(NamedTuple):
    """One member as the central directory has it; a plain tuple, because there are thousands.

    Attributes:
        start: of its local header. end: where the next one or the directory begins. entry: of its record in the directory.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    bytes: int
    start: int
    end: int
    entry: int


class ZipArchive:
    """Members by name, in the file's order.

    Raises:
        CorruptInput: cut off, or its parts contradict each other.
        UnsupportedInput: encrypted or split.
        LimitExceeded: too many members.
    """

    def __init__(self, file: RegularFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self.warnings: list[str] = []
        count, size, start = self._find_directory()
        limits.check("members", count)
        limits.check("header_bytes", size)
        self.members = _members(file.read(start, size), count, start)

    def extent(self, name: str, *, big_endian: bool = False) -> Extent:
        """The bytes of a member. Raises KeyError where there is none, UnsupportedInput for another compression than deflate."""
        member = self.members[name]
        if member.method == 0:
            return StoredExtent(self._file, member.bytes, lambda: self.locate(member), crc=member.crc, big_endian=big_endian)
        if member.method == 8:
            return DeflatedExtent(
                self._file, member.bytes, lambda: self.locate(member), member.packed, crc=member.crc, limits=self._limits,
                big_endian=big_endian,
            )  # fmt: skip
        raise UnsupportedInput(f"member {printable(name)} is compressed in a way (method {member.method}) that is not read.")

    def _find_directory(self) -> tuple[int, int, int]:
        """(members, bytes, position) of the central directory."""
        size = self._file.bytes
        tail_start = max(0, size - _END.size - 0xFFFF)
        tail = self._file.read(tail_start, size - tail_start)
        at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
        if at < 0:
            raise CorruptInput(
                f"a zip archive of {size:,} bytes without the directory that belongs at its end: it looks cut off.",
                hint="Download or copy it again, or take an earlier checkpoint.",
            )
        _, disk, directory_disk, here, count, length, start, comment = _END.unpack_from(tail, at)
        if disk not in (0, 0xFFFF) or directory_disk != disk or here != count:
            raise UnsupportedInput("one part of a zip archive that was split over several files.")
        if at + _END.size + comment != len(tail):
            self.warnings.append("Bytes after the end of the zip archive were ignored.")
        end = tail_start + at
        if count == 0xFFFF or length == 0xFFFFFFFF or start == 0xFFFFFFFF or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
            count, length, start, end = self._find_directory64(end)
        if start + length != end:
            raise CorruptInput("the zip directory is not where the archive says it is.", hint="Download or copy the file again.")
        return count, length, start

    def _find_directory64(self, end: int) -> tuple[int, int, int, int]:
        """(members, bytes, position, position of the zip64 end record)."""
        locator = self._file.read(max(0, end - _END64_LOCATOR.size), _END64_LOCATOR.size)
        if len(locator) == _END64_LOCATOR.size and locator.startswith(b"PK\x06\x07"):
            _, _, position, disks = _END64_LOCATOR.unpack(locator)
            record = self._file.read(position, _END64.size)
            if len(record) == _END64.size and record.startswith(b"PK\x06\x06") and disks <= 1:
                _, _, _, _, _, _, here, count, length, start = _END64.unpack(record)
                if here == count:
                    return count, length, start, position
        raise CorruptInput("the zip64 directory of the archive is broken.", hint="Download or copy the file again.")

    def locate(self, member: Member) -> int:
        """Position of the member's first byte, after its local header has been compared with the directory."""
        header = self._file.read(member.start, _LOCAL.size + len(member.raw_name))
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise CorruptInput(f"member {printable(member.name)} has no header where the zip directory points.")
        _, _, flags, method, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack_from(header)
        position = member.start + _LOCAL.size + name_length + extra_length
        same = header[_LOCAL.size :] == member.raw_name and name_length == len(member.raw_name) and method == member.method
        if not same or flags & _ENCRYPTED or position + member.packed > member.end:
            raise CorruptInput(f"member {printable(member.name)} contradicts the zip directory.")
        return position


def _members(directory: bytes, count: int, directory_start: int) -> dict[str, Member]:
    records = _records(directory, count)
    starts = sorted(record[-2] for record in records)
    ends = dict(zip(starts, [*starts, directory_start][1:], strict=True))
    if len(ends) < len(starts):
        raise CorruptInput("two members of the archive are the same bytes.")
    members: dict[str, Member] = {}
    for raw_name, flags, method, crc, packed, size, start, at in records:
        name = raw_name.decode("utf-8" if flags & _UTF8 or raw_name.isascii() else "cp437", "backslashreplace")
        if name in members:
            raise CorruptInput(f"two members are called {printable(name)}: which one counts is anybody's guess.")
        if flags & _ENCRYPTED:
            raise UnsupportedInput(f"member {printable(name)} is encrypted.")
        if start + _LOCAL.size + len(raw_name) + packed > ends[start]:
            raise CorruptInput(f"member {printable(name)} overlaps what follows it.")
        if (method == 0 and packed != size) or (method == 8 and size > _DEFLATE_RATIO * packed + 64):
            raise CorruptInput(f"member {printable(name)} cannot hold the {size:,} bytes that the zip directory claims.")
        members[name] = Member(name, raw_name, flags, method, crc, packed, size, start, ends[start], directory_start + at)
    return members


def _records(directory: bytes, count: int) -> list[tuple[bytes, int, int, int, int, int, int, int]]:
    """(name, flags, method, crc, packed bytes, bytes, start, own position) of each entry of the central directory."""
    records = []
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\x01\x02":
            raise CorruptInput("the zip directory is broken.", hint="Download or copy the file again.")
        entry = _CENTRAL.unpack_from(directory, at)
        flags, method, crc, packed, size, name_length, extra_length, comment_length = entry[3], entry[4], *entry[7:13]
        start = entry[16]
        name_end = at + _CENTRAL.size + name_length
        if 0xFFFFFFFF in (packed, size, start):
            size, packed, start = _zip64_sizes(directory[name_end : name_end + extra_length], size, packed, start)
        records.append((directory[at + _CENTRAL.size : name_end], flags, method, crc, packed, size, start, at))
        at = name_end + extra_length + comment_length
    return records


def _zip64_sizes(extra: bytes, *sizes: int) -> list[int]:
    """`sizes` with each 0xFFFFFFFF replaced by its 64-bit value from the zip64 extra field."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1 and at + 4 + length <= len(extra) and length // 8 >= sizes.count(0xFFFFFFFF):
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            return [next(wide) if size == 0xFFFFFFFF else size for size in sizes]
        at += 4 + length
    raise CorruptInput("the zip directory lacks the sizes of a large member.", hint="Download or copy the file again.")

"""The checksums of a zip archive whose stored members were changed in place: found, recomputed, and nothing else touched.

A member's CRC-32 stands up to three times: in the central directory, in its local header, and (as torch writes) in a data
descriptor behind it. A checksum that was wrong before stays as it is: torch leaves zeros when told not to compute them, and a
damaged member must not be declared sound by a repair. torch's ``.data/serialization_id`` hashes the checksums of all records
as they were saved; ``torch.load`` only logs it, so it stays too. Format: PKWARE APPNOTE 6.3, §4.3.7, §4.3.9, §4.3.12.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import MIB
from vqdoctor.checkpoint.zip_archive import Member, ZipArchive

_IN_ENTRY, _IN_LOCAL = 16, 14  # of the CRC in a directory entry and in a local header
_DESCRIBED = 0x0008
_DESCRIPTOR = b"PK\x07\x08"
_CRC_BYTES = 4


def mended_checksums(
    before: RegularFile, archive: ZipArchive, after: RegularFile, changed: Iterable[int]
) -> Iterator[tuple[int, bytes]]:
    """(position, four bytes) of every checksum that has to be another one.

    Args:
        before: the unchanged file. archive: its directory. after: the changed file, of the same structure.
        changed: positions, one at least in each stored member whose bytes differ.
    """
    positions = set(changed)
    for member in archive.members.values():
        if any(member.start <= position < member.end for position in positions):
            start = archive.locate(member)
            if _crc(before, start, member.packed) == member.crc:
                mended = _crc(after, start, member.packed).to_bytes(_CRC_BYTES, "little")
                yield from ((position, mended) for position in _fields(before, member, start + member.packed))


def _crc(file: RegularFile, start: int, count: int) -> int:
    """Of `count` bytes from `start`, through a small buffer."""
    buffer = memoryview(bytearray(min(MIB, count)))
    crc = 0
    for position in range(start, start + count, MIB):
        piece = buffer[: start + count - position]
        file.read_into(piece, position)
        crc = zlib.crc32(piece, crc)
    return crc


def _fields(file: RegularFile, member: Member, end: int) -> Iterator[int]:
    """Positions of the member's checksum; `end`: of the byte behind its data."""
    crc = member.crc.to_bytes(_CRC_BYTES, "little")
    yield member.entry + _IN_ENTRY
    described = member.flags & _DESCRIBED
    if not described or (member.crc and file.read(member.start + _IN_LOCAL, _CRC_BYTES) == crc):
        yield member.start + _IN_LOCAL
    if described:
        behind = file.read(end, min(len(_DESCRIPTOR) + _CRC_BYTES, member.end - end))
        if behind == _DESCRIPTOR + crc:
            yield end + len(_DESCRIPTOR)
        elif behind[:_CRC_BYTES] == crc:  # the signature is optional
            yield end

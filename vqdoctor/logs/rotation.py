"""Where the rest of a log went when it was rotated: numbered or dated copies beside it, and which of them was being read.

Its own module because it is the only guess in following a file: everything else is told by the file system.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

HEAD = 1024  # bytes at the beginning that tell one log from another
TAIL = 64  # bytes before the offset that tell whether what was read is still there
ATTEMPTS = 100  # to see the copies of a log while none of them is renamed
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_NUMBERED = re.compile(r"[._-]\d[\dT_:-]*")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file has been read, and how to know it again.

    Attributes:
        device, inode: of the file. offset: bytes read.
        head, head_bytes: SHA-256 of the first bytes, at most 1 KiB. tail: the last bytes read, at most 64, in hexadecimal.
    """

    device: int
    inode: int
    offset: int
    head: str
    head_bytes: int
    tail: str

    def as_json(self) -> dict[str, Any]:
        """A plain dict, for a file of positions."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Position:
        """The position that `as_json` made.

        Raises:
            TypeError, KeyError, ValueError: it is none.
        """
        device, inode, offset, size = (int(value[name]) for name in ("device", "inode", "offset", "head_bytes"))
        return cls(device, inode, max(0, offset), str(value["head"]), min(HEAD, max(0, size)), bytes.fromhex(value["tail"]).hex())

    @classmethod
    def of(cls, facts: os.stat_result, offset: int, head: bytes, tail: bytes) -> Position:
        """The position `offset` bytes into a file whose first and last read bytes are these."""
        digest = hashlib.sha256(head[:HEAD]).hexdigest()
        return cls(facts.st_dev, facts.st_ino, offset, digest, len(head[:HEAD]), tail[-TAIL:].hex())

    def is_in(self, descriptor: int) -> bool:
        """Whether an open file begins as the one that was read, and has the same bytes before the offset."""
        head = os.pread(descriptor, self.head_bytes, 0)
        tail = bytes.fromhex(self.tail)
        return (
            len(head) == self.head_bytes
            and hashlib.sha256(head).hexdigest() == self.head
            and os.pread(descriptor, len(tail), self.offset - len(tail)) == tail
        )

    def is_of(self, facts: os.stat_result) -> bool:
        """Whether this is the very file."""
        return (facts.st_dev, facts.st_ino) == (self.device, self.inode)


def open_log(path: str) -> int:
    """A descriptor for reading; a pipe can not hang it.

    Raises:
        OSError: there is none, or it is not to be read.
    """
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def open_regular(path: str) -> int:
    """A descriptor of a regular file.

    Raises:
        OSError: it is not there, not to be read, or a folder, pipe or device.
    """
    descriptor = open_log(path)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(0, "not a regular file")


def was_compressed(path: str, facts: os.stat_result) -> bool:
    """Whether a compressed copy was made when the file with these facts went away: it was rotated, though it cannot be read."""
    folder, base = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name.removeprefix(base))
                copied = entry.name.startswith(base) and suffix in _COMPRESSED and _NUMBERED.fullmatch(stem)
                if copied and abs(entry.stat(follow_symlinks=False).st_ctime - facts.st_ctime) < 60:
                    return True
    except OSError:
        pass
    return False


def continuation(path: str, position: Position) -> list[tuple[int, int]]:
    """What has to be read before the file that now has the name: (open descriptor, from where), oldest first; [] where no copy is
    known.

    The copy that was being read is told by its inode (renamed) or by its bytes (copied and truncated); it comes first, then those
    that were made and rotated away since. Names move while a log is being rotated: what was opened is let go of and looked for
    again until no name has moved meanwhile, or a copy would be missed or taken for its neighbour.
    """
    for attempt in range(ATTEMPTS):
        before = _named(path)
        found = _opened([name for _, name, *_ in before or ()][1:], position)
        if attempt + 1 == ATTEMPTS or (before is not None and _named(path) == before):
            return found
        for descriptor, _ in found:
            os.close(descriptor)
    return []


Named = tuple[tuple[int, int], str, int, int]  # place in the order, name, device, inode


def _named(path: str) -> list[Named] | None:
    """The log and the copies that rotation made of it (`log.1`, `log-20251120`), newest first, with the files that they are; None
    where one went away while they were looked at."""
    folder, base = os.path.split(path)
    found: list[Named] = [((-(1 << 62), 0), path, 0, 0)]
    try:
        entries = os.scandir(folder or ".")
    except OSError:
        return found
    with entries:
        for entry in entries:
            rest = entry.name.removeprefix(base)
            if rest == entry.name or (rest and not _NUMBERED.fullmatch(rest)):
                continue
            try:
                facts = os.stat(entry.path, follow_symlinks=False)
            except OSError:
                return None
            if not rest:
                found[0] = (found[0][0], path, facts.st_dev, facts.st_ino)
            elif stat.S_ISREG(facts.st_mode):
                number = int(re.sub(r"\D", "", rest))
                order = -number if number > 10**6 else number  # dated
                found.append(((order, facts.st_mtime_ns), entry.path, facts.st_dev, facts.st_ino))
    return sorted(found)


def _opened(copies: Sequence[str], position: Position) -> list[tuple[int, int]]:
    """From the copy that was being read on, where it is one of `copies`."""
    for i, copy in enumerate(copies):
        if _is_copy(copy, position):
            return list(_each_opened([(copy, position.offset), *((missed, 0) for missed in reversed(copies[:i]))]))
    return []


def _each_opened(copies: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    for path, offset in copies:
        with suppress(OSError):
            yield open_regular(path), offset


def _is_copy(path: str, position: Position) -> bool:
    try:
        descriptor = open_log(path)
    except OSError:
        return False
    try:
        return position.is_of(os.fstat(descriptor)) if not position.offset else position.is_in(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)

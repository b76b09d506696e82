"""One file that grows, is rotated, cut off, replaced or not there yet: every byte of it once, in order. It knows no formats.

What has been read is known again by its bytes, not by size or time: each look reads the last 64 bytes before the offset once more,
in one call with what is new. If they are gone, the file is another one whatever its size says, and if they are there it is the same
one: attribute caches of network file systems cannot make a log seem to start again. Rotated copies are looked for (`rotation`), so
that what was written between two looks is not lost.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from vqdoctor.logs.rotation import HEAD, TAIL, Position, continuation, open_regular, was_compressed

BLOCK = 1 << 19  # bytes of one chunk
QUIET = 2  # looks at a renamed file that find nothing before it is left: its writer may not have noticed yet

Start = Literal["", "new", "rotated", "restarted"]
Source = tuple[int, int, Start]  # descriptor, offset, what its first chunk says


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next bytes of a log.

    Attributes:
        path: the log, under the name that is followed. data: never empty.
        start: "" they follow on the last chunk; "new": the first bytes of the log; "rotated": the log goes on in another file, at
            the beginning of a line; "restarted": the log was begun anew, what came before is no longer in it.
    """

    path: str
    data: bytes
    start: Start = ""


class Tail:
    """Follows one path.

    Args:
        path: the file; it need not exist yet.
        position: where an earlier reading stopped.

    Attributes:
        failure: why the file cannot be read, None while it can.
        behind: bytes that are there and not yet read, at least 1 while there is something to do.
        modified: when the file last changed, seconds since the epoch; None before it was seen.
    """

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self.failure: str | None = None
        self.behind = 0
        self.modified: float | None = None
        self._position = position
        self._descriptor: int | None = None
        self._facts: os.stat_result | None = None  # of the open file
        self._offset = 0
        self._head, self._tail = b"", b""
        self._start: Start = "new"
        self._queue: list[Source] = []  # files to read after this one
        self._quiet = 0
        self._seen: tuple[int, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self._descriptor is not None

    def poll(self, budget: int = 1 << 23) -> list[Chunk]:
        """What is new, at most about `budget` bytes; there is more while `behind` is not 0."""
        chunks: list[Chunk] = []
        try:
            facts = _facts_of(self.path)
            if facts is not None:
                self.modified = facts.st_mtime
            if not self.behind and facts is not None and self._seen == _signature(facts):
                return []
            self._read(facts, budget, chunks)
            self.failure = None
        except OSError as error:
            self.failure = error.strerror or str(error)
            self.close()
        return chunks

    def position(self, held: int = 0) -> Position | None:
        """Where to go on later, None before anything was read. held: bytes that the reader has not used (`Reader.held`)."""
        if self._descriptor is None or self._facts is None:
            return self._position
        if not held or held >= self._offset:
            return self._told()
        offset = self._offset - held
        size = min(TAIL, offset)
        return Position.of(self._facts, offset, self._head[:offset], os.pread(self._descriptor, size, offset - size))

    def close(self) -> None:
        """Let go of all files; `poll` opens the log again and finds its place."""
        self._position = self.position()
        for descriptor in (self._descriptor, *(source[0] for source in self._queue)):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor, self._queue = None, []

    def _read(self, facts: os.stat_result | None, budget: int, chunks: list[Chunk]) -> None:
        """Everything up to the budget, from whichever files have it."""
        if self._descriptor is None and not self._open():
            self.behind = 0
            return
        while budget > 0:
            block = self._block()
            if block is None:
                self._go_on_after_cut()
            elif block and (self._offset or not self._go_on_in_copies()[1]):
                budget -= len(block)
                chunks.append(self._chunk(block))
            elif block:
                continue  # of a file that began after others were rotated away: those come first
            elif self._queue:
                self._begin(*self._queue.pop(0))
            elif facts is None or self._is_current(facts):
                self.behind, self._quiet = 0, 0
                self._seen = _signature(facts) if facts is not None else ()
                return
            elif (quiet := self._quiet + 1) < QUIET:
                self._quiet = quiet
                return
            elif not self._go_on_after_move():
                return
        self.behind = max(1, self._size() - self._offset)

    def _open(self) -> bool:
        """Open the log where an earlier reading stopped, or at its beginning; False where there is none."""
        try:
            descriptor = open_regular(self.path)
        except FileNotFoundError:
            return False
        before = self._position
        if before is None or before.is_in(descriptor):
            self._begin(descriptor, before.offset if before else 0, "")
        else:
            self._begin(descriptor, 0, "")
            self._go_on_elsewhere()
        return True

    def _go_on_after_cut(self) -> None:
        """The bytes that were read are gone from the open file: copied and truncated, or begun anew."""
        self._position = self._told()
        self._offset, self._head, self._tail = 0, b"", b""
        self._go_on_elsewhere()

    def _go_on_elsewhere(self) -> None:
        """Nothing of the open file was read: first come the rotated copies, if there are any."""
        copied, found = self._go_on_in_copies()
        if not found:
            self._say("rotated" if copied else "restarted")

    def _go_on_after_move(self) -> bool:
        """The name now means another file, and the one that is open has been read to its end; False if it is gone again."""
        try:
            descriptor = open_regular(self.path)
        except FileNotFoundError:
            return False
        if self._descriptor is None:
            return False
        facts, before = os.fstat(self._descriptor), self._told()
        copied, found = self._go_on_in_copies()
        if found:
            os.close(descriptor)
        elif not facts.st_nlink and not copied and before.is_in(descriptor):  # written anew with what it had, and more
            self._begin(descriptor, before.offset, "")
        else:
            rotated = facts.st_nlink or copied or was_compressed(self.path, facts)
            self._begin(descriptor, 0, "rotated" if rotated else "restarted")
        return True

    def _go_on_in_copies(self) -> tuple[bool, bool]:
        """Turn to the rotated copies that hold what comes next; whether a copy of what was read is known, and whether any does.

        Asked as well before the first byte of a file is used: that file may be the second that was begun since the last look.
        """
        before = self._told()
        copies = continuation(self.path, before) if before.offset else []
        sources = [source for source in map(_source, copies) if self._has_more(source)]
        if not sources or self._is_current(os.fstat(sources[0][0])):
            for descriptor, *_ in sources:
                os.close(descriptor)
            return bool(copies), False
        for descriptor, *_ in self._queue:
            os.close(descriptor)
        self._queue = sources
        self._begin(*self._queue.pop(0))
        return True, True

    def _has_more(self, source: Source) -> bool:
        """Whether a copy, which may be the open file by another name, holds unread bytes; if not, it is closed."""
        descriptor, offset, _ = source
        facts = os.fstat(descriptor)
        if facts.st_size > (self._offset if self._is_current(facts) else offset):
            return True
        os.close(descriptor)
        return False

    def _begin(self, descriptor: int, offset: int, start: Start) -> None:
        """Make another file the open one."""
        if self._descriptor is not None:
            self._position = self._told()
            os.close(self._descriptor)
        self._descriptor, self._facts, self._offset, self._quiet = descriptor, os.fstat(descriptor), offset, 0
        self._head = os.pread(descriptor, min(HEAD, offset), 0)
        size = min(TAIL, offset)
        self._tail = os.pread(descriptor, size, offset - size)
        if offset:
            self._start = ""
        self._say(start)

    def _say(self, start: Start) -> None:
        """What the next chunk will say; a restart of which nothing was read yet is not forgotten over what happens next."""
        if start and self._start != "restarted":
            self._start = start

    def _block(self) -> bytes | None:
        """The next bytes of the open file, b"" at its end; None where what was read is no longer in it."""
        if self._descriptor is None:
            return b""
        data = os.pread(self._descriptor, BLOCK + len(self._tail), self._offset - len(self._tail))
        if not data.startswith(self._tail):
            return None
        if len(data) > len(self._tail) and os.pread(self._descriptor, len(self._head), 0) != self._head:
            return None
        return data[len(self._tail) :]

    def _chunk(self, block: bytes) -> Chunk:
        self._offset += len(block)
        self._tail = (self._tail + block[-TAIL:])[-TAIL:]
        if len(self._head) < HEAD:
            self._head = (self._head + block)[:HEAD]
        start, self._start, self._quiet = self._start, "", 0
        return Chunk(self.path, block, start)

    def _told(self) -> Position:
        """How far the log was read, from memory, since the file may hold something else by now; where nothing of the open file was
        read, that is the end of the one before."""
        if self._facts is None or (not self._offset and self._position is not None):
            return self._position or Position.of(os.stat(self.path), 0, b"", b"")
        return Position.of(self._facts, self._offset, self._head, self._tail)

    def _is_current(self, facts: os.stat_result) -> bool:
        return self._facts is not None and (facts.st_dev, facts.st_ino) == (self._facts.st_dev, self._facts.st_ino)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size if self._descriptor is not None else 0


def _facts_of(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _source(copy: tuple[int, int]) -> Source:
    """A copy to read; the first goes on where reading stopped."""
    descriptor, offset = copy
    return descriptor, offset, "rotated" if not offset else ""


def _signature(facts: os.stat_result) -> tuple[int, ...]:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def head_and_tail(path: str, size: int = 1 << 18) -> tuple[bytes, bytes]:
    """The first and the last bytes of a file, `size` of each: enough for a first picture of a log that takes long to read.

    Returns:
        Whole lines: the head up to its last line end, the tail from after its first. A file of at most 2 · size bytes is all head.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = open_regular(path)
    try:
        length = os.fstat(descriptor).st_size
        if length <= 2 * size:
            return os.pread(descriptor, 2 * size, 0), b""
        head, tail = os.pread(descriptor, size, 0), os.pread(descriptor, size, length - size)
    finally:
        os.close(descriptor)
    return head[: head.rfind(b"\n") + 1], tail[tail.find(b"\n") + 1 :]

"""Bytes cut into lines, however they arrive: one line may come in many pieces, one piece may hold many lines.

Its own module because every line format needs the same three defences: a partial last line is held back, NUL runs (which a
truncated log leaves) are no text, and a line without end costs no more than the limit.
"""

from __future__ import annotations

from vqdoctor.logs.faults import Faults

LIMIT = 1 << 20  # bytes of a line that are held; longer ones are skipped and counted


class LineCutter:
    """Complete lines of a stream of bytes, without their ends.

    Args:
        faults: where skipped lines are counted, as "long".
        carriage: True where a carriage return ends a line too (progress bars).

    Attributes:
        held: bytes of the stream since the last line end: what has to be read again to resume without a loss.
    """

    def __init__(self, faults: Faults, *, carriage: bool = False) -> None:
        self._faults = faults
        self._carriage = carriage
        self._partial = bytearray()
        self._skipping = False
        self.held = 0

    def cut(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        if self._carriage:
            data = data.replace(b"\r", b"\n")
        end = data.rfind(b"\n")
        self.held = len(data) - end - 1 if end >= 0 else self.held + len(data)
        if b"\0" in data:
            data = data.replace(b"\0", b"")
        if b"\n" not in data:
            self._hold(data)
            return []
        *lines, rest = data.split(b"\n")
        first, over = bytes(self._partial) + lines[0], self._skipping
        self._partial.clear()
        self._skipping = False
        lines[0] = b"" if over else first
        if len(data) > LIMIT or len(first) > LIMIT:
            kept = [line for line in lines if len(line) <= LIMIT]
            self._faults.add("long", len(lines) - len(kept))
            lines = kept
        self._hold(rest)
        return lines

    def rest(self) -> list[bytes]:
        """The partial last line, if there is one: for the end of a file."""
        line = bytes(self._partial)
        self._partial.clear()
        self._skipping = False
        self.held = 0
        return [line] if line else []

    def _hold(self, data: bytes) -> None:
        if self._skipping:
            return
        self._partial += data
        if len(self._partial) > LIMIT:
            self._partial.clear()
            self._skipping = True
            self._faults.add("long")

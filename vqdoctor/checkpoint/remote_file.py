"""A file behind a URL with the face of a regular one, so that every reader opens it by the ranges that it needs."""

from __future__ import annotations

from threading import Lock
from typing import Any, NoReturn

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.errors import CorruptInput, MissingInput, UnsupportedInput
from vqdoctor.remote import open_url, shown


class RemoteFile(RegularFile):
    """Bytes at positions, fetched. Only reading: it is nothing that could be copied and patched in place."""

    __slots__ = ("_file", "_lock")

    def __init__(self, url: str) -> None:
        self._descriptor = -1
        self._file: Any = None
        self._lock = Lock()
        self.path = shown(url)
        self._file, self.bytes = open_url(url)

    def fileno(self) -> NoReturn:
        """There is none."""
        raise UnsupportedInput("is behind a URL; only a file on this machine can be copied.", where=self.path, hint="Download it.")

    @property
    def status(self) -> NoReturn:  # type: ignore[override]  # what copies and compares files asks for
        """There is none."""
        self.fileno()

    def read(self, position: int, count: int) -> bytes:
        """See :class:`RegularFile`."""
        available = max(0, min(count, self.bytes - position))
        if not available:
            return b""
        try:
            with self._lock:
                self._file.seek(position)
                got: bytes = self._file.read(available)
        except Exception as error:  # as in `open_url`
            raise MissingInput(f"could not be read on ({type(error).__name__}).", where=self.path, hint="Try again.") from None
        return got

    def read_into(self, buffer: memoryview, position: int) -> None:
        """See :class:`RegularFile`."""
        got = self.read(position, len(buffer))
        if len(got) < len(buffer):
            raise CorruptInput(f"the file ends at byte {position + len(got):,}, in the middle of a tensor.", where=self.path)
        buffer[:] = got

    def close(self) -> None:
        """Gives the connection back; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

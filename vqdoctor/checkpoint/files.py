"""A regular file opened for reading, and nothing else: pipes, devices and folders are refused before they can hang or act."""

from __future__ import annotations

import os
import stat

from vqdoctor.errors import CorruptInput, MissingInput

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)


class RegularFile:
    """Bytes at positions. Reads are `pread`: there is no shared file position, so threads may read at once.

    Attributes:
        path: as the user named it. bytes: its size when it was opened. status: all that `fstat` said then.
    """

    __slots__ = ("_descriptor", "bytes", "path", "status")

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        try:
            _refuse_irregular(os.stat(path).st_mode)
            self._descriptor = os.open(path, _FLAGS)
            status = os.fstat(self._descriptor)
            _refuse_irregular(status.st_mode)
        except FileNotFoundError:
            raise MissingInput("there is no such file.", where=path, hint="Check the path.") from None
        except (OSError, ValueError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or "not a usable path"
            hint = "Check its permissions." if isinstance(error, PermissionError) else None
            raise MissingInput(f"cannot be opened ({reason}).", where=path, hint=hint) from None
        except MissingInput as error:
            self.close()
            error.where = path
            raise
        self.bytes = status.st_size
        self.status = status

    def fileno(self) -> int:
        """The open descriptor, for `os` functions."""
        return self._descriptor

    def read(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`, fewer only at the end of the file."""
        available = max(0, min(count, self.bytes - position))
        return os.pread(self._descriptor, available, position) if available else b""

    def read_into(self, buffer: memoryview, position: int) -> None:
        """Fills `buffer` (bytes, writable) from `position`.

        Raises:
            CorruptInput: the file ends before the buffer is full.
        """
        done = 0
        while done < len(buffer):
            got = os.preadv(self._descriptor, [buffer[done:]], position + done)
            if got == 0:
                raise CorruptInput(f"the file ends at byte {position + done:,}, in the middle of a tensor.", where=self.path)
            done += got

    def close(self) -> None:
        """Gives the descriptor back; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise MissingInput("is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise MissingInput("is a pipe, socket or device, not a regular file.")

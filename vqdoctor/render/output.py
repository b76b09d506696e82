"""Writing a finished file: the old one whole or the new one whole, never a part of either (reference: security §4)."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from vqdoctor.errors import UsageError, printable


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` through a temporary file beside it; an existing file keeps its mode, a link is replaced as a link.

    Raises:
        UsageError: the folder is missing or read-only, the disk is full, or `path` is a folder, pipe or device.
    """
    target = Path(path)
    mode = _mode_of(target)
    try:
        handle, temporary = _create_beside(target)
    except OSError as error:
        raise _refused(target, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(handle, mode)
            os.fsync(handle)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        # Gone after the rename; still there after an error, Ctrl-C or SIGTERM.
        with contextlib.suppress(OSError):
            temporary.unlink()


def _mode_of(target: Path) -> int | None:
    """Permission bits of the file that is there, None where nothing is."""
    try:
        status = target.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise UsageError(f"it is {kind}, a report needs a file name.", where=str(target))
    return stat.S_IMODE(status.st_mode)


def _create_beside(target: Path) -> tuple[int, Path]:
    """An open new file in the folder of `target`: same file system, so that the rename is atomic."""
    for attempt in range(1000):
        temporary = target.parent / f".vqd-{os.getpid()}-{attempt}"
        try:
            return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), temporary
        except FileExistsError:
            continue
    raise FileExistsError("temporary files of an earlier run are in the way (.vqd-*)")


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut; file systems that cannot sync a folder are left alone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _refused(target: Path, error: OSError) -> UsageError:
    why = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError):
        return UsageError(
            f"its folder {printable(target.parent)} does not exist.", where=str(target), hint="Create it first, or name another."
        )
    return UsageError(f"cannot be written: {why}.", where=str(target), hint="Name another place.")

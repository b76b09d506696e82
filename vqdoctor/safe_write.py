"""Writing a file so that its name always leads to the old one whole, the new one whole, or nothing (reference: security §4).

It stands below the rooms because checkpoints and reports are written by the same steps: a draft beside the target, synced and
closed with every error looked at, takes the target's name by one rename. A draft that a killed process has left is found by its
lock, which dies with the process: ids of processes say nothing across containers and hosts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from vqdoctor.errors import UsageError, printable

PREFIX = ".vqd-"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES})


class Draft:
    """A new file in the folder of its target, gone when the `with` block ends unless it was published.

    Attributes:
        target: the name it is to take. path: the name it has until then. descriptor: open for reading and writing.

    Raises:
        UsageError: the folder is missing or read-only, the disk is full, or the target is a folder, pipe or device; raised by
            every method.
    """

    def __init__(self, target: str, *, mode: int | None = None) -> None:
        """`mode`: its permission bits; None: as for any new file."""
        self.target = target
        self._folder = os.path.dirname(target) or os.curdir
        self.path = os.path.join(self._folder, PREFIX + os.urandom(8).hex())
        self.descriptor = -1
        refuse_irregular(target)
        self._mode = mode

    def __enter__(self) -> Self:
        try:
            with blame(self.target):
                self.descriptor = os.open(self.path, _NEW, 0o666 if self._mode is None else 0o600)
                if self._mode is not None:
                    os.fchmod(self.descriptor, self._mode)
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._discard()

    def write(self, data: bytes | bytearray, position: int) -> None:
        """All of `data` at `position`."""
        with blame(self.target):
            rest = memoryview(data)
            while len(rest):
                done = os.pwrite(self.descriptor, rest, position)
                rest, position = rest[done:], position + done

    def sync(self) -> None:
        """Puts what was written on the disk. An error is final: a second try would report success without having written."""
        with blame(self.target):
            os.fsync(self.descriptor)

    def close(self) -> None:
        """Gives the descriptor back; some network file systems report a full disk only here."""
        descriptor, self.descriptor = self.descriptor, -1
        with blame(self.target):
            os.close(descriptor)

    def publish(self, *, replace: bool) -> None:
        """Gives the synced and closed draft the target's name. A link of that name is replaced as a link.

        Args:
            replace: whether a file that has the name gives way; else it is kept and the error says so.
        """
        with blame(self.target):
            if replace:
                os.replace(self.path, self.target)
            else:
                _rename_to_free_name(self.path, self.target)
        try:
            _sync_folder(self._folder)
        except OSError as error:
            raise UsageError(
                f"is written and in place, but its folder could not be synced ({_reason(error)}): a power cut may undo it.",
                where=self.target,
            ) from error

    def _discard(self) -> None:
        """The draft's name is random, so that what bears it is ours, whenever the interrupt came."""
        if self.descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = -1
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, replacing what is there; an existing file's mode is kept.

    Raises:
        UsageError: the folder is missing or read-only, the disk is full, or `path` is a folder, pipe or device.
    """
    target = os.fspath(path)
    with Draft(target, mode=_mode_of(target)) as draft:
        draft.write(data, 0)
        draft.sync()
        draft.close()
        draft.publish(replace=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, whose content takes the name `path` once the block ends well: for what is too large to hold as bytes.

    Raises:
        UsageError: as `write_atomically`.
    """
    target = os.fspath(path)
    with Draft(target, mode=_mode_of(target)) as draft:
        with blame(target), os.fdopen(os.dup(draft.descriptor), "w+b") as file:
            yield file
        draft.sync()
        draft.close()
        draft.publish(replace=True)


def begun(path: str) -> BinaryIO:
    """An empty file that bears its name while it grows. A link of that name gives way; what it leads to stays as it is.

    Raises:
        UsageError: as `write_atomically`.
    """
    refuse_irregular(path)
    with blame(path):
        if os.path.islink(path):
            os.unlink(path)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "wb")


@contextlib.contextmanager
def alone_beside(target: str) -> Iterator[None]:
    """Waits until no other process that asked for the same is in the folder of `target`: files that belong together stay so.

    Where the file system has no locks nothing is waited for.
    """
    handle = -1
    with contextlib.suppress(OSError):
        handle = os.open(os.path.dirname(target) or os.curdir, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def refuse_folder(target: str) -> None:
    """Raises UsageError where the folder of `target` is missing, or nothing may be written in it."""
    folder = os.path.dirname(target) or os.curdir
    if not os.path.isdir(folder):
        raise UsageError(f"its folder {printable(folder)} does not exist.", where=target, hint="Create it first, or name another.")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"its folder {printable(folder)} is read-only.", where=target, hint="Name another place.")


def leftovers(folder: str) -> tuple[str, ...]:
    """Paths of the drafts in `folder` that no running process holds: what a kill or a power cut has left. None is touched."""
    try:
        names = sorted(name for name in os.listdir(folder or os.curdir) if name.startswith(PREFIX))
    except OSError:
        return ()
    return tuple(path for path in (os.path.join(folder, name) for name in names) if _is_abandoned(path))


def refuse_irregular(target: str) -> None:
    """Raises UsageError where `target` is a folder, pipe or device: nothing that a file may replace."""
    try:
        mode = os.stat(target).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise UsageError(f"it is {kind}; what is written needs the name of a file.", where=target)


@contextlib.contextmanager
def blame(target: str) -> Iterator[None]:
    """Turns an OSError of the block into a UsageError that names `target` and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        folder = printable(os.path.dirname(target) or os.curdir)
        raise UsageError(f"its folder {folder} does not exist.", where=target, hint="Create it first, or name another.") from error
    except FileExistsError as error:
        raise UsageError("it exists already and is left as it is.", where=target, hint="Name another file.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be written: {_reason(error)}.", where=target, hint="Name another place.") from error


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or "not a usable path").lower()


def _mode_of(target: str) -> int | None:
    """Permission bits of the file that is there, None where nothing is."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except (OSError, ValueError):
        return None


def _rename_to_free_name(path: str, target: str) -> None:
    """By a hard link, which fails where the name is taken; without hard links by a look first, which leaves a moment's gap."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(path, target)
    else:
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Makes a rename survive a power cut; file systems that cannot sync a folder are left alone."""
    handle = -1
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        if handle >= 0:
            os.close(handle)


def _is_abandoned(path: str) -> bool:
    """Whether nobody holds its lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True

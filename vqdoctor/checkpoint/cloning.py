"""All bytes of an open file into a new one, by the cheapest way there is: shared blocks, inside the kernel, or through memory.

Memory stays at one small buffer whatever the size.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.errors import CorruptInput

_FICLONE = 0x40049409  # linux/fs.h: share the source's blocks until one of the two is written to (btrfs, XFS, bcachefs)
_AT_ONCE = 64 << 20  # between two chances for an interrupt to be heard
_BUFFER = 1 << 20
_NOT_HERE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.ENOTTY})


def clone(source: RegularFile, target: int) -> None:
    """Copies the bytes that `source` had when it was opened into the empty file behind the descriptor `target`.

    Raises:
        OSError: the target cannot take them.
        CorruptInput: the source has become shorter or longer.
    """
    if not _share_blocks(source.fileno(), target):
        _require_space(target, source.bytes)
        done = _copy_in_kernel(source.fileno(), target, source.bytes)
        _copy_through_memory(source.fileno(), target, done, source.bytes)
    if os.fstat(target).st_size != source.bytes:
        raise CorruptInput(
            "it changed its size while it was copied.", where=source.path, hint="Run again once nobody writes to it."
        )


def _share_blocks(source: int, target: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # whatever the reason, copying will meet it again if it matters
        return False
    return True


def _require_space(target: int, size: int) -> None:
    """Fails early where the disk is clearly too full; what really happens is seen when writing."""
    status = os.fstatvfs(target)
    if status.f_blocks and status.f_bavail * status.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy_in_kernel(source: int, target: int, size: int) -> int:
    """Bytes copied; fewer than `size` where this system or pair of file systems has no such call."""
    done = 0
    while hasattr(os, "copy_file_range") and done < size:
        try:
            copied = os.copy_file_range(source, target, min(_AT_ONCE, size - done), done, done)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            break
        if not copied:
            break
        done += copied
    return done


def _copy_through_memory(source: int, target: int, done: int, size: int) -> None:
    """The bytes from `done` on, as far as there are any."""
    buffer = memoryview(bytearray(min(_BUFFER, max(1, size - done))))
    while done < size:
        got = os.preadv(source, [buffer[: size - done]], done)
        if not got:
            return
        written = 0
        while written < got:
            written += os.pwrite(target, buffer[written:got], done + written)
        done += got

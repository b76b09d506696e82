"""A small file that anybody may have written, as bytes: settings, notes, baselines.

Below the rooms, beside `safe_write`, because several of them read such files and each would forget another thing: a pipe that never
ends, a device, a file that is larger than it may be, and one that grows while it is read.
"""

from __future__ import annotations

import os
import stat

from vqdoctor.errors import LimitExceeded, MissingInput

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def read_small(path: str | os.PathLike[str], most: int, what: str) -> bytes:
    """The bytes of a regular file.

    Args:
        most: bytes that are read; a longer file is refused. what: "a baseline", for messages.

    Raises:
        MissingInput: there is none, it cannot be read, or it is a folder, pipe or device. LimitExceeded: it is longer.
    """
    where = os.fspath(path)
    try:
        descriptor = os.open(path, _FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MissingInput("it is a pipe, socket or device.", where=where)
            data = file.read(most + 1)
    except FileNotFoundError:
        raise MissingInput("there is no such file.", where=where) from None
    except IsADirectoryError:
        raise MissingInput("it is a folder.", where=where) from None
    except (OSError, ValueError) as error:
        raise MissingInput(f"{(getattr(error, 'strerror', None) or 'not a usable path').lower()}.", where=where) from None
    if len(data) > most:
        raise LimitExceeded(f"{what} over {_size(most)} is not read.", where=where)
    return data


def _size(most: int) -> str:
    return f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"

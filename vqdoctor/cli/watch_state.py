"""The file of `--state`: what a watch has told, so that the next one does not tell it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vqdoctor.errors import UsageError
from vqdoctor.small_files import read_small

if TYPE_CHECKING:
    from vqdoctor.app.watching.changes import Changes

LARGEST = 1 << 26  # bytes


def kept_changes(path: str | None) -> Changes:
    """What was told before; nothing where there is no file yet.

    Raises:
        UsageError: the file is something else. InputError: it cannot be read.
    """
    from vqdoctor.app.watching.changes import Changes
    from vqdoctor.json_text import loaded

    if path is None or not Path(path).exists():
        return Changes()
    try:
        return Changes(loaded(read_small(path, LARGEST, "a file of --state")))
    except (ValueError, TypeError, AttributeError, KeyError):
        raise UsageError("is no file of --state, and is left alone.", where=path, hint="Name another file.") from None


def save_changes(path: str, changes: Changes) -> None:
    """Keep what was told.

    Raises:
        OSError: it cannot be written.
    """
    from vqdoctor.json_text import dumped
    from vqdoctor.safe_write import write_atomically

    write_atomically(path, dumped(changes.state()) + b"\n")

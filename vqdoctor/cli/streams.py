"""What a process starts with, as it is, not as one wishes: other encodings, closed pipes, full disks, a folder that is gone."""

from __future__ import annotations

import contextlib
import io
import os
import sys


def prepare_streams() -> None:
    """A name that the terminal's encoding lacks is escaped, and raises nothing."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - a process may start without one; it lives as long as we do
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def working_folder() -> str:
    """The folder that relative paths start from; "" where it has been removed under us: absolute paths still lead somewhere."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def discard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's own flush at exit has nothing to complain about."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_out(text: str) -> None:
    """Put `text` on standard output; a reader that has gone away loses the text, never the exit status.

    Raises:
        OSError: the text could not be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        raise OSError(error.errno, error.strerror, "standard output") from error

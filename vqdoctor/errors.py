"""Everything that vqdoctor raises on purpose, and the exit status each one ends in.

The tree (indentation is inheritance)::

    VqdoctorError
        UsageError              the command line or a config value is wrong               exit 2
        InputError              a file cannot be read for what it is said to be           exit 2
            MissingInput        it is not there, or is not a regular file
            CorruptInput        it is cut off, its sizes lie, its structure is broken
            UnsupportedInput    it is something else: a Git LFS pointer, a web page, a tar archive
            LimitExceeded       reading on would pass a named limit of size, depth or count
        SampleError             features or codes do not fit the quantiser                exit 2
        NoQuantizerError        a checkpoint was read and holds no quantiser              exit 3
        GateFailure             a gate that was asked to raise says stop                  exit 1
        VerifyError             a copy differs from what was promised                     exit 4

An error is three sentences: *where* (the file), *what* is wrong, *hint* (what to do). Each is plain text from us; anything
quoted from a file has been through :func:`printable` first, so that printing an error can never drive a terminal.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every command (contract §2)."""

    OK = 0
    FINDINGS = 1
    UNUSABLE = 2
    NO_QUANTIZER = 3
    BUG = 4
    INTERRUPTED = 130
    TERMINATED = 143


def printable(text: object, limit: int = 200) -> str:
    """One line of `text` that no terminal, log or reader can mistake for anything but text.

    Control characters, bidirectional overrides, zero-width characters, line separators and lone surrogates are shown as
    escapes (``\\x1b``, ``\\u202e``), never dropped: two different names stay different. Longer than `limit`, the middle is cut.

    Example:
        >>> printable("a\\x1b[2Jb")
        'a\\\\x1b[2Jb'
    """
    shown = str(text)[: 4 * limit]
    if not shown.isprintable():  # one look where nothing is to be done
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    if len(shown) <= limit:
        return shown
    half = (limit - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


class VqdoctorError(Exception):
    """Base of the tree: what is wrong, where, and what to do about it."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = f"{printable(self.where)}: " if self.where else ""
        whole = self.what.endswith((".", "!", "?")) or "\n" in self.what
        what = self.what if whole else f"{self.what}."
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}{what}{hint}"


class UsageError(VqdoctorError):
    """The command line or a config value is wrong."""


class InputError(VqdoctorError):
    """A file cannot be read for what it is said to be."""


class MissingInput(InputError):
    """The file is not there, or is a folder, pipe or device."""


class CorruptInput(InputError):
    """The file is cut off, its sizes lie or its structure is broken."""


class UnsupportedInput(InputError):
    """The file is something that is recognised and not read."""


class LimitExceeded(InputError):
    """Reading on would pass a named limit."""


class SampleError(VqdoctorError):
    """Features or codes do not fit the quantiser they are given for."""


class NoQuantizerError(VqdoctorError):
    """A checkpoint was read and holds no quantiser that is known."""

    exit_code = ExitCode.NO_QUANTIZER


class GateFailure(VqdoctorError):
    """A gate says stop; the message holds what failed and why."""

    exit_code = ExitCode.FINDINGS


class VerifyError(VqdoctorError):
    """A copy was read back and differs from what was promised, so that it was not put in place."""

    exit_code = ExitCode.BUG

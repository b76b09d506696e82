"""What a parser under test is, and where its files lie: below the modules that name the parsers."""

from __future__ import annotations

import atexit
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vqdoctor.checkpoint import Limits
from vqdoctor.errors import VqdoctorError

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "checkpoint"))  # what the next file is imported by, by its neighbour
VALID = runpy.run_path(str(TESTS / "checkpoint" / "test_broken_files.py"))["VALID"]

LIMITS = Limits(read_bytes=1 << 20, header_bytes=1 << 20)  # lower than a user's, so that they are met
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

JSON_WORDS = (
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"1e400", b"null", b"true", b"\\ud800", b"9" * 30, b"\xff",
)  # fmt: skip


@dataclass(frozen=True)
class Parser:
    """One parser. parse: bytes in, nothing out. seeds: inputs to begin from. words: pieces that a mutation may put in.

    longest: bytes of an input, since time goes with length; 0: twice the longest seed.
    """

    name: str
    parse: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    refuses: bool = field(default=True)  # with VqdoctorError; a log reader does not
    longest: int = 0


def survives(parser: Parser, data: bytes) -> None:
    """Parses; our own error is a proper answer where the parser may refuse.

    Raises:
        whatever else it raises.
    """
    try:
        parser.parse(data)
    except VqdoctorError as error:
        if not parser.refuses:
            raise
        str(error).encode("utf-8")  # a message that cannot be written is no message
        if not str(error).isprintable():
            raise AssertionError(f"a message that could act on a terminal: {str(error)!r}") from error


def written(data: bytes, name: str) -> Path:
    """A file of these bytes, the same one each time: written over, since giving back its pages costs more than many a parser."""
    if name not in FILES:
        path = FOLDER / name
        FILES[name] = path, os.open(path, os.O_RDWR | os.O_CREAT)
    path, descriptor = FILES[name]
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    return path


FILES: dict[str, tuple[Path, int]] = {}


def folder(name: str) -> Path:
    """A folder for a parser's files."""
    path = FOLDER / name
    path.mkdir(exist_ok=True)
    return path

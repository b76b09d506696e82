"""The formats, and how a file's is found: by its name and its first line, never by trying to read all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.readers.csv_table import CsvTable
from vqdoctor.logs.readers.file_names import read_file_name
from vqdoctor.logs.readers.json_document import JsonDocument
from vqdoctor.logs.readers.json_lines import JsonLines
from vqdoctor.logs.readers.own_log import OwnLog
from vqdoctor.logs.readers.reader import Found, Reader
from vqdoctor.logs.readers.strangers import claimed, guarded, named, strangers, troubles
from vqdoctor.logs.readers.tensorboard import HEADER, EventFile
from vqdoctor.logs.readers.text import Text

READERS: tuple[type[Reader], ...] = (EventFile, OwnLog, JsonDocument, JsonLines, CsvTable, Text)
"""Asked in this order; the last takes anything."""
_OURS = frozenset(READERS)

HEAD = 1 << 16  # bytes after which a first line need not be whole
_LIST = re.compile(rb"\[\s*\{")
_LINE = re.compile(rb"[^\n]*\n")

ECHO = ".vqdoctor"
"""How the name of an event file ends that only repeats a log of ours, which lies beside it: no run of its own."""

__all__ = ["ECHO", "READERS", "AutoReader", "CsvTable", "EventFile", "Found", "JsonDocument", "JsonLines", "OwnLog", "Reader",
           "Text", "choose", "is_event_file", "known_readers", "looks_like_log", "read_file_name", "troubles"]  # fmt: skip


def known_readers() -> tuple[type[Reader], ...]:
    """The built-in readers, behind those of installed plugins: ours end in one that takes anything."""
    return (*strangers(), *READERS)


_LOG_NAME = re.compile(
    r".*\.(?:jsonl|ndjson|log|out|tsv)|.*(?:metrics|log|loss|progress|results|history)[^/]*\.csv|version_\d+\.csv|.*tfevents.*|solver\.log\.0"
    r"|.*(?:log|train|output|stdout)[^/]*\.txt|(?:.*[._-])?(?:history|train_results|trainer_state|log|losses|metrics)\.json"
)


def looks_like_log(name: str) -> bool:
    """Whether a file of a folder is taken for a log by its name, by us or by a plugin; a file that is named to us always is.

    Example:
        >>> [looks_like_log(name) for name in ("log.jsonl", "events.out.tfevents.17.host", "config.json", "requirements.txt")]
        [True, True, False, False]
    """
    if name.endswith(ECHO):
        return False
    return _LOG_NAME.fullmatch(name.lower()) is not None or named(name.lower())


def is_event_file(path: str) -> bool:
    """Whether a file is one of TensorBoard's by its name: several of them in a folder are one run."""
    return "tfevents" in path.rsplit("/", 1)[-1]


def choose(
    head: bytes, name: str = "", *, final: bool = False, readers: Sequence[type[Reader]] | None = None
) -> type[Reader] | None:
    """The reader for a file.

    The answer never changes as more bytes come: it rests on the first line that is not blank (at least 12 bytes, at most 64 KiB),
    which must be whole, or on a list of objects having begun: that may never see a line end.

    Args:
        head: its first bytes. name: its name without the folder. final: True where no more bytes will come.
        readers: asked in turn, `known_readers` if not given.

    Returns:
        The first that claims it, None where `head` is too short to tell.
    """
    text = head.lstrip(b"\0 \t\r\n")
    begun = _LIST.match(text) or _LINE.match(text)
    need = max(HEADER, len(head) - len(text) + begun.end()) if begun else HEAD
    if len(head) < need and not final:
        return None
    asked = known_readers() if readers is None else readers
    return next((reader for reader in asked if _claims(reader, name.lower(), head[:need])), None)


def _claims(reader: type[Reader], name: str, head: bytes) -> bool:
    return reader.claims(name, head) if reader in _OURS else claimed(reader, name, head)


class AutoReader:
    """A reader that first finds out which it is.

    Args:
        name: of the file, without its folder. readers: as for `choose`.
    """

    def __init__(self, name: str = "", *, readers: Sequence[type[Reader]] | None = None) -> None:
        self._file = name
        self._readers = readers
        self._head = b""
        self._reader: Reader | None = None

    @property
    def name(self) -> str | None:
        """What the format is called, None before it is known."""
        return self._reader.name if self._reader else None

    @property
    def by_lines(self) -> bool:
        """Whether reading may begin at any line; False before the format is known."""
        return self._reader is not None and self._reader.by_lines

    @property
    def faults(self) -> Faults:
        """What was left out so far."""
        return self._reader.faults if self._reader else Faults()

    @property
    def held(self) -> int:
        """Bytes taken and not yet used."""
        return self._reader.held if self._reader else len(self._head)

    def feed(self, data: bytes) -> list[Found]:
        """What the next bytes complete."""
        if self._reader is not None:
            return self._reader.feed(data)
        self._head += data
        return self._begin(final=False)

    def finish(self) -> list[Found]:
        """What is left at the end of a file."""
        found = self._begin(final=True) if self._reader is None and self._head else []
        return found + (self._reader.finish() if self._reader else [])

    def _begin(self, *, final: bool) -> list[Found]:
        chosen = choose(self._head, self._file, final=final, readers=self._readers)
        if chosen is None:
            return []
        self._reader, head, self._head = chosen() if chosen in _OURS else guarded(chosen), self._head, b""
        return self._reader.feed(head)

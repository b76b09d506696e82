"""JSON that is a document and not lines: a list of epochs, a history of lists, objects over several lines.

The text is framed by its brackets as it comes, so that a list still being written, or an indented stream of objects, gives its rows
one by one. An object is framed whole: {"loss": [...], "val_loss": [...]} is a history only when all of it is there.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.numbers import number
from vqdoctor.logs.readers.json_values import parse
from vqdoctor.logs.readers.reader import Found, first_line
from vqdoctor.logs.rows import COARSE, Rows

LIMIT = 64 << 20  # bytes of one object
PRINTED = (".log", ".out", ".txt", ".err")
"""Ends of names of what a program prints."""
_MARK = re.compile(rb'["\\{}\[\]]')


class JsonDocument:
    """The reader; see `Reader`."""

    name: ClassVar[str] = "json"
    by_lines: ClassVar[bool] = False

    def __init__(self) -> None:
        self.faults = Faults()
        self._rows = Rows(self.faults)
        self._frame = bytearray()
        self._depth = 0  # open brackets inside the frame
        self._text = False  # inside a string
        self._escaped = False
        self._over = False
        self.held = 0

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """A list of objects, an object that goes on after the first line, or a `.json` file of either kind.

        What a program prints may begin with its arguments as JSON, and goes on as text.
        """
        line = first_line(head)
        if line.startswith(b"["):
            return line[1:].lstrip().startswith(b"{") or line == b"["
        goes_on = line == b"{" or line.endswith((b",", b"[", b"{"))
        return line.startswith(b"{") and (name.endswith(".json") or (goes_on and not name.endswith(PRINTED)))

    def feed(self, data: bytes) -> list[Found]:
        """Rows of the objects that `data` completes."""
        found: list[Any] = []
        for frame in self._frames(data):
            value = parse(frame)
            if isinstance(value, dict):
                found += epochs(value)
            else:
                self.faults.add("line")
        self._rows.add(found)
        self.held = len(self._frame)
        return list(self._rows.take())

    def finish(self) -> list[Found]:
        """Nothing: an object that never closed holds no row. It is counted."""
        if self._depth:
            self.faults.add("line")
        self._frame.clear()
        self._depth, self._text, self._escaped, self._over, self.held = 0, False, False, False, 0
        return []

    def _frames(self, data: bytes) -> list[bytes]:
        """The objects that are now complete: from a brace outside of any object to the one that closes it."""
        frames, start = [], 0
        escaped = 0 if self._escaped else -1  # place of the character after a backslash: no mark, whatever it is
        for mark in _MARK.finditer(data):
            at, char = mark.start(), mark.group()
            if at == escaped:
                continue
            if self._text:
                escaped = at + 1 if char == b"\\" else escaped
                self._text = char != b'"'
            elif char == b'"':
                self._text = self._depth > 0
            elif char in b"{[" and (self._depth or char == b"{"):
                start = start if self._depth else at
                self._depth += 1
            elif char in b"}]" and self._depth:
                self._depth -= 1
                if not self._depth:
                    self._keep(data[start : at + 1])
                    frames += self._whole()
        self._escaped = escaped == len(data)
        if self._depth:
            self._keep(data[start:])
        return frames

    def _keep(self, data: bytes) -> None:
        self._over = self._over or len(self._frame) + len(data) > LIMIT
        if self._over:
            self._frame.clear()
        else:
            self._frame += data

    def _whole(self) -> list[bytes]:
        """The frame, now closed; nothing where it was over the limit."""
        frame, over = bytes(self._frame), self._over
        self._frame.clear()
        self._over = False
        if over:
            self.faults.add("document")
        return [] if over else [frame]


def epochs(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object: itself, or what it is a history of.

    Example:
        >>> epochs({"loss": [0.5, 0.4], "epoch": [1, 2]})
        [{'loss': 0.5, 'epoch': 1}, {'loss': 0.4, 'epoch': 2}]
        >>> epochs({"3": {"loss": 0.5}})
        [{'epoch': 3, 'loss': 0.5}]
    """
    values = list(document.values())
    if values and all(_is_numbers(value) for value in values) and len({len(value) for value in values}) == 1:
        return [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
    if values and all(isinstance(value, dict) for value in values) and all(key.isdecimal() for key in document):
        return [{COARSE[0]: int(key[:15])} | value for key, value in document.items()]
    for value in values:
        if isinstance(value, list) and len(value) > 1 and all(isinstance(row, dict) for row in value):
            return value
    return [document] if document else []


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(item is None or number(item) is not None for item in value)

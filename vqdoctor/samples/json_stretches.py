"""A JSON object or list of any size, a stretch at a time: what lies between two commas of its first level is JSON by itself.

A stretch is cut where a value seems to end, and handed to the parser in brackets of its own. If it parses, the cut was right,
because whatever was still open there would be missing its end; if not, it is cut elsewhere, or more is read. So what is read, and
what is refused, is what the parser of whole files reads and refuses, in the memory of a stretch. (ijson reads any JSON item by
item and as quickly, but a file of 100 kB that nests deep costs it gigabytes.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from vqdoctor.errors import CorruptInput, LimitExceeded, SampleError, printable

STRETCH = 1 << 20  # bytes
BOM = b"\xef\xbb\xbf"  # which Windows puts before text
LARGEST_WHOLE = 4 << 30
"""Bytes that may have to be parsed at once, where nothing shows how to cut them."""
_END = re.compile(rb'([\]}"])\s*,')  # of a value, and the comma after it
_LAST = 1 << 16  # bytes at the end of a stretch in which it is looked for
_TRIED = 3  # places of each kind of end
_PLAIN = rb'"[^"\\]*"\s*:\s*(?:-?\d[\d.eE+-]*|"[^"\\]*"|true|false|null)\s*,\s*'  # a member beside the one that is looked for
_BRACKETS = {b"{": b"}", b"[": b"]"}


def stretches(path: Path, fields: Sequence[str]) -> tuple[str | None, Iterator[Any]]:
    """The object or list of a file in stretches, each an object or list of some members, in order.

    Args:
        fields: keys that it may be under, in an object whose other members do not count.

    Returns:
        its key there, None where it is all of the file; and the stretches. They raise CorruptInput where the file is no JSON,
        SampleError where several of `fields` hold an object or list, LimitExceeded where it cannot be cut.
    """
    with path.open("rb") as file:
        head = file.read(STRETCH)
    if len(head) < STRETCH:
        return _whole(_parsed(head, path), fields)
    opening = _opening(head, fields)
    if opening is None:
        _refuse_large(path.stat().st_size, path)
        return _whole(_parsed(path.read_bytes(), path), fields)
    field = None if opening[1] is None else opening[1].decode()
    return field, _members(path, opening.end(), opening[2], field, fields)


def _opening(head: bytes, fields: Sequence[str]) -> re.Match[bytes] | None:
    """Up to the bracket [2] of the items, and their key [1] if there is one; None where the beginning does not show them."""
    names = b"|".join(re.escape(field.encode()) for field in fields)
    held = rb'"(%b)"\s*:\s*' % names
    opening = re.match(rb"(?:%b)?\s*(?:\{\s*(?:%b)*%b)?([\[{])" % (BOM, _PLAIN, held), head)
    if opening is None:
        return None
    cutter = _Cutter(head[opening.end() :], opening[2])
    first = cutter.cut()
    if opening[1] is None and isinstance(first, dict):  # they may be the second of its members, or the third
        later = any(isinstance(first.get(field), dict | list) for field in fields)
        if later or re.match(rb"\s*%b[\[{]" % held, cutter.rest):
            return None
    return None if first is None else opening


def _whole(data: Any, fields: Sequence[str]) -> tuple[str | None, Iterator[Any]]:
    field = next((name for name in fields if isinstance(data, dict) and isinstance(data.get(name), dict | list)), None)
    return field, iter([data if field is None else data[field]])


def _members(path: Path, start: int, bracket: bytes, field: str | None, fields: Sequence[str]) -> Iterator[Any]:
    with path.open("rb") as file:
        file.seek(start)
        cutter = _Cutter(b"", bracket)
        yield from _cut_off(file, cutter, path)
    before = bracket if field is None else b"{" + orjson.dumps(field) + b":" + bracket
    data = _parsed(before + cutter.rest, path, start + cutter.done - len(before))
    held = [name for name in fields if field is not None and (name == field or isinstance(data.get(name), dict | list))]
    if len(held) > 1:
        raise SampleError(f"holds items under {' and '.join(held)}", where=str(path), hint="Leave one of them.")
    yield data if field is None else data[field]


def _cut_off(file: BinaryIO, cutter: _Cutter, path: Path) -> Iterator[Any]:
    """Members as long as they can be cut off; where they cannot, twice as much is read."""
    want = STRETCH
    while more := file.read(want):
        cutter.rest += more
        members = cutter.cut()
        want = STRETCH if members is not None else max(STRETCH, len(cutter.rest))
        if members is not None:
            yield members
        else:
            _refuse_large(len(cutter.rest), path)


class _Cutter:
    """Cuts members off the beginning of what is read.

    Attributes:
        rest: what is not cut off. done: bytes that are.
    """

    def __init__(self, rest: bytes, bracket: bytes) -> None:
        self.rest, self.done = rest, 0
        self._bracket = bracket
        self._kinds = [b"]", b"}", b'"']  # of ends, the one that was right last first

    def cut(self) -> Any | None:
        """As many members as can be seen to be whole; None where there are none."""
        ends: dict[bytes, list[re.Match[bytes]]] = {}
        for end in _END.finditer(self.rest, max(0, len(self.rest) - _LAST)):
            ends.setdefault(end[1], []).append(end)
        for kind in self._kinds:
            for end in ends.get(kind, [])[: -_TRIED - 1 : -1]:
                try:
                    members = orjson.loads(b"".join((self._bracket, self.rest[: end.end() - 1], _BRACKETS[self._bracket])))
                except orjson.JSONDecodeError:
                    continue
                self.rest, self.done = self.rest[end.end() :], self.done + end.end()
                self._kinds.sort(key=lambda each: each != kind)
                return members
        return None


def _refuse_large(size: int, path: Path) -> None:
    if size > LARGEST_WHOLE:
        what = f"holds {LARGEST_WHOLE >> 30} GiB of JSON that is not item after item"
        raise LimitExceeded(what, where=str(path), hint="Save the IDs as .npy or .parquet.")


def _parsed(text: bytes, path: Path, before: int | None = None) -> Any:
    """Its value. before: bytes of the file before it, for messages; None where it is all of it."""
    try:
        return orjson.loads(text.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        what = printable(error if before is None else f"{error.msg} after {before + error.pos} bytes", 120)
        raise CorruptInput(f"is no JSON: {what}", where=str(path)) from None

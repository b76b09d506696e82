"""Whether JSON looks like semantic IDs, by its beginning: the first entry is read, whatever stands around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from orjson import loads

from vqdoctor.samples.id_lines import is_json_lines
from vqdoctor.samples.id_records import CATALOGUES, SAYING, holds_id

HEAD = 1 << 14  # bytes of a file that are looked at
_SPACE = re.compile(r"\s*")
_MOST_MEMBERS = 32  # looked at before the one that holds the catalogue


def looks_like_ids(head: bytes) -> bool:
    """Whether a JSON file, or one of JSON lines, that begins like this holds semantic IDs."""
    text = head.decode("utf-8-sig", errors="replace")
    return is_json_lines(head) or _Beginning(text).holds_ids(catalogue=True)


def first_entries(head: bytes, most: int) -> list[tuple[str | None, Any]]:
    """The first entries of a JSON file that begins like this, with the names they are under (None in a list).

    Where a catalogue is under a name for it, its entries. Of an entry that is cut off there is nothing.
    """
    return list(islice(_Beginning(head.decode("utf-8-sig", errors="replace")).entries(), most))


def first_lines(head: bytes) -> list[tuple[str | None, Any]]:
    """The first entry of a file of JSON lines, with its name; [] where it is none that has an ID a line."""
    if not is_json_lines(head):
        return []
    line = loads(head.split(b"\n", 1)[0].strip())
    name, entry = next(iter(line.items())) if isinstance(line, dict) and len(line) == 1 else (None, line)
    return [(name, entry)]


class _Beginning:
    """JSON that may end anywhere."""

    def __init__(self, text: str) -> None:
        from json import JSONDecoder  # orjson reads whole texts only

        self._text = text
        self._decode = JSONDecoder().raw_decode

    def holds_ids(self, at: int = 0, *, catalogue: bool, said: bool = False) -> bool:
        """An object or list at this place whose first entry holds an ID.

        Args:
            catalogue: also one level down, under a name for it. said: the name that this is under says so.
        """
        for number, (name, place) in enumerate(islice(self._parts(at), _MOST_MEMBERS if catalogue else 1)):
            if catalogue and name in CATALOGUES and self.holds_ids(place, catalogue=False, said=name in SAYING):
                return True
            if number == 0 and holds_id(self._value(place)[0], said=said):
                return True
            if name is None:
                break
        return False

    def entries(self) -> Iterator[tuple[str | None, Any]]:
        """Names and entries of the object or list that it is, or of the catalogue that it holds."""
        parts = self._parts(0)
        inner = (
            at for name, at in islice(parts, _MOST_MEMBERS)
            if name in CATALOGUES and self.holds_ids(at, catalogue=False, said=name in SAYING)
        )  # fmt: skip
        for name, at in self._parts(next(inner, 0)):
            value, _ = self._value(at)
            if value is not None:
                yield name, value

    def _parts(self, at: int) -> Iterator[tuple[str | None, int]]:
        """Names (None in a list) and places of what the object or list at this place holds."""
        at = self._after_space(at)
        named = self._text[at : at + 1] == "{"
        more = named or self._text[at : at + 1] == "["
        while more:
            key, at = self._value(at + 1) if named else (None, at)
            at = self._after_space(at)
            if named and (not isinstance(key, str) or self._text[at : at + 1] != ":"):
                return
            yield key, at + 1
            at = self._after_space(self._value(at + 1)[1])
            more = self._text[at : at + 1] == ","

    def _value(self, at: int) -> tuple[Any, int]:
        """The value at this place and where it ends; None and the end of the text where it is cut off, or none."""
        try:
            value, end = self._decode(self._text, self._after_space(at))
        except (ValueError, RecursionError):
            return None, len(self._text)
        return value, end

    def _after_space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

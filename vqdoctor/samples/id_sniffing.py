"""Whether JSON looks like semantic IDs, by its beginning: the first entry is read, whatever stands around it."""

from __future__ import annotations

import re
from typing import Any

from vqdoctor.samples.id_lines import is_json_lines
from vqdoctor.samples.id_records import CATALOGUES, SAYING, holds_id

_SPACE = re.compile(r"\s*")
_MOST_MEMBERS = 32  # looked at before the one that holds the catalogue


def looks_like_ids(head: bytes) -> bool:
    """Whether a JSON file, or one of JSON lines, that begins like this holds semantic IDs."""
    text = head.decode("utf-8-sig", errors="replace")
    return is_json_lines(head) or _Beginning(text).holds_ids(catalogue=True)


class _Beginning:
    """JSON that may end anywhere."""

    def __init__(self, text: str) -> None:
        from json import JSONDecoder  # orjson reads whole texts only

        self._text = text
        self._decode = JSONDecoder().raw_decode

    def holds_ids(self, at: int = 0, *, catalogue: bool, said: bool = False) -> bool:
        """An object or list at this place whose first entry holds an ID. catalogue: also one level down, under a name for it; said:
        that name says so."""
        at = self._after_space(at)
        opening = self._text[at : at + 1]
        if opening == "[":
            return holds_id(self._value(at + 1)[0], said=said)
        return opening == "{" and self._members(at + 1, catalogue=catalogue, said=said)

    def _members(self, at: int, *, catalogue: bool, said: bool) -> bool:
        for number in range(_MOST_MEMBERS):
            key, end = self._value(at)
            at = self._after_space(end)
            if not isinstance(key, str) or self._text[at : at + 1] != ":":
                return False
            if catalogue and key in CATALOGUES and self.holds_ids(at + 1, catalogue=False, said=key in SAYING):
                return True
            value, end = self._value(at + 1)
            if number == 0 and holds_id(value, said=said):
                return True
            at = self._after_space(end)
            if not catalogue or self._text[at : at + 1] != ",":
                return False
            at += 1
        return False

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

"""What one entry of a file says: which of its fields is the ID, and which names the item. The same for JSON, tables and lines."""

from __future__ import annotations

import re
from typing import Any

from vqdoctor.samples.id_writing import LETTERS
from vqdoctor.samples.tokens import JOINED, SINGLE, unframed

MOST_TOKENS = 64  # of an ID; a longer list is something else
ID_FIELDS = ("codes", "sid", "semantic_id", "semantic_ids", "tokens", "code", "sids")
CATALOGUES = ("items", "semantic_ids", "codes", "sids", "item2sid", "item_to_sid", "id2sid", "item2codes", "indices", "ids")
"""Keys that a whole catalogue is under."""
ITEM_FIELDS = frozenset({"item_id", "item", "pid", "asin", "iid", "sku"})
NAME_FIELDS = ("item_id", "item", "id", "pid", "asin", "iid", "sku", "name", "key", "title", "index", "")
SAYING = frozenset({*ID_FIELDS, *CATALOGUES} - {"tokens", "code", "items", "indices", "ids"})
"""Those of the names above that hardly anything but IDs goes by."""
LEAST_LETTERED = 3  # tokens "a1", "b2", "c3" that no list of words is
_LETTERED = re.compile(r"([a-z])\d{1,9}")
LEVEL_FIELD = re.compile(r"(?i)[a-z_ -]*\d+_?|[a-z]")


def id_of(entry: Any) -> Any:
    """The ID inside a record: a field of its own, or one a level; anything else is left to whoever reads the tokens."""
    if not isinstance(entry, dict):
        return entry
    return next((entry[field] for field in ID_FIELDS if field in entry), _levels(entry) or entry.values())


def _levels(record: dict[str, Any]) -> list[Any]:
    """One token a field; where an item has no de-duplication token its field is empty."""
    return [value for key, value in record.items() if LEVEL_FIELD.fullmatch(key) and value is not None]


def name_field(record: Any) -> str | None:
    """The field of a record that looks like a name; None where it has none, or is no record."""
    return next((field for field in NAME_FIELDS if field in record), None) if isinstance(record, dict) else None


def named(entry: Any) -> tuple[Any, Any]:
    """Of an entry by itself: what it calls the item, None where it does not, and what should be its ID; ``{item: ID}`` has both."""
    if not isinstance(entry, dict):
        return None, entry
    if len(entry) == 1 and entry.keys().isdisjoint(ID_FIELDS):
        return next(iter(entry.items()))
    return entry.get(name_field(entry) or ""), id_of(entry)


def holds_id(entry: Any, *, said: bool = False) -> bool:
    """Whether an entry is an ID, or a record that has one: whole numbers or tokens, or a string of several.

    A record without a name for its ID has it a field a level, beside one that only items have: a log has numbered fields as well.

    Args:
        said: it stands under a name that says that it is an ID. Then also "a12" is a token, and 12.0 a whole number: elsewhere
            two such tokens may be words, and such numbers are more often features.
    """
    if isinstance(entry, dict):
        field = next((field for field in ID_FIELDS if field in entry), None)
        levels = _levels(entry) if not entry.keys().isdisjoint(ITEM_FIELDS) else []
        said = said or field in SAYING
        entry = entry[field] if field is not None else levels if len(levels) > 1 else None
    if isinstance(entry, str):
        return JOINED.fullmatch(unframed(entry)) is not None
    tokens = entry if isinstance(entry, list) and len(entry) <= MOST_TOKENS else []
    plain = bool(tokens) and all(type(token) in (int, str) and SINGLE.fullmatch(str(token)) for token in tokens)
    return plain or _lettered(tokens, 1 if said else LEAST_LETTERED) or (said and _whole(tokens))


def _lettered(tokens: list[Any], least: int) -> bool:
    """Tokens like "a12" and "b7", at least so many, whose letters are those of the alphabet in order."""
    found = [_LETTERED.fullmatch(token) if isinstance(token, str) else None for token in tokens]
    letters = "".join(match[1] for match in found if match is not None)
    return least <= len(found) == len(letters) and letters == LETTERS[: len(letters)]


def _whole(tokens: list[Any]) -> bool:
    """Numbers of codes, written with a point."""
    return bool(tokens) and all(type(token) in (int, float) and 0 <= token == token // 1 for token in tokens)

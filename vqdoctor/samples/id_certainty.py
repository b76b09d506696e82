"""Whether a file holds semantic IDs and nothing else: asked of what somebody named as a training log, which may look much alike.

Whoever asks for IDs wants columns of whole numbers read as IDs; whoever asks for a log wants them read as curves. So a look here
demands more than `sniff_ids`: tokens marked with their level, a name that only IDs or items have, or entries of whole numbers that
no history has; and nowhere a name that says where a row stands. It reads the beginning only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vqdoctor.errors import InputError, SampleError
from vqdoctor.samples.id_files import table_head
from vqdoctor.samples.id_records import ITEM_FIELDS, MOST_TOKENS, id_of
from vqdoctor.samples.id_sniffing import HEAD, first_entries, first_lines
from vqdoctor.samples.semantic_ids import sniff_ids
from vqdoctor.samples.tokens import JOINED, SINGLE, unframed

OF_IDS = frozenset({"sid", "sids", "semantic_id", "semantic_ids"})
"""Fields that nothing but an ID is under."""
LEVEL = re.compile(r"(?:c|code|sid|semantic_id|token|id|[a-h])_?\d{0,2}")
"""What tables call the columns of an ID, one a level."""
MANY = 8  # entries of whole numbers under any names: more curves than a history has that are all of whole numbers
COLUMNS = 2  # of a table without names that may be a step and a count


def is_surely_ids(path: str | Path, axes: Collection[str], *, in_doubt: bool = False) -> bool:
    """Whether a file is semantic IDs beyond doubt, or assigned codes as an array or a table in parquet.

    Args:
        axes: names, in lower case, by which a log says where a row stands ("step", "epoch"). in_doubt: what to answer for a table
            of whole numbers that nothing names.
    """
    path = Path(path)
    kind = sniff_ids(path)
    if kind in ("npy", "parquet"):
        return True
    if kind is None:
        return False
    try:
        return _is_table_of_ids(path, axes, in_doubt) if kind == "csv" else _is_json_of_ids(path, axes)
    except (OSError, InputError, SampleError):
        return False


def _is_table_of_ids(path: Path, axes: Collection[str], in_doubt: bool) -> bool:
    header, rows = table_head(path)
    names = {name.strip().lower() for name in header}
    if not names.isdisjoint(axes):
        return False
    if any(_is_marked(cell) for row in rows[:1] for cell in row) or not names.isdisjoint(ITEM_FIELDS | OF_IDS):
        return True
    if header:
        return len(names) > 1 and all(LEVEL.fullmatch(name) for name in names)
    return in_doubt and len(rows) > 1 and (len(rows[0]) > COLUMNS or (len(rows[0]) == COLUMNS and not _rises(rows)))


def _rises(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column could be a step."""
    first = [int(row[0][:18]) for row in rows if row[0].isdecimal()]
    return len(first) == len(rows) and first == sorted(set(first))


def _is_json_of_ids(path: Path, axes: Collection[str]) -> bool:
    with path.open("rb") as file:
        head = file.read(HEAD)
    entries = first_lines(head) or first_entries(head, MANY)
    return bool(entries) and all(_speaks_of_no_step(name, entry, axes) for name, entry in entries) and _are_ids(entries)


def _speaks_of_no_step(name: str | None, entry: Any, axes: Collection[str]) -> bool:
    return (name or "").lower() not in axes and not (isinstance(entry, dict) and any(key.lower() in axes for key in entry))


def _are_ids(entries: Sequence[tuple[str | None, Any]]) -> bool:
    name, entry = entries[0]
    if isinstance(entry, dict) and not entry.keys().isdisjoint(ITEM_FIELDS | OF_IDS):
        return True
    tokens = id_of(entry)
    if any(map(_is_marked, [tokens] if isinstance(tokens, str) else islice(_listed(tokens), MOST_TOKENS))):
        return True
    if isinstance(entry, dict):  # of numbers under names of its own: a row of a log
        return False
    named = name is not None and not name.isdecimal() and len(entries) < MANY
    return not named and all(map(_is_whole, (entry for _, entry in entries)))


def _listed(tokens: Any) -> Iterable[Any]:
    return tokens if isinstance(tokens, list) else ()


def _is_whole(entry: Any) -> bool:
    """An ID of bare numbers, listed or joined."""
    if isinstance(entry, str):
        return JOINED.fullmatch(entry) is not None
    return isinstance(entry, list) and 0 < len(entry) <= MOST_TOKENS and all(type(token) is int for token in entry)


def _is_marked(token: Any) -> bool:
    """A token that says of which level it is, or several: "<a_12>", "a_12", "<a_12><b_7>"."""
    text = unframed(token.strip()) if isinstance(token, str) else ""
    return bool(re.search("[A-Za-z]", text)) and bool(SINGLE.fullmatch(text) or JOINED.fullmatch(text))

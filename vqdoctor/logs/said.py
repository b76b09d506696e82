"""What an event says, taken in: of certain types, of a bounded size, and such that every view can write it.

Its own module because logs, recordings and the readers of plugins may say anything (lists where a name belongs, brackets without
end, whole numbers of a thousand digits, text that is no text), and rules, views and files of state rely on what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vqdoctor.logs.numbers import number
from vqdoctor.model import Event

LONGEST = 4096  # characters of a text
DEEPEST = 16  # containers inside containers
VALUES = 20_000  # of one event
PLACES = {"quantizer": str, "level": int, "rank": int, "file": str, "hash": str, "rules": list}
"""What tells one thing from another: left out where it is of another type."""


def tidy(event: Event) -> Event:
    """`event` with what can be kept of its detail. Deeper containers, and values past the bound, are left out; texts are cut."""
    usage = event.kind == "usage"
    told = {key: value for key, value in event.detail.items() if key != "counts"} if usage else event.detail  # counts are many
    kept = Room(VALUES).kept(told, 0)
    said = kept if isinstance(kept, dict) else {}
    detail = {key: value for key, value in said.items() if type(value) is PLACES.get(key, type(value))}
    if usage:
        detail["counts"] = counts_of(event.detail.get("counts"))
    return Event(text(event.kind), number(event.step), detail, number(event.time))


def weight(event: Event) -> int:
    """About the bytes that a tidy event takes."""
    return 200 + _weight(event.detail)


class Room:
    """Values that still fit."""

    def __init__(self, values: int) -> None:
        self._left = values

    def kept(self, value: Any, depth: int) -> Any:
        """`value` as JSON has it, None for what is left out."""
        self._left -= 1
        if isinstance(value, bool | float) or value is None:
            return value
        if isinstance(value, int):
            return value if -(1 << 63) <= value < 1 << 63 else number(value)
        if isinstance(value, Mapping | list | tuple):
            return self._container(value, depth) if depth < DEEPEST else None
        return text(value)

    def _container(self, value: Any, depth: int) -> Any:
        if not isinstance(value, Mapping):
            return [self.kept(item, depth + 1) for item in value if self._left > 0]
        return {text(key): self.kept(item, depth + 1) for key, item in value.items() if self._left > 0}


def text(value: Any) -> str:
    """Text that can be written as UTF-8: lone surrogates become escapes."""
    return str(value)[:LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")


def counts_of(pairs: Any) -> np.ndarray:
    """Codes and their hits, (n, 2) int64; what is no such pair is left out."""
    whole = _all_pairs(pairs)
    if whole is not None:
        return whole
    good = [
        pair
        for pair in (pairs if isinstance(pairs, list | tuple | np.ndarray) else ())
        if isinstance(pair, list | tuple | np.ndarray)
        and len(pair) == 2
        and all(isinstance(part, int | np.integer) and 0 <= part < 1 << 62 for part in pair)
    ]
    return np.array(good, np.int64).reshape(-1, 2)


def _all_pairs(pairs: Any) -> np.ndarray | None:
    """All of them, where none has to be left out: as many as a book has codes, too many to look at each."""
    try:
        array = np.array(pairs)
    except (ValueError, OverflowError):
        return None
    pairwise = array.dtype == np.int64 and array.ndim == 2 and array.shape[1] == 2
    return array if pairwise and array.size and array.min() >= 0 and array.max() < 1 << 62 else None


def _weight(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str):
        return 60 + len(value)
    if isinstance(value, dict):
        return 100 + sum(100 + len(key) + _weight(item) for key, item in value.items())
    return 80 + sum(map(_weight, value)) if isinstance(value, list) else 32

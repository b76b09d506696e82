"""Numbers as they are found, put together into one `Points` a series, in the order of the rows they came from.

Two ways in: whole columns, because a log is mostly rows of the same keys and Python is slow a number at a time, and single numbers
for everything else. A series may get both; the ordinal of the row puts them in order again.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from vqdoctor.model import Points, SeriesKey

UNKNOWN = float("nan")
Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Gatherer:
    """Collects until `take` is called."""

    def __init__(self) -> None:
        self._columns: dict[SeriesKey, list[Part]] = {}
        self._single: dict[SeriesKey, array[float]] = {}

    def columns(
        self, keys: Sequence[SeriesKey], table: np.ndarray, ordinals: np.ndarray, steps: np.ndarray, times: np.ndarray
    ) -> None:
        """One number a row for each of `keys`: table (len(keys), n), and ordinals, steps, times (n,)."""
        for key, values in zip(keys, table, strict=True):
            self._columns.setdefault(key, []).append((ordinals, steps, values, times))

    def one(self, key: SeriesKey, ordinal: int, step: float, value: float, time: float = UNKNOWN) -> None:
        """A single number."""
        flat = self._single.get(key)
        if flat is None:
            flat = self._single[key] = array("d")
        flat.extend((ordinal, step, value, time))

    def take(self) -> list[Points]:
        """Everything collected since the last call."""
        parts, singles = self._columns, self._single
        self._columns, self._single = {}, {}
        for key, flat in singles.items():
            rows = np.array(flat).reshape(-1, 4)
            rows = rows[np.argsort(rows[:, 0], kind="stable")].T  # rows of another shape may have come first
            parts.setdefault(key, []).append((rows[0], rows[1].copy(), rows[2].copy(), rows[3].copy()))
        return [_joined(key, pieces) for key, pieces in parts.items()]


def _joined(key: SeriesKey, pieces: list[Part]) -> Points:
    if len(pieces) == 1:
        return Points(key, *pieces[0][1:])
    ordinals, steps, values, times = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.argsort(ordinals, kind="stable")
    return Points(key, steps[order], values[order], times[order])

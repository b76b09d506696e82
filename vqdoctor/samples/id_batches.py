"""Record batches of a parquet file to semantic IDs: whole columns where they are whole numbers or tokens, else row by row.

By columns each different value of a batch becomes a Python object and is parsed once, by the parser of single tokens; the rest are
places in arrays. What holds gaps where no ID has one, or lists of lists, goes row by row, where it is read or refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqdoctor.samples.id_writing import DEDUP
from vqdoctor.samples.parquet import arrow, is_list
from vqdoctor.samples.tokens import Numbers

ROWS = 1 << 14  # of a batch, at most: more are not read faster, and hold memory
_GAP = -1


@dataclass(frozen=True, slots=True)
class IdBatch:
    """Some rows of the columns that hold the ID.

    Attributes:
        columns: pyarrow arrays: one of lists or strings, or one a level. deduplicated: the last is named as a de-duplication token.
    """

    columns: Sequence[Any]
    deduplicated: bool

    @property
    def is_plain(self) -> bool:
        """Whether it can be read by columns: all hold single tokens, with no gaps but in the last of several."""
        last = self.columns[-1]
        if self._whole:
            return is_list(arrow().types, last.type) and not last.null_count and _is_plain(last.flatten())
        may_have_gaps = len(self.columns) > 1 and not self.deduplicated
        return all(map(_is_plain, self.columns[:-1])) and _is_plain(last, gaps=may_have_gaps)

    def items(self) -> Iterator[Any]:
        """The ID of each row."""
        held = [column.to_pylist() for column in self.columns]
        if self._whole:
            yield from held[0]
            return
        if self.deduplicated:
            held[-1] = [*map(_rank, held[-1])]
        rows = zip(*held, strict=True)
        gaps = len(held) > 1 and any(column.null_count or arrow().types.is_floating(column.type) for column in self.columns)
        yield from map(_without_gap, rows) if gaps else rows

    def flattened(self, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`vqdoctor.samples.tokens.Block`."""
        if self._whole:
            return np.from_dlpack(self.columns[0].value_lengths()), _without_gaps(_numbers(self.columns[0].flatten(), numbers))
        columns = [_numbers(column, numbers) for column in self.columns[:-1]]
        last = _numbers(self.columns[-1], numbers, marked=self.deduplicated)
        table = np.stack([*map(_without_gaps, columns), last], axis=1)
        there = table != _GAP
        return there.sum(axis=1), table[there]

    @property
    def _whole(self) -> bool:
        """One column holds the whole ID."""
        return len(self.columns) == 1 and "int" not in str(self.columns[0].type).split("<")[0]


def named(column: Any) -> Iterator[str]:
    """What a column calls the items; made once the first is asked for."""
    yield from map(str, column.to_pylist())


def _is_plain(values: Any, *, gaps: bool = False) -> bool:
    kind, types = values.type, arrow().types
    number = types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind)
    return (gaps or not values.null_count) and (number or types.is_string(kind) or types.is_large_string(kind))


def _numbers(values: Any, numbers: Numbers, *, marked: bool = False) -> np.ndarray:
    """The number of each value, with its mark; `_GAP` where there is none. marked: they are de-duplication tokens."""
    encoded = values.dictionary_encode("encode")
    tokens = encoded.dictionary.to_pylist()
    found = [_GAP if token is None or token != token else numbers[_rank(token) if marked else token] for token in tokens]
    return np.array(found, np.int64)[np.from_dlpack(encoded.indices)]  # np.asarray would load pandas


def _rank(value: Any) -> str:
    """A de-duplication token without its mark, which is the name of its column."""
    return f"<{DEDUP}_{value}>"


def _without_gaps(numbers: np.ndarray) -> np.ndarray:
    if (numbers == _GAP).any():
        raise ValueError("a gap where none may be")
    return numbers


def _without_gap(row: Sequence[Any]) -> Sequence[Any]:
    """An item without a de-duplication token has none in the last column."""
    return row[:-1] if row[-1] is None or row[-1] != row[-1] else row

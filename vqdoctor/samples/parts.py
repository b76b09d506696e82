"""Rows cut into parts that other processes can read: what a cluster is handed instead of the rows.

A part of a file names the file and a range of it, so that who counts it reads it, and rows do not pass through whoever handed it
out. A part of rows that only this process has holds them. Its own file because reading (`features`) must not know how work is
shared out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PART_ROWS = 1 << 16
MOST_PARTS = 1024
"""Beyond as many the parts grow: what they leave behind has to be put together again."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of one file, in the steps that it is read by: row groups of a table, else steps of the array's first axis.

    Attributes:
        path, name: as `open_rows` takes them. start, stop: the steps. rows: how many rows that is.
        reader: the open file, in the process that opened it; it does not travel.
    """

    path: str
    name: str | None
    start: int
    stop: int
    rows: int
    reader: Any = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Piece, (os.path.abspath(self.path), self.name, self.start, self.stop, self.rows)


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of a sample.

    Attributes:
        path: of the sample, for messages. first: number of its first row. rows: how many, bad ones included.
        pieces: where they lie. held: or the rows themselves, (rows, D) of any number type.
    """

    path: str
    first: int
    rows: int
    pieces: tuple[Piece, ...] = ()
    held: np.ndarray | None = None


def part_rows(n: int | None) -> int:
    """Rows of a part of n: a matter of the sample alone, so that no number rests on how many workers there are."""
    return max(PART_ROWS, -(-(n or 0) // MOST_PARTS))


def gathered(path: str, pieces: Iterable[Piece], size: int) -> Iterator[Part]:
    """Parts of at most `size` rows where the pieces allow it: small files are counted together."""
    first, rows, waiting = 0, 0, list[Piece]()
    for piece in pieces:
        if waiting and rows + piece.rows > size:
            yield Part(path, first, rows, tuple(waiting))
            first, rows, waiting = first + rows, 0, []
        waiting.append(piece)
        rows += piece.rows
    if waiting:
        yield Part(path, first, rows, tuple(waiting))

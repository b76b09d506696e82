"""What of an ID is code and what is book-keeping: the de-duplication token at its end, and whether codes count from 0 or from 1.

Both are questions about all items at once. They are answered from a survey of the columns and from the sorted distinct IDs, which
whoever calls may have counted on disk, so that a file of any size can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vqdoctor.errors import SampleError
from vqdoctor.samples.tokens import TokenTable

BY_CHANCE = 0.5  # chance above which "no code is 0" proves nothing
BLOCK = 1 << 16  # rows at a time

Counted = tuple[np.ndarray, np.ndarray]
"""Distinct rows (u, W) in lexicographic order, and how many items have each (u,)."""
Distinct = Callable[[Iterable[np.ndarray], Sequence[int]], Iterator[Counted]]
"""Counts rows: blocks (b, W) of integers, each in [0, sizes), to the distinct ones, in order, in parts."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Of each column: the lowest and the highest code (W,), and how many differ (W,); the last not where nothing depends on it."""

    lowest: np.ndarray
    highest: np.ndarray
    distinct: np.ndarray

    def first(self, columns: int) -> Survey:
        """Of the first columns."""
        return Survey(self.lowest[:columns], self.highest[:columns], self.distinct[:columns])

    def without(self, offsets: Sequence[int]) -> Survey:
        """After a number is taken away from each column; () for none."""
        return Survey(self.lowest - offsets, self.highest - offsets, self.distinct) if offsets else self

    @property
    def rising(self) -> bool:
        """Each column lies above the one before, as in a vocabulary that the levels share; it may turn out false as rows come."""
        return len(self.lowest) > 1 and bool((self.lowest[1:] > self.highest[:-1]).all())


def survey(table: TokenTable, seen: Callable[[int], None] = lambda n: None) -> Survey:
    """One pass over a table. seen: told of rows done.

    Raises:
        SampleError: a code below 0; the message names its row.
    """
    lowest, highest = np.full(table.width, np.iinfo(np.int64).max), np.full(table.width, -1)
    codes = [np.zeros(0, np.int64)] * table.width
    done = 0
    for block in table.blocks(BLOCK):
        if not table.ragged and len(bad := np.flatnonzero(block.min(axis=1) < 0)):
            what = f"row {done + bad[0]} holds a negative code"
            raise SampleError(what, where=table.path, hint="Leave items without an ID out.")
        lowest, highest = np.minimum(lowest, block.min(axis=0)), np.maximum(highest, block.max(axis=0))
        inner = max(1, table.width - 1)
        rising = Survey(lowest, highest, lowest).first(max(2, inner)).rising
        if rising or lowest[:inner].min() > 0:  # else a 0 before the last token has settled where codes begin
            codes = [np.union1d(known, column) for known, column in zip(codes, block.T, strict=True)]
        done += len(block)
        seen(len(block))
    return Survey(lowest, highest, np.array([len(known) for known in codes]))


def distinct_in_memory(blocks: Iterable[np.ndarray], sizes: Sequence[int]) -> Iterator[Counted]:
    """The `Distinct` of whoever has no better one: all rows are held and sorted."""
    rows = np.concatenate(list(blocks))
    rows = rows[np.lexsort(rows.T[::-1])]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
    yield rows[starts], np.diff(starts, append=len(rows))


def suffix_of(
    table: TokenTable, columns: Survey, told: bool | None = None, distinct: Distinct = distinct_in_memory
) -> tuple[bool, str]:
    """Whether the last token is a de-duplication token, and why (contract §4).

    It is one if its values within every group of equal prefixes are just 0…g−1 or 1…g (from any number where all columns share
    one vocabulary, each with its own part of it), or if only colliding items have it. A constant last column is a (collapsed)
    level, unless the IDs are ragged.

    Args:
        told: the user's word, which overrides the looks.

    Raises:
        SampleError: IDs of two lengths whose extra token cannot be one.
    """
    if told is not None:
        if table.ragged and not told:
            what = f"{_two_lengths(table)}: the last token cannot be a level"
            raise SampleError(what, where=table.path, hint="Leave --suffix out, or say --suffix yes.")
        if told and table.width == 1:
            raise SampleError("IDs of one token have none to spare for de-duplication", where=table.path, hint="Drop --suffix.")
        return told, "as told by --suffix"
    return _ragged_suffix(table, columns, distinct) if table.ragged else _fixed_suffix(table, columns, distinct)


def _ragged_suffix(table: TokenTable, columns: Survey, distinct: Distinct) -> tuple[bool, str]:
    for ids, items in _groups(table.blocks(BLOCK), columns, distinct):
        starts = _prefix_starts(ids)
        alone = np.repeat(np.add.reduceat(items, starts) == 1, np.diff(starts, append=len(ids))) & (ids[:, -1] >= 0)
        if alone.any():
            name = table.called(_row_of(table, ids[alone.argmax()]))
            what = f"{_two_lengths(table)}, and item {name} has the extra token though no other item shares the ones before"
            hint = "If it is a de-duplication token all the same, say --suffix yes."
            raise SampleError(what, where=table.path, hint=hint)
    return True, f"only items that share the tokens before it have a token {table.width}: it tells them apart"


def _fixed_suffix(table: TokenTable, columns: Survey, distinct: Distinct) -> tuple[bool, str]:
    levels = table.width
    if levels == 1:
        return False, "IDs have one token, which is a level"
    if columns.lowest[-1] == columns.highest[-1]:
        return False, f"token {levels} is {columns.highest[-1]} for every item: a collapsed level, not a de-duplication token"
    first = _numbered_from(table, columns, distinct)
    if first is not None:
        return True, f"token {levels} numbers the items of every group of equal prefixes from {first}"
    return False, f"the values of token {levels} do not number the items of equal prefixes: it is a level"


def _numbered_from(table: TokenTable, columns: Survey, distinct: Distinct) -> int | None:
    """From where the last token numbers the items of each prefix, None where it does not: 0, 1, or its part of the vocabulary.

    Two equal IDs, best met early, rule that out.
    """
    first = int(columns.lowest[-1])
    shared = len(columns.lowest) > 2 and columns.rising  # one level below another may lie so by chance
    if (first > 1 and not shared) or columns.highest[-1] - first >= table.n:
        return None
    for rows in dict.fromkeys((min(table.n, 16 * BLOCK), table.n)):
        blocks = (table.read(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK))
        for ids, items in _groups(blocks, columns, distinct):
            if (items > 1).any() or (rows == table.n and not _numbers_groups(ids, first)):
                return None
    return first


def _numbers_groups(ids: np.ndarray, first: int) -> bool:
    """The last token of distinct IDs in order numbers each group of equal prefixes from `first`."""
    starts = _prefix_starts(ids)
    rank = np.arange(len(ids)) - np.repeat(starts, np.diff(starts, append=len(ids)))
    return bool((ids[:, -1] == rank + first).all())


def _groups(blocks: Iterable[np.ndarray], columns: Survey, distinct: Distinct) -> Iterator[Counted]:
    """Distinct IDs and their items in parts that end where a group of equal prefixes ends."""
    shift = np.zeros(len(columns.highest), np.int64)
    shift[-1] = 1  # items without a last token have −1 there
    rest: list[Counted] = []
    for ids, items in distinct((block + shift for block in blocks), (columns.highest + 1 + shift).tolist()):
        rest.append((ids - shift, items))
        ids, items = (np.concatenate(parts) for parts in zip(*rest, strict=True))
        last = int((ids[:, :-1] == ids[-1, :-1]).all(axis=1).argmax())
        rest = [(ids[last:], items[last:])]
        if last:
            yield ids[:last], items[:last]
    yield from rest


def _prefix_starts(ids: np.ndarray) -> np.ndarray:
    """Where each group of equal prefixes begins."""
    return np.flatnonzero(np.r_[True, (ids[1:, :-1] != ids[:-1, :-1]).any(axis=1)])


def _row_of(table: TokenTable, row: np.ndarray) -> int:
    """The number of the first such row."""
    at = 0
    for block in table.blocks(BLOCK):
        if len(found := np.flatnonzero((block == row).all(axis=1))):
            return at + int(found[0])
        at += len(block)
    raise ValueError("the table has no such row")


def _two_lengths(table: TokenTable) -> str:
    many = sum(int((block[:, -1] >= 0).sum()) for block in table.blocks(BLOCK))
    return f"{table.n - many} IDs have {table.width - 1} tokens and {many} have {table.width}"


def base_of(columns: Survey, items: int, ragged: bool, sizes: Sequence[int] | None = None) -> tuple[int, str]:
    """Whether the codes of these columns count from 0 or 1, and on what grounds.

    Judged over all levels together. Where none holds a 0, the chance of that for 0-based codes is estimated as ∏(1 −
    distinct/(max+1)): in a handful of items it means nothing.
    """
    highest, levels = columns.highest, len(columns.highest)
    if columns.lowest.min() == 0:
        return 0, "code 0 occurs"
    if sizes is not None and len(sizes) == levels and (highest >= np.asarray(sizes)).any():
        return 1, "no code is 0 and the highest equals the codebook's size"
    if ragged:
        return 1, "no code is 0 and only some items have a de-duplication token, as the 1-based writers do"
    if np.prod(1 - columns.distinct / (highest + 1)) <= BY_CHANCE:
        return 1, f"no code is 0 at any of {levels} levels over {items} items"
    return 0, f"no code is 0, but {items} items are too few to tell: taken as counting from 0"

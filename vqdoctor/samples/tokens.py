"""Tokens of semantic IDs to numbers: "<a_236>", "a_236", "236" or 236; items of one or of two neighbouring lengths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from vqdoctor.errors import SampleError, printable
from vqdoctor.samples.spool import Spool

_TOKEN = re.compile(r"[<\[]?\|?(?:([A-Za-z]\w*?)[_-]?)?(\d{1,9})(?:\.0+)?\|?[>\]]?")
_BRACKETED = re.compile(r"<[^<>]*>")
_FRAME = re.compile(r"<\|?\w*?(?:begin|start|end)\|?>")  # around OneRec's: "<|sid_begin|><s_a_1><s_b_2><|sid_end|>"
_SEPARATORS = re.compile(r"[\s,;|/_-]+")
_MARKED = (
    r"<\|?[A-Za-z]\w*(?:-\d+|(?<=\d))\|?>"  # one way to match each, so that a cell of 100,000 digits costs no more than its length
)
JOINED = re.compile(rf"(?:{_MARKED}\s*){{2,}}|[\[(]?\s*\d+(?:[\s,;|/_-]+\d+)+\s*[\])]?")
SINGLE = re.compile(rf"{_MARKED}|[A-Za-z]_\d+|\d+")
_CHUNK = 1 << 12  # entries turned into numbers at a time: few enough for the collector of garbage to leave them alone
_HELD_BYTES = 4 << 20  # of numbers in memory; more go to a file without a name
SHIFT = 32  # of a level's mark above its number, in one integer


class Block(Protocol):
    """Some entries after each other, at least one, held by columns."""

    def flattened(self, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """How many tokens each has, (b,), and all of them, one after the other, as numbers with marks.

        Raises:
            ValueError, TypeError: one is no token.
        """
        ...


@dataclass(frozen=True, slots=True)
class Items:
    """What a file holds, before its tokens are read: per item a sequence of tokens or one string of them.

    Attributes:
        path: the file. dialect: its format in words.
        items: one entry an item, in order. names: what the file calls them; filled by the time `items` is exhausted.
        first_line: for tables, the line that entry 0 is on; messages then name lines, not items.
        blocks: the same entries by columns, where a table holds them so. What is wrong in them is found, but not where: who is
            told of it reads the `items` of the file opened anew. Either is read, not both: they share the names.
    """

    path: str
    dialect: str
    items: Iterable[Any]
    names: Sequence[str] | None = None
    first_line: int | None = None
    blocks: Iterable[Block | list[Any]] | None = None

    def called(self, row: int) -> str:
        """Entry `row` for a message."""
        if self.first_line is not None:
            return f"line {self.first_line + row}"
        return f"item {printable(row if self.names is None or row >= len(self.names) else self.names[row], 40)}"


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Tokens as numbers, read in blocks, as often as need be.

    Attributes:
        n: items. width, shortest: tokens of the longest and of the shortest ID.
        read: read(start, stop) → (b, width) integers as written, −1 where an item is shorter.
        letters: mark of each column, () for bare numbers. names, dialect: as in :class:`Items`; no names where there are too many.
    """

    n: int
    width: int
    shortest: int
    read: Callable[[int, int], np.ndarray]
    letters: tuple[str, ...]
    names: Sequence[str] | None
    dialect: str
    path: str

    @property
    def ragged(self) -> bool:
        """IDs have two lengths."""
        return self.shortest < self.width

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """All rows in order, (b, width) with b ≤ size."""
        for start in range(0, self.n, size):
            yield self.read(start, min(start + size, self.n))

    def called(self, row: int) -> str:
        """Item `row` for a message."""
        return printable(row if self.names is None else self.names[row], 40)


class Numbers(dict[Any, int]):
    """token → number, with the mark of its level in the high bits; each distinct token is parsed once."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[str] = []

    def __missing__(self, token: Any) -> int:
        match = _TOKEN.fullmatch(token) if isinstance(token, str) else None
        if match is not None:
            mark, number = match[1] or "", int(match[2])
        elif isinstance(token, int | float) and not isinstance(token, bool) and 0 <= token < 1e9 and token == int(token):
            mark, number = "", int(token)
        else:
            raise ValueError(token)
        if mark not in self.marks:
            self.marks.append(mark)
        value = self[token] = (self.marks.index(mark) << SHIFT) | number
        return value


def frame(token: str) -> tuple[str, str] | None:
    """What stands before and behind the number of a token, such that any number of up to nine digits may stand between, with the
    mark unchanged; None where there is no such frame."""
    match = _TOKEN.fullmatch(token)
    if match is None or token[: match.start(2)][-1:].isdigit():
        return None
    return token[: match.start(2)], token[match.end(2) :]


def split(text: str) -> list[str]:
    """The tokens of one string: "<a_1><b_2>" → ["<a_1>", "<b_2>"]; "1-12-3", "1 12 3" and "[1, 12, 3]" → ["1", "12", "3"]."""
    if "<" in text:
        tokens = _BRACKETED.findall(text)
        inner = tokens[bool(_FRAME.fullmatch(tokens[0])) : len(tokens) - bool(_FRAME.fullmatch(tokens[-1]))] if tokens else []
        return inner if "".join(tokens) == "".join(text.split()) else [text]
    return _SEPARATORS.split(text.strip(" \t[]()"))


def unframed(text: str) -> str:
    """`text` without tokens that only say where an ID begins and ends."""
    return _FRAME.sub("", text)


def chunked(entries: Iterable[Any]) -> Iterator[list[Any]]:
    """Entries as they are turned into numbers: some at a time."""
    waiting = iter(entries)
    while chunk := list(islice(waiting, _CHUNK)):
        yield chunk


def table_of(source: Items, seen: Callable[[int], None] = lambda n: None) -> TokenTable:
    """Reads all tokens, a chunk of entries at a time; `seen` is told of each.

    Raises:
        SampleError: no items, an entry that is no ID, lengths that differ by more than one, or marks that change within a column.
        ValueError, TypeError: of `blocks`, an entry that is no ID.
    """
    reader = _Reader(source)
    kept = Spool(np.dtype(np.int32), _HELD_BYTES)
    for chunk in chunked(source.items) if source.blocks is None else source.blocks:
        numbers = reader.numbers(chunk)
        kept.append(numbers)
        seen(len(numbers))
    if not reader.n:
        raise SampleError("holds no items", where=source.path)
    room, width = reader.room, reader.longest[0]

    def read(start: int, stop: int) -> np.ndarray:
        return kept.read(room * start, room * stop).reshape(-1, room)[:, :width]

    names = source.names if source.names is not None and len(source.names) == reader.n else None
    return TokenTable(reader.n, width, reader.shortest[0], read, reader.letters(), names, source.dialect, source.path)


class _Reader:
    """Entries to numbers, and what all of them must agree in.

    Attributes:
        n: entries read. room: columns of a table that holds them. shortest, longest: (tokens, entry) of the first such ID.
    """

    def __init__(self, source: Items) -> None:
        self._source, self._numbers = source, Numbers()
        self._marks: dict[int, tuple[int, int]] = {}  # of a column: mark, and the entry that had it first
        self.n = self.room = 0
        self.shortest = self.longest = (0, 0)

    def numbers(self, chunk: list[Any] | Block) -> np.ndarray:
        """The next entries as (b, room) int32, −1 where one is shorter."""
        lengths, flat = self._flatten(chunk) if isinstance(chunk, list) else chunk.flattened(self._numbers)
        self._note_lengths(lengths)
        table = np.full((len(lengths), self.room), -1, np.int64)
        table[np.arange(self.room) < lengths[:, None]] = flat
        self._note_marks(table)
        self.n += len(lengths)
        return np.where(table < 0, -1, table & ((1 << SHIFT) - 1)).astype(np.int32)

    def letters(self) -> tuple[str, ...]:
        """The mark of each column, () where none has one."""
        letters = tuple(self._numbers.marks[self._marks[column][0]] for column in range(self.longest[0]))
        return letters if any(letters) else ()

    def _flatten(self, chunk: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (b,) and all tokens, one after the other, as numbers with marks."""
        lengths: list[int] = []
        flat: list[int] = []
        for row, item in enumerate(chunk, start=self.n):
            before = len(flat)
            try:
                flat.extend(map(self._numbers.__getitem__, split(item) if isinstance(item, str) else item))
            except (ValueError, TypeError):
                hint = 'IDs are lists of tokens ("<a_12>") or whole numbers, or strings of them ("1-12-3").'
                what = f"{self._source.called(row)} has no ID but {printable(item, 80)}"
                raise SampleError(what, where=self._source.path, hint=hint) from None
            lengths.append(len(flat) - before)
        return np.array(lengths, np.int64), np.array(flat, np.int64)

    def _note_lengths(self, lengths: np.ndarray) -> None:
        """IDs have one length, or one token more on some items."""
        few, many = int(lengths.argmin()), int(lengths.argmax())
        if not self.n:
            self.shortest = self.longest = (int(lengths[0]), 0)
            self.room = int(lengths[0]) + 1
        if lengths[few] < self.shortest[0]:
            self.shortest = (int(lengths[few]), self.n + few)
        if lengths[many] > self.longest[0]:
            self.longest = (int(lengths[many]), self.n + many)
        (shortest, few), (longest, many), called = self.shortest, self.longest, self._source.called
        if shortest == 0:
            raise SampleError(f"{called(few)} has an empty ID", where=self._source.path)
        if longest - shortest > 1:
            what = f"IDs differ in length: {called(few)} has {shortest} tokens, {called(many)} has {longest}"
            hint = "All items need the same levels, plus at most one de-duplication token."
            raise SampleError(what, where=self._source.path, hint=hint)

    def _note_marks(self, table: np.ndarray) -> None:
        """Tokens of one column are of one level."""
        for column, tokens in enumerate(table.T):
            there = np.flatnonzero(tokens >= 0)
            if not len(there):
                continue
            mark = tokens[there] >> SHIFT
            known, first = self._marks.setdefault(column, (int(mark[0]), self.n + int(there[0])))
            odd = np.flatnonzero(mark != known)
            if len(odd):
                row, marks, called = self.n + int(there[odd[0]]), self._numbers.marks, self._source.called
                what = f'{called(row)} has a "{printable(marks[mark[odd[0]]])}" token in place {column + 1}'
                raise SampleError(f'{what}, {called(first)} a "{printable(marks[known])}" one', where=self._source.path)

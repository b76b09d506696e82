"""Tokens of semantic IDs to numbers: "<a_236>", "a_236", "236" or 236; items of one or of two neighbouring lengths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqdoctor.errors import SampleError, printable

_TOKEN = re.compile(r"<?\|?(?:([A-Za-z]\w*?)[_-]?)?(\d{1,9})\|?>?")
_BRACKETED = re.compile(r"<[^<>]*>")
_FRAME = re.compile(r"<\|?\w*?(?:begin|start|end)\|?>")  # around OneRec's: "<|sid_begin|><s_a_1><s_b_2><|sid_end|>"
_SEPARATORS = re.compile(r"[\s,;|/_-]+")
_MARKED = (
    r"<\|?[A-Za-z]\w*(?:-\d+|(?<=\d))\|?>"  # one way to match each, so that a cell of 100,000 digits costs no more than its length
)
JOINED = re.compile(rf"(?:{_MARKED}\s*){{2,}}|[\[(]?\s*\d+(?:[\s,;|/_-]+\d+)+\s*[\])]?")
SINGLE = re.compile(rf"{_MARKED}|[A-Za-z]_\d+|\d+")
_SHIFT = 32  # of a level's mark above its number, in one integer


@dataclass(frozen=True, slots=True)
class Items:
    """What a file holds, before its tokens are read: per item a sequence of tokens or one string of them.

    Attributes:
        path: the file. dialect: its format in words.
        items: one entry an item, in order. names: what the file calls them; filled by the time `items` is exhausted.
        first_line: for tables, the line that entry 0 is on; messages then name lines, not items.
    """

    path: str
    dialect: str
    items: Iterable[Any]
    names: Sequence[str] | None = None
    first_line: int | None = None

    def called(self, row: int) -> str:
        """Entry `row` for a message."""
        if self.first_line is not None:
            return f"line {self.first_line + row}"
        return f"item {printable(row if self.names is None else self.names[row], 40)}"


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Tokens as numbers.

    Attributes:
        codes: (N, longest) int64 as written, −1 where an item is shorter.
        lengths: (N,). letters: mark of each column, () for bare numbers. names, dialect: as in :class:`Items`.
    """

    codes: np.ndarray
    lengths: np.ndarray
    letters: tuple[str, ...]
    names: Sequence[str] | None
    dialect: str
    path: str


class _Numbers(dict[Any, int]):
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
        value = self[token] = (self.marks.index(mark) << _SHIFT) | number
        return value


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


def table_of(source: Items) -> TokenTable:
    """Reads all tokens.

    Raises:
        SampleError: no items, an entry that is no ID, lengths that differ by more than one, or marks that change within a column.
    """
    numbers = _Numbers()
    lengths, flat = _flatten(source, numbers)
    if not len(lengths):
        raise SampleError("holds no items", where=source.path)
    _check_lengths(source, lengths)
    table = np.full((len(lengths), int(lengths.max())), -1, np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = flat
    letters = _letters(source, table, numbers.marks)
    codes = np.where(table < 0, -1, table & ((1 << _SHIFT) - 1))
    return TokenTable(codes, lengths, letters if any(letters) else (), source.names, source.dialect, source.path)


def _flatten(source: Items, numbers: _Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Lengths (N,) and all tokens, one after the other, as numbers."""
    lengths: list[int] = []
    flat: list[int] = []
    for row, item in enumerate(source.items):
        before = len(flat)
        try:
            flat.extend(map(numbers.__getitem__, split(item) if isinstance(item, str) else item))
        except (ValueError, TypeError):
            hint = 'IDs are lists of tokens ("<a_12>") or whole numbers, or strings of them ("1-12-3").'
            raise SampleError(f"{source.called(row)} has no ID but {printable(item, 80)}", where=source.path, hint=hint) from None
        lengths.append(len(flat) - before)
    return np.array(lengths, np.int64), np.array(flat, np.int64)


def _check_lengths(source: Items, lengths: np.ndarray) -> None:
    """IDs have one length, or one token more on some items."""
    longest, shortest = int(lengths.max()), int(lengths.min())
    if shortest == 0:
        raise SampleError(f"{source.called(int(lengths.argmin()))} has an empty ID", where=source.path)
    if longest - shortest > 1:
        few, many = source.called(int(lengths.argmin())), source.called(int(lengths.argmax()))
        what = f"IDs differ in length: {few} has {shortest} tokens, {many} has {longest}"
        raise SampleError(what, where=source.path, hint="All items need the same levels, plus at most one de-duplication token.")


def _letters(source: Items, table: np.ndarray, marks: list[str]) -> tuple[str, ...]:
    """The mark of each column.

    Raises:
        SampleError: an item's token is of another level than the other items' at its place.
    """
    letters = []
    for column, tokens in enumerate(table.T):
        there = np.flatnonzero(tokens >= 0)
        mark = tokens[there] >> _SHIFT
        odd = np.flatnonzero(mark != mark[0])
        if len(odd):
            row = int(there[odd[0]])
            what = f'{source.called(row)} has a "{printable(marks[mark[odd[0]]])}" token in place {column + 1}'
            raise SampleError(f'{what}, {source.called(int(there[0]))} a "{printable(marks[mark[0]])}" one', where=source.path)
        letters.append(marks[mark[0]])
    return tuple(letters)

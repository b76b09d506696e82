"""Delimited text a stretch at a time, as long as its lines are all alike: NumPy reads it in a sixth of the time of line by line.

Lines are alike where all have the same number of cells, none over several lines, and those of the ID hold whole numbers, framed
alike in each column ("12", "<a_12>", "12.0"); the last of them may be empty. Whatever is else is left to whoever reads line by
line (`id_files`): nothing is refused here, and nothing taken that is refused there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqdoctor.samples.json_stretches import BOM
from vqdoctor.samples.tokens import SHIFT, Numbers, frame

STRETCH = 1 << 18  # bytes: more are not read faster, and hold memory
MOST_BYTES = 1 << 16  # of a line; a longer one may be refused (`bounded`, csv.field_size_limit)
MOST_DIGITS = 9
_NEWLINE, _QUOTE, _ZERO = b'\n"0'


@dataclass(frozen=True, slots=True)
class Grid:
    """The numbers of some lines.

    Attributes:
        values: (b, W) int64, −1 where the last cell is empty. examples: a cell of each column; what frames its number frames all.
    """

    values: np.ndarray
    examples: Sequence[str]

    def flattened(self, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`vqdoctor.samples.tokens.Block`."""
        there = self.values >= 0
        marks = np.array([numbers[cell] >> SHIFT << SHIFT for cell in self.examples], np.int64)
        return there.sum(axis=1), (self.values | marks)[there]


@dataclass(frozen=True, slots=True)
class Cells:
    """Lines of equally many cells.

    Attributes:
        text: UTF-8. starts, ends: (b, cells) places in it, without the delimiters, with quotes.
    """

    text: bytes
    starts: np.ndarray
    ends: np.ndarray

    def column(self, at: int) -> Iterator[str]:
        """What a column says, line by line; cut out once the first is asked for."""
        places = zip(self.starts[:, at].tolist(), self.ends[:, at].tolist(), strict=True)
        if self.text.isascii():
            text = self.text.decode()
            found = [text[start:end] for start, end in places]
        else:
            found = [self.text[start:end].decode() for start, end in places]
        yield from map(_bare, found) if b'"' in self.text else found

    @property
    def width(self) -> int:
        """Cells of a line."""
        return self.starts.shape[1]

    @property
    def filled(self) -> bool:
        """Not all are empty."""
        return any(any(self.column(at)) for at in range(self.width))

    def grid(self, columns: Sequence[int]) -> Grid | None:
        """The numbers in these columns; None where they hold something else, or are framed in several ways."""
        raw = np.frombuffer(self.text, np.uint8)
        values, examples = np.empty((len(self.starts), len(columns)), np.int64), []
        for at, column in enumerate(columns):
            starts, ends = self.starts[:, column], self.ends[:, column]
            filled = ends > starts
            if at == len(columns) - 1 and not filled.all():
                values[:, at] = -1
                starts, ends = starts[filled], ends[filled]
            example = self.text[starts[0] : ends[0]].decode() if len(starts) else "0"
            quote, example = example[:1] if example[:1] == '"' else "", _bare(example)
            found = _numbers(raw, starts, ends, example, quote)
            if found is None:
                return None
            values[filled, at] = found
            examples.append(example.strip())
        return Grid(values, examples)


def _bare(cell: str) -> str:
    """Without the quotes around it."""
    return cell[1:-1].replace('""', '"') if cell[:1] == '"' else cell


def _numbers(raw: np.ndarray, starts: np.ndarray, ends: np.ndarray, example: str, quote: str) -> np.ndarray | None:
    """The number in each cell (b,); None where one is framed unlike the example, or holds none. quote: what is around them all."""
    found = frame(example.strip())
    if found is None:
        return None
    space = len(example) - len(example.lstrip())
    before, after = (quote + example[:space] + found[0]).encode(), (found[1] + example[len(example.rstrip()) :] + quote).encode()
    starts, ends = starts + len(before), ends - len(after)
    digits = ends - starts
    if digits.min(initial=1) < 1 or digits.max(initial=1) > MOST_DIGITS:
        return None
    if not (_stands(raw, starts - len(before), before) and _stands(raw, ends, after)):
        return None
    numbers = np.zeros(len(starts), np.int64)
    for place in range(int(digits.max(initial=0))):
        there = digits > place
        digit = raw[ends - 1 - place] - np.uint8(_ZERO)
        if (digit[there] > 9).any():
            return None
        numbers += np.where(there, digit, 0) * np.int64(10**place)
    return numbers


def _stands(raw: np.ndarray, places: np.ndarray, text: bytes) -> bool:
    """Whether the text stands at all of the places."""
    return all((raw[places + at] == byte).all() for at, byte in enumerate(text))


def cells(text: bytes, delimiter: str) -> Cells | None:
    """The cells of whole lines; None where lines have not equally many, or one goes on behind its end.

    Raises:
        UnicodeDecodeError: they are no UTF-8.
    """
    text.decode()
    text = text.replace(b"\r\n", b"\n")
    if b"\r" in text or not text.endswith(b"\n"):
        return None
    raw = np.frombuffer(text, np.uint8)
    newline = raw == _NEWLINE
    separators = _parting(newline | (raw == ord(delimiter)), raw == _QUOTE)
    if separators is None or not separators[newline].all():
        return None
    marks, lines = np.flatnonzero(separators), int(np.count_nonzero(newline))
    if len(marks) % lines:
        return None
    starts, ends = np.append(0, marks[:-1] + 1).reshape(lines, -1), marks.reshape(lines, -1)
    if not newline[ends[:, -1]].all() or (ends[:, -1] - starts[:, 0]).max() >= MOST_BYTES:
        return None
    return Cells(text, starts, ends)


def _parting(separators: np.ndarray, quotes: np.ndarray) -> np.ndarray | None:
    """Which separators are not quoted; None where a quote stands elsewhere than around a cell or, twice, in one that is quoted."""
    if not quotes.any():
        return separators
    inside = (np.cumsum(quotes, dtype=np.uint8) & 1).astype(bool)  # from an opening quote to before the closing one
    parting = separators & ~inside
    around = parting | quotes
    opening, closing = np.flatnonzero(quotes & inside), np.flatnonzero(quotes & ~inside)
    whole = not inside[-1] and around[opening - 1].all() and around[closing + 1].all()
    return parting if whole else None


def line_stretches(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, about STRETCH bytes of them, and where in the file they begin; a last line without its newline gets one. Where a
    line is longer than a stretch, what is read of it ends without."""
    with path.open("rb") as file:
        start, rest = 0, b""
        while more := file.read(STRETCH):
            text = rest + more
            end = text.rfind(b"\n") + 1 or len(text)
            yield start, _unmarked(start, text[:end])
            start, rest = start + end, text[end:]
        if rest:
            yield start, _unmarked(start, rest + b"\n")


def _unmarked(start: int, text: bytes) -> bytes:
    return text if start else text.removeprefix(BOM)

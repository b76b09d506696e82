"""What a table calls its items: set aside while it is read, since a few of millions will be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import overload

MOST_NAMED = 1 << 23  # items; where there are more, they go by their row
_HELD_BYTES = 8 << 20  # of text in memory; more goes to a file without a name
_STRIDE = 256  # names between two whose place is noted
_END = b"\0"


class Names(Sequence[str]):
    """Names by row, of the first `MOST_NAMED` items."""

    def __init__(self) -> None:
        self._text = SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 (it goes with the names)
        self._places: list[int] = []
        self._written = 0
        self._n = 0

    def append(self, name: str) -> None:
        """The next item's."""
        self.extend((name,))

    def extend(self, names: Iterable[str]) -> None:
        """The next items'."""
        waiting = iter(names)
        while self._n <= MOST_NAMED and (some := list(islice(waiting, _STRIDE - self._n % _STRIDE))):
            if self._n % _STRIDE == 0:
                self._places.append(self._written)
            text = "\0".join(some)
            if text.count("\0") >= len(some):
                text = "\0".join(name.replace("\0", "\N{REPLACEMENT CHARACTER}") for name in some)
            self._written += self._text.write(text.encode("utf-8", "surrogatepass") + _END)
            self._n += len(some)

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(self._n))]
        if not 0 <= row < self._n:
            raise IndexError(row)
        at = row // _STRIDE
        begin, end = (*self._places, self._written)[at : at + 2]
        self._text.seek(begin)
        held = self._text.read(end - begin)
        self._text.seek(self._written)
        return held.split(_END, row % _STRIDE + 1)[row % _STRIDE].decode("utf-8", "surrogatepass")

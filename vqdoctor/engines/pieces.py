"""Counted IDs in files: runs cut at the same places, so that the runs of a piece can be merged without the others.

Its own file because it knows neither when IDs go to disk nor who counts them (`spill`): keys and counts go in, run by run, and come
out merged, so many at a time. Each piece has two files, keys and how often each came. Their names may come from somebody else, who
handed a folder on, so no link is followed and nothing is taken for granted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from vqdoctor.engines.runs import Counted, combine

PIECES = 256
BOUNDS = "bounds"
COUNT = np.dtype(np.uint16)
"""How often an ID came in a run; one that came more often stands there again."""
_MOST = np.iinfo(COUNT).max
_SCANNED = 1 << 18  # entries of a file looked through at a time
_SAMPLED = 61  # of so many keys one, to see how they lie; a prime, so as not to fall into step with the runs


class Pieces:
    """The files of a folder.

    Args:
        folder: which exists once something is appended. dtype: of the keys.

    Attributes:
        bounds: first key of each piece but the first; None before the first run, whose quantiles they are.
    """

    def __init__(self, folder: Path, dtype: np.dtype) -> None:
        self.folder, self.dtype = folder, dtype
        self.bounds: np.ndarray | None = None

    def append(self, keys: np.ndarray, items: np.ndarray) -> None:
        """The next run: keys (u,) ascending, how many items have each (u,). Raises OSError where the disk does not take it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.bounds is None:
            self.bounds = keys[np.arange(1, PIECES) * len(keys) // PIECES]
            with open(self.folder / BOUNDS, "wb", opener=own) as file:
                file.write(self.bounds.data)
        keys, counts = _narrow(keys, items)
        cuts = [0, *np.searchsorted(keys, self.bounds).tolist(), len(keys)]
        for piece, (start, stop) in enumerate(pairwise(cuts)):
            for path, values in zip(self.files(piece), (keys, counts), strict=True):
                with open(path, "ab", opener=own) as file:
                    file.write(values[start:stop].data)

    def files(self, piece: int) -> tuple[Path, Path]:
        """Of keys, and of counts."""
        return self.folder / f"{piece:03d}.keys", self.folder / f"{piece:03d}.items"

    def lengths(self) -> list[int]:
        """Entries of each piece, 0 of one that is no more."""
        paths = [self.files(piece)[0] for piece in range(PIECES)]
        return [os.path.getsize(path) // self.dtype.itemsize if path.exists() else 0 for path in paths]

    def restore(self, lengths: list[int], first: int) -> None:
        """Takes up what was left behind: of each piece from `first` on so many entries; what lies behind them goes.

        Raises:
            ValueError, OSError: there is less, or something else.
        """
        self.bounds = np.frombuffer(content(self.folder / BOUNDS, PIECES * self.dtype.itemsize), self.dtype)
        if len(self.bounds) != PIECES - 1 or (self.bounds[1:] < self.bounds[:-1]).any():
            raise ValueError("no bounds")
        for piece in range(first, PIECES):
            for path, dtype in zip(self.files(piece), (self.dtype, COUNT), strict=True):
                cut(path, lengths[piece] * dtype.itemsize)

    def merged(self, piece: int, most: int) -> Iterator[Counted]:
        """The distinct keys of a piece, ascending, and the items of each, in parts.

        Args:
            most: entries in memory at a time, about; more where a single key has more.
        """
        entries = os.path.getsize(self.files(piece)[0]) // self.dtype.itemsize
        if entries <= most:
            yield from (combine(*run) for run in self._blocks(piece, entries))
            return
        for low, high in pairwise([None, *self._cuts(piece, -(-2 * entries // most)), None]):
            found = [(keys[at], counts[at]) for keys, counts in self._blocks(piece) for at in [_between(keys, low, high)]]
            yield combine(*map(np.concatenate, zip(*found, strict=True)))

    def remove(self, pieces: range) -> None:
        """Their files go."""
        for piece in pieces:
            for path in self.files(piece):
                path.unlink(missing_ok=True)

    def _cuts(self, piece: int, ranges: int) -> list[np.generic]:
        """Keys that cut a piece into about equal ranges."""
        sample = np.sort(np.concatenate([keys[::_SAMPLED] for keys, _ in self._blocks(piece)]))
        return list(np.unique(sample[np.arange(1, ranges) * len(sample) // ranges]))

    def _blocks(self, piece: int, size: int = _SCANNED) -> Iterator[Counted]:
        """Keys and counts as they were written, `size` entries at a time."""
        keys, counts = self.files(piece)
        with open(keys, "rb", opener=own) as first, open(counts, "rb", opener=own) as second:
            while len(block := np.fromfile(first, self.dtype, size)):
                yield block, np.fromfile(second, COUNT, size)


def _between(keys: np.ndarray, low: np.generic | None, high: np.generic | None) -> np.ndarray:
    """Which are at least `low` and below `high`."""
    inside = np.ones(len(keys), bool) if low is None else keys >= low
    return inside if high is None else inside & (keys < high)


def _narrow(keys: np.ndarray, items: np.ndarray) -> Counted:
    """The same counts, none too large for a file."""
    if items.max(initial=0) <= _MOST:
        return keys, items.astype(COUNT)
    times = -(-items // _MOST)
    counts = np.full(int(times.sum()), _MOST, COUNT)
    counts[np.cumsum(times) - 1] = items - _MOST * (times - 1)
    return np.repeat(keys, times), counts


def own(path: str, flags: int) -> int:
    """A descriptor of a file that is no link and no pipe: who goes on with a folder may have got it from somebody else.

    Raises:
        OSError: it is one, or cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")


def content(path: Path, most: int) -> bytes:
    """The bytes of a small file. Raises OSError, ValueError where it is none."""
    with open(path, "rb", opener=own) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError("too large")
    return data


def cut(path: Path, size: int) -> None:
    """What lies behind `size` bytes goes. Raises OSError, ValueError where there is less, or the file has another name too."""
    with open(path, "r+b", opener=own) as file:
        facts = os.fstat(file.fileno())
        if facts.st_nlink > 1 or facts.st_size < size:
            raise ValueError("not what was written")
        file.truncate(size)

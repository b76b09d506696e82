"""Counting more IDs than memory holds: counted runs on disk, cut at the same places, merged a piece at a time.

Its own file because counting in memory (`ids`) must not know of disks. While the table of distinct IDs stays within the budget
nothing is written. Beyond it, the table (sorted keys and how often each came) goes to disk, cut into pieces by quantiles of the
first one, and counting begins anew; at the end the runs of each piece are merged, which gives the pieces of the whole table in
order. The numbers are those of the table in memory, bit for bit; only the members of groups are not named.

A folder that the caller names survives an interruption: its manifest says how many items the runs hold, and who counts the same
file again with it goes on from there.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from vqdoctor.engines.ids import DistinctIds, IdTable
from vqdoctor.engines.runs import combine
from vqdoctor.errors import UsageError
from vqdoctor.safe_write import write_atomically

BUDGET_BYTES = 256 << 20
"""Of distinct IDs that are held in memory before they go to disk; sorting takes about as much again."""
PIECES = 64
MANIFEST = "manifest.json"
BOUNDS = "bounds"
LARGEST_MANIFEST = 1 << 20  # bytes
SCHEMA = "vqdoctor.spill/2"
_FEWEST = 1 << 10  # IDs of a run, whatever the budget
_COUNT = np.dtype(np.uint32)  # items of one ID in one run: a run has fewer than 2³² items


class SpillingIds:
    """Counts IDs as :class:`vqdoctor.engines.IdTable` does, on disk beyond a budget of memory.

    Args:
        sizes: K per level.
        folder: where to spill, kept if counting is interrupted; None: a temporary folder, once it is needed.
        budget_bytes: of distinct IDs in memory.
        source: what is counted, so that a folder is only gone on with for the same.

    Raises:
        UsageError: the folder holds something else, or the runs of another source.
    """

    def __init__(
        self, sizes: Sequence[int], *, folder: str | None = None, budget_bytes: int = BUDGET_BYTES, source: str = ""
    ) -> None:
        self._sizes, self._source = tuple(sizes), source
        self._table = IdTable(sizes)
        self._packing = self._table.packing
        self._most = max(_FEWEST, budget_bytes // (self._packing.dtype.itemsize + 8))
        self._folder = Path(folder) if folder is not None else None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None  # goes with this table, however that ends
        self._bounds: np.ndarray | None = None  # first key of each piece but the first
        self._waiting = 0  # items in the table since it was last looked at
        self._items = 0  # items in the runs
        self.resumed = 0
        if self._folder is not None:
            self._resume(self._folder)
        self._skip = self.resumed  # items that come again

    def add(self, codes: np.ndarray) -> None:
        """The next items: codes (n, L), each in [0, K_l)."""
        again = min(self._skip, len(codes))
        self._skip -= again
        while again < len(codes):
            part = codes[again : again + self._most - self._waiting]
            self._table.add(part)
            again += len(part)
            self._waiting += len(part)
            if self._waiting >= self._most:
                self._look()

    def finish(self) -> DistinctIds:
        """What was counted. What was spilled is then in files that have no name any more, read through memory maps."""
        rest = self._table.finish()
        if self._bounds is None:
            return rest
        self._spill(rest)
        folder = self._place()
        try:
            found = self._merged(folder)
        except OSError as error:
            raise _unwritable(folder, error) from error
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def _look(self) -> None:
        """Spills where the table has outgrown its budget."""
        counted = self._table.finish()
        self._waiting = 0
        if self._bounds is not None or len(counted.keys) > self._most // 2:
            self._spill(counted)
            self._table = IdTable(self._sizes, member_bytes=0)

    def _spill(self, counted: DistinctIds) -> None:
        if not len(counted.keys):
            return
        folder = self._place()
        try:
            self._write(folder, counted)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def _write(self, folder: Path, counted: DistinctIds) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self._bounds is None:
            self._bounds = counted.keys[np.arange(1, PIECES) * len(counted.keys) // PIECES]
            with open(folder / BOUNDS, "wb", opener=_own) as file:
                file.write(self._bounds.tobytes())
        cuts = [0, *np.searchsorted(counted.keys, self._bounds).tolist(), len(counted.keys)]
        counts = counted.items.astype(_COUNT)
        for piece in range(PIECES):
            part = slice(cuts[piece], cuts[piece + 1])
            for name, values in (("keys", counted.keys[part]), ("items", counts[part])):
                with open(folder / f"{piece:03d}.{name}", "ab", opener=_own) as file:
                    file.write(np.ascontiguousarray(values).tobytes())
        self._items += counted.n
        self._note(folder)

    def _place(self) -> Path:
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="vqdoctor-ids-", ignore_cleanup_errors=True)
            self._folder = Path(self._temporary.name)
        return self._folder

    # going on after an interruption

    def _facts(self) -> dict[str, object]:
        return {"schema": SCHEMA, "source": self._source, "sizes": list(self._sizes), "pieces": PIECES}

    def _note(self, folder: Path) -> None:
        """Says what the runs hold; what is written behind it and not noted does not count."""
        lengths = [os.path.getsize(folder / f"{piece:03d}.keys") // self._packing.dtype.itemsize for piece in range(PIECES)]
        write_atomically(str(folder / MANIFEST), orjson.dumps(self._facts() | {"items": self._items, "lengths": lengths}))

    def _resume(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
                raise UsageError("is not empty, and no folder that IDs were spilled to", where=str(folder), hint="Name a new one.")
            return
        try:
            noted = orjson.loads(_content(folder / MANIFEST, LARGEST_MANIFEST))
            if {name: noted[name] for name in self._facts()} != self._facts():
                raise UsageError("holds the IDs of another file", where=str(folder), hint="Name another folder, or remove it.")
            lengths, items = noted["lengths"], noted["items"]
            if (
                [type(number) for number in (items, *lengths)] != [int] * (1 + PIECES)
                or min(lengths) < 0
                or not 0 < sum(lengths) <= items
            ):
                raise ValueError("no numbers of IDs")
            self._bounds = np.frombuffer(_content(folder / BOUNDS, PIECES * self._packing.dtype.itemsize), self._packing.dtype)
            if len(self._bounds) != PIECES - 1 or (self._bounds[1:] < self._bounds[:-1]).any():
                raise ValueError("no bounds")
            for piece, length in enumerate(lengths):
                _cut(folder / f"{piece:03d}.keys", length * self._packing.dtype.itemsize)
                _cut(folder / f"{piece:03d}.items", length * _COUNT.itemsize)
        except (ValueError, KeyError, TypeError, OSError):
            raise UsageError("holds spilled IDs that are damaged", where=str(folder), hint="Remove it and begin again.") from None
        self._items = self.resumed = items

    # the whole

    def _merged(self, folder: Path) -> DistinctIds:
        total = 0
        with open(folder / "keys", "wb", opener=_own) as keys, open(folder / "items", "wb", opener=_own) as items:
            for piece in range(PIECES):
                merged, counts = self._piece(folder, piece)
                keys.write(merged.tobytes())
                items.write(counts.tobytes())
                total += int(counts.sum())
                os.remove(folder / f"{piece:03d}.keys")
                os.remove(folder / f"{piece:03d}.items")
        if total != self._items:
            raise UsageError("holds spilled IDs that are damaged", where=str(folder), hint="Remove it and begin again.")
        return DistinctIds(
            self._packing, np.memmap(folder / "keys", self._packing.dtype, "r"), np.memmap(folder / "items", np.int64, "r")
        )

    def _piece(self, folder: Path, piece: int) -> tuple[np.ndarray, np.ndarray]:
        """The distinct keys of one piece, ascending, and the items of each."""
        keys = np.fromfile(folder / f"{piece:03d}.keys", self._packing.dtype)
        counts = np.fromfile(folder / f"{piece:03d}.items", _COUNT)
        return combine(keys, counts)


def _own(path: str, flags: int) -> int:
    """A descriptor of a file that is no link and no pipe: who goes on with a folder may have got it from somebody else.

    Raises:
        OSError: it is one, or cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")


def _content(path: Path, most: int) -> bytes:
    """The bytes of a small file. Raises OSError, ValueError where it is none."""
    with open(path, "rb", opener=_own) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError("too large")
    return data


def _cut(path: Path, size: int) -> None:
    """What lies behind `size` bytes goes. Raises OSError, ValueError where there is less, or the file has another name too."""
    with open(path, "r+b", opener=_own) as file:
        facts = os.fstat(file.fileno())
        if facts.st_nlink > 1 or facts.st_size < size:
            raise ValueError("not what was written")
        file.truncate(size)


def _unwritable(folder: Path, error: OSError) -> UsageError:
    hint = "Name a folder with more room by --spill; from a named one, counting goes on."
    return UsageError(f"IDs cannot be spilled there: {error.strerror or error}", where=str(folder), hint=hint)

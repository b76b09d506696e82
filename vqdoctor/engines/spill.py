"""Counting more IDs than memory holds: counted runs on disk, cut at the same places, merged a piece at a time.

Its own file because counting in memory (`ids`) must not know of disks. While the table of distinct IDs stays within the budget
nothing is written. Beyond it the table goes to disk in `pieces`, and so does every run of IDs after it, sorted and counted; at the
end the runs of each piece are merged, which gives the pieces of the whole table in order. The numbers are those of the table in
memory, bit for bit, and no step holds more than the budget, however many IDs there are.

A folder that the caller names survives an interruption, while counting or while merging: its manifest says how many items the runs
hold, and who counts the same file again with it goes on from there.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from vqdoctor.engines.ids import RUN, DistinctIds, IdTable, Packing
from vqdoctor.engines.pieces import PIECES, Pieces, content, cut, own
from vqdoctor.engines.runs import count_keys
from vqdoctor.errors import UsageError
from vqdoctor.safe_write import write_atomically

BUDGET_BYTES = 64 << 20
"""Of memory for IDs, at most, sorting and merging included; beyond it they go to disk."""
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 1 << 20  # bytes
SCHEMA = "vqdoctor.spill/3"
_FEWEST = 1 << 10  # IDs of a run, whatever the budget
_ITEMS = np.dtype(np.int64)


@dataclass(frozen=True, slots=True)
class MappedIds(DistinctIds):
    """Distinct IDs in files that have no name any more, read through memory maps.

    Attributes:
        maps: of which what was read is let go of again, or the whole files would count as this process's memory.
    """

    maps: tuple[mmap.mmap, ...] = ()

    def runs(self, first: int = 0, last: int | None = None, size: int = RUN) -> Iterator[slice]:
        """See :class:`DistinctIds`."""
        for run in DistinctIds.runs(self, first, last, size):
            yield run
            for mapped in self.maps:
                mapped.madvise(mmap.MADV_DONTNEED)


class SpillingIds:
    """Counts IDs as :class:`vqdoctor.engines.IdTable` does, on disk beyond a budget of memory.

    Args:
        sizes: K per level.
        folder: where to spill, kept if counting is interrupted; None: a temporary folder, once it is needed.
        budget_bytes: of memory, at most.
        source: what is counted, so that a folder is only gone on with for the same.

    Raises:
        UsageError: the folder holds something else, or the runs of another source.
    """

    def __init__(
        self, sizes: Sequence[int], *, folder: str | None = None, budget_bytes: int = BUDGET_BYTES, source: str = ""
    ) -> None:
        self._sizes, self._source = tuple(sizes), source
        self._packing = Packing(sizes)
        self._table = IdTable(sizes)
        self._members = self._table.members
        self._most = max(_FEWEST, budget_bytes // bytes_for_each(self._packing))
        self._folder = Path(folder) if folder is not None else None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None  # goes with this table, however that ends
        self._pieces: Pieces | None = None  # on disk, once there are any
        self._run = np.empty(0, self._packing.dtype)  # keys of the next run, once there are pieces
        self._waiting = 0  # items in it, or in the table since it was last looked at
        self._items = 0  # items in the pieces
        self._merged = self._distinct = self._merged_items = 0  # pieces merged, their IDs and items
        self.resumed = 0
        if self._folder is not None:
            self._resume(self._folder)
        self._skip = self.resumed  # items that come again

    def add(self, codes: np.ndarray) -> None:
        """The next items: codes (n, L), each in [0, K_l)."""
        again = min(self._skip, len(codes))
        self._skip -= again
        if again < len(codes) and self._merged:
            raise self._of_another()
        while again < len(codes):
            part = codes[again : again + self._most - self._waiting]
            self._take(part)
            again += len(part)
            self._waiting += len(part)
            if self._waiting >= self._most:
                self._look()

    def finish(
        self, begin: Callable[[int], None] = lambda n: None, progress: Callable[[int], None] = lambda n: None
    ) -> DistinctIds:
        """What was counted; on disk, if it was spilled.

        Args:
            begin: told of the items to merge, where they were spilled. progress: told of items merged.
        """
        if self._pieces is None:
            return self._table.finish()
        self._spill_run()
        begin(self._items)
        progress(self._merged_items)
        try:
            found = self._whole(self._pieces, progress)
        except OSError as error:
            raise _unwritable(self._pieces.folder, error) from error
        except ValueError:
            raise _damaged(self._pieces.folder) from None
        shutil.rmtree(self._pieces.folder, ignore_errors=True)
        return found

    def _take(self, codes: np.ndarray) -> None:
        if self._pieces is None:
            self._table.add(codes)
            return
        keys = self._packing.pack(codes)
        self._members.add(keys)
        if not len(self._run):
            self._run = np.empty(self._most, self._packing.dtype)
        self._run[self._waiting : self._waiting + len(keys)] = keys

    def _look(self) -> None:
        """Spills what has outgrown the budget."""
        if self._pieces is not None:
            self._spill_run()
            return
        self._waiting = 0
        counted = self._table.finish()
        if len(counted.keys) > self._most // 2:
            self._pieces = Pieces(self._place(), self._packing.dtype)
            self._spill(counted.keys, counted.items, counted.n)
            self._table = IdTable(self._sizes)

    def _spill_run(self) -> None:
        items, self._waiting = self._waiting, 0
        if items:
            self._spill(*count_keys(self._run[:items], self._packing.below), items)

    def _spill(self, keys: np.ndarray, items: np.ndarray, n: int) -> None:
        """Writes a run of n items, and says so; what is written behind what was said does not count."""
        pieces = self._pieces
        if pieces is None:
            return
        try:
            pieces.append(keys, items)
            self._items += n
            self._note(pieces)
        except OSError as error:
            raise _unwritable(pieces.folder, error) from error

    def _place(self) -> Path:
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="vqdoctor-ids-", ignore_cleanup_errors=True)
            self._folder = Path(self._temporary.name)
        return self._folder

    # going on after an interruption

    def _facts(self) -> dict[str, object]:
        return {"schema": SCHEMA, "source": self._source, "sizes": list(self._sizes), "pieces": PIECES}

    def _note(self, pieces: Pieces) -> None:
        """Says what the files hold, to whoever goes on with them."""
        if self._temporary is None:
            merged = {"merged": self._merged, "distinct": self._distinct, "merged_items": self._merged_items}
            noted = self._facts() | {"items": self._items, "lengths": pieces.lengths()} | merged
            write_atomically(str(pieces.folder / MANIFEST), orjson.dumps(noted))

    def _resume(self, folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
                raise UsageError("is not empty, and no folder that IDs were spilled to", where=str(folder), hint="Name a new one.")
            return
        try:
            noted = orjson.loads(content(folder / MANIFEST, LARGEST_MANIFEST))
            if {name: noted[name] for name in self._facts()} != self._facts():
                raise self._of_another()
            lengths = noted["lengths"]
            numbers = [noted[name] for name in ("items", "merged", "distinct", "merged_items")]
            _check_noted(lengths, *numbers)
            self._pieces = Pieces(folder, self._packing.dtype)
            self._pieces.restore(lengths, first=numbers[1])
        except (ValueError, KeyError, TypeError, OSError):
            raise _damaged(folder) from None
        self._items, self._merged, self._distinct, self._merged_items = numbers
        self.resumed = self._items
        self._members.rows = None  # keys of the items before are not known any more

    def _of_another(self) -> UsageError:
        return UsageError("holds the IDs of another file", where=str(self._folder), hint="Name another folder, or remove it.")

    # the whole

    def _whole(self, pieces: Pieces, progress: Callable[[int], None]) -> DistinctIds:
        """Merges what is not merged yet. Raises OSError, ValueError where the files are not what was written."""
        paths, dtypes = (pieces.folder / "keys", pieces.folder / "items"), (self._packing.dtype, _ITEMS)
        with open(paths[0], "ab", opener=own) as keys, open(paths[1], "ab", opener=own) as items:
            for path, dtype in zip(paths, dtypes, strict=True):
                cut(path, self._distinct * dtype.itemsize)
            noted, noted_items = self._merged, self._merged_items
            for piece in range(self._merged, PIECES):
                for found, counts in pieces.merged(piece, self._most):
                    keys.write(found.data)
                    items.write(counts.data)
                    self._distinct += len(found)
                    self._merged_items += (n := int(counts.sum()))
                    progress(n)
                self._merged = piece + 1
                if self._merged_items - noted_items >= self._most:  # a note is only written to disk for something worth it
                    keys.flush()
                    items.flush()
                    self._note(pieces)
                    pieces.remove(range(noted, self._merged))
                    noted, noted_items = self._merged, self._merged_items
        if self._merged_items != self._items:
            raise ValueError("other items than were counted")
        maps = tuple(map(_mapped, paths))
        columns = [np.frombuffer(each, dtype) for each, dtype in zip(maps, dtypes, strict=True)]
        return MappedIds(self._packing, columns[0], columns[1], self._members.rows, maps)


def bytes_for_each(packing: Packing) -> int:
    """Of memory for each ID of a run: its key and count, again sorted, and both together while they are merged."""
    return 4 * packing.dtype.itemsize + 32


def _check_noted(lengths: list[int], items: int, merged: int, distinct: int, merged_items: int) -> None:
    """Raises ValueError, TypeError where these cannot be numbers of IDs."""
    if [type(number) for number in (items, merged, distinct, merged_items, *lengths)] != [int] * (4 + PIECES):
        raise ValueError("no numbers of IDs")
    rest = items - merged_items
    if min(lengths) < 0 or not 0 <= merged <= PIECES or not 0 <= distinct <= merged_items <= items or items < 1:
        raise ValueError("no numbers of IDs")
    if not (rest > 0) == (sum(lengths[merged:]) > 0) or sum(lengths[merged:]) > rest:
        raise ValueError("runs of other numbers of items")


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "rb", opener=own) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _damaged(folder: Path) -> UsageError:
    return UsageError("holds spilled IDs that are damaged", where=str(folder), hint="Remove it and begin again.")


def _unwritable(folder: Path, error: OSError) -> UsageError:
    hint = "Name a folder with more room by --spill; from a named one, counting goes on."
    return UsageError(f"IDs cannot be spilled there: {error.strerror or error}", where=str(folder), hint=hint)

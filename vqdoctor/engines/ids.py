"""Counting IDs: how many items have each tuple of codes, at ten million items as at ten.

An ID is packed into the narrowest integer its codebook sizes allow (by bits, so that (1, 12) and (11, 2) never meet), and equal
keys are found by sorting, which is what NumPy does fastest (`runs`). Blocks are merged into a sorted table, so memory follows the
distinct IDs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np

from vqdoctor.engines.runs import COUNTED_DIRECTLY, count_keys, merge, share, slices, threads_for
from vqdoctor.metrics import IdTree, Sizes, join_trees, tree_of
from vqdoctor.samples.spool import Spool

MEMBER_BYTES = 32 << 20  # keys of all items are set aside up to here, so that the members of a group can be named
RUN = 1 << 20  # distinct IDs looked at at a time
_WAITING_BYTES, _FEWEST_WAITING = 32 << 20, 1 << 18  # keys that are counted at a time, at least: fewer where few can differ
_CHUNK = 1 << 18  # rows packed at a time


class Packing:
    """IDs as sortable keys: the narrowest unsigned integers where the bits of all levels fit 64, else big-endian byte strings.

    Args:
        sizes: K per level.

    Attributes:
        dtype: of the keys. below: all keys are less, where they are integers.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        bits = [max(1, int(size - 1).bit_length()) for size in sizes]
        if max(bits) <= 8 and len(bits) in (4, 8) and 1 << sum(bits) > COUNTED_DIRECTLY:
            bits = [8] * len(bits)  # bytes side by side are the key already
        self._bits = bits
        self._bytes = [-(-width // 8) for width in bits]
        self.below = 1 << sum(bits)
        self._integer = self.below <= 1 << 64
        self.dtype = np.min_scalar_type(self.below - 1) if self._integer else np.dtype(f"S{sum(self._bytes)}")

    def pack(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n, L), each in [0, K_l), as keys (n,) in the same order."""
        keys = np.empty(len(codes), self.dtype)
        side_by_side = codes.flags.c_contiguous and self._bits == [8] * self.dtype.itemsize
        into = self._bytes_into if side_by_side else self._integers_into if self._integer else self._strings_into

        def fill(part: slice) -> None:
            into(codes[part], keys[part])

        share(fill, slices(len(codes), _CHUNK), threads_for(len(codes)))
        return keys

    def _bytes_into(self, codes: np.ndarray, keys: np.ndarray) -> None:
        np.copyto(keys.view(np.uint8).reshape(codes.shape), codes, casting="unsafe")
        if sys.byteorder == "little":
            keys.byteswap(inplace=True)  # the first level is the most significant byte

    def _integers_into(self, codes: np.ndarray, keys: np.ndarray) -> None:
        np.copyto(keys, codes[:, 0], casting="unsafe")
        for level in range(1, len(self._bits)):
            np.left_shift(keys, self.dtype.type(self._bits[level]), out=keys)
            np.bitwise_or(keys, codes[:, level], out=keys, dtype=self.dtype, casting="unsafe")

    def _strings_into(self, codes: np.ndarray, keys: np.ndarray) -> None:
        wide = [codes[:, level].astype(">u8")[:, None].view(np.uint8) for level in range(len(self._bytes))]
        digits = np.hstack([column[:, 8 - width :] for column, width in zip(wide, self._bytes, strict=True)])
        keys[:] = digits.view(self.dtype)[:, 0]

    def unpack(self, keys: np.ndarray) -> np.ndarray:
        """Keys (n,) as codes (n, L) int32."""
        codes = np.empty((len(keys), len(self._bits)), np.int32)
        if self._integer:
            shifts = np.cumsum([0, *self._bits[:0:-1]])[::-1]
            for level, (shift, bits) in enumerate(zip(shifts, self._bits, strict=True)):
                codes[:, level] = (keys >> self.dtype.type(shift)) & self.dtype.type((1 << bits) - 1)
            return codes
        digits = self._digits(keys)
        for level, (end, width) in enumerate(zip(np.cumsum(self._bytes), self._bytes, strict=True)):
            codes[:, level] = digits[:, end - width : end].astype(np.int64) @ (256 ** np.arange(width)[::-1])
        return codes

    def _digits(self, keys: np.ndarray) -> np.ndarray:
        return keys[:, None].view(np.uint8).reshape(len(keys), self.dtype.itemsize)


@dataclass(frozen=True, slots=True)
class IdGroup:
    """Items that share an ID: its codes, how many they are, and the row numbers of the first few (() where not kept)."""

    id: tuple[int, ...]
    items: int
    rows: tuple[int, ...] = ()


class CountedIds(Protocol):
    """Distinct IDs, wherever they are held: what is asked of them in numbers, and, for whoever looks at each, the arrays.

    Attributes: as :class:`DistinctIds`.
    """

    @property
    def packing(self) -> Packing:
        """See :class:`DistinctIds`."""
        ...

    @property
    def keys(self) -> np.ndarray:
        """See :class:`DistinctIds`."""
        ...

    @property
    def items(self) -> np.ndarray:
        """See :class:`DistinctIds`."""
        ...

    @property
    def rows(self) -> Spool | None:
        """See :class:`DistinctIds`."""
        ...

    @property
    def codes(self) -> np.ndarray:
        """See :class:`DistinctIds`."""
        ...

    @property
    def sizes(self) -> Sizes:
        """How many IDs so many items have."""
        ...

    @property
    def tree(self) -> IdTree | None:
        """The tree that they form; None where there are none."""
        ...

    def branch(self, prefix: tuple[int, ...]) -> np.ndarray:
        """Items (K,) int64 by the code that follows a prefix."""
        ...

    def largest(self, groups: int = 20, members: int = 10) -> tuple[IdGroup, ...]:
        """See :class:`DistinctIds`."""
        ...

    def members(self, key: np.generic, most: int) -> tuple[int, ...]:
        """Rows of the first items whose packed key this is; () where they were not kept."""
        ...


@dataclass(frozen=True, slots=True)
class DistinctIds:
    """The distinct IDs of n items, in arrays; numbers about them are counted a run at a time, so that these may be on disk.

    Attributes:
        keys: (U,) packed, ascending. items: (U,) int64, how many items have each.
        rows: (n,) packed key of every item in order, set aside; None where there were too many to keep.
    """

    packing: Packing
    keys: np.ndarray
    items: np.ndarray
    rows: Spool | None = None

    @property
    def n(self) -> int:
        """Items counted."""
        return sum(int(self.items[at].sum()) for at in self.runs())

    @property
    def codes(self) -> np.ndarray:
        """The distinct IDs, (U, L) int32, in lexicographic order."""
        return self.packing.unpack(self.keys)

    @property
    def sizes(self) -> Sizes:
        """See :class:`CountedIds`."""
        runs = (Sizes.of(np.asarray(self.items[at])) for at in self.runs())
        return reduce(Sizes.joined, runs, Sizes.of(np.empty(0, np.int64)))

    @property
    def tree(self) -> IdTree | None:
        """See :class:`CountedIds`."""
        if not len(self.keys):
            return None
        return reduce(join_trees, (tree_of(self.packing.unpack(self.keys[at]), self.items[at]) for at in self.runs()))

    def branch(self, prefix: tuple[int, ...]) -> np.ndarray:
        """See :class:`CountedIds`."""
        sizes, level = self.packing.sizes, len(prefix)
        ends = np.array([[*prefix, *(0 for _ in sizes[level:])], [*prefix, *(size - 1 for size in sizes[level:])]])
        least, most = self.packing.pack(ends)
        held = np.zeros(sizes[level])
        for at in self.runs(int(np.searchsorted(self.keys, least)), int(np.searchsorted(self.keys, most, side="right"))):
            held += np.bincount(self.packing.unpack(self.keys[at])[:, level], weights=self.items[at], minlength=len(held))
        return held.astype(np.int64)

    def runs(self, first: int = 0, last: int | None = None, size: int = RUN) -> Iterator[slice]:
        """Places first:last (None: to the end), `size` at a time: what is looked at together, and let go of before the next."""
        last = len(self.keys) if last is None else last
        return (slice(at, min(at + size, last)) for at in range(first, last, size))

    def largest(self, groups: int = 20, members: int = 10) -> tuple[IdGroup, ...]:
        """The largest groups of items that share an ID (two items at least), largest first, then by ID."""
        places, sizes = np.empty(0, np.int64), np.empty(0, np.int64)
        for run in self.runs():
            items = np.asarray(self.items[run])
            shared = np.flatnonzero(items > 1)
            places, sizes = np.append(places, run.start + shared), np.append(sizes, items[shared])
            largest = np.argsort(-sizes, kind="stable")[:groups]
            places, sizes = places[largest], sizes[largest]
        keys = self.keys[places]
        return tuple(
            IdGroup(tuple(map(int, codes)), int(size), self.members(key, members))
            for key, size, codes in zip(keys, sizes, self.packing.unpack(keys), strict=True)
        )

    def members(self, key: np.generic, most: int) -> tuple[int, ...]:
        """See :class:`CountedIds`."""
        return rows_with(self.rows, key, most)


def rows_with(rows: Spool | None, key: np.generic, most: int) -> tuple[int, ...]:
    """Places of the first `most` of the `rows` that are `key`; () of None."""
    found: list[int] = []
    start = 0
    for block in rows.blocks() if rows is not None else ():
        found += (start + np.flatnonzero(block == key)).tolist()
        start += len(block)
        if len(found) >= most:
            break
    return tuple(found[:most])


class Members:
    """The key of every item in order, set aside while they are few, so that the members of groups can be named.

    Attributes:
        rows: the keys; None once there were too many.
    """

    def __init__(self, dtype: np.dtype, most_bytes: int = MEMBER_BYTES) -> None:
        self.rows: Spool | None = Spool(dtype)
        self._left = most_bytes

    def add(self, keys: np.ndarray) -> None:
        """Of the next items."""
        self._left -= keys.nbytes
        if self._left < 0:
            self.rows = None
        if self.rows is not None:
            self.rows.append(keys)


class IdTable:
    """Counts IDs as they come.

    Args:
        sizes: K per level.
        member_bytes: how much may be kept to name the members of groups.

    Attributes:
        members: what is kept for that.

    Example:
        >>> table = IdTable((16, 16))
        >>> table.add(np.array([[1, 12], [11, 2], [1, 12]]))
        >>> table.finish().items
        array([2, 1])
    """

    def __init__(self, sizes: Sequence[int], *, member_bytes: int = MEMBER_BYTES) -> None:
        self.packing = Packing(sizes)
        self._keys = np.empty(0, self.packing.dtype)
        self._items = np.empty(0, np.int64)
        self._waiting: list[np.ndarray] = []
        self._waiting_items = 0
        self._fewest_waiting = min(_WAITING_BYTES // self.packing.dtype.itemsize, max(_FEWEST_WAITING, 4 * self.packing.below))
        self.members = Members(self.packing.dtype, member_bytes)

    def add(self, codes: np.ndarray) -> None:
        """The next items: codes (n, L), each in [0, K_l)."""
        keys = self.packing.pack(codes)
        self.members.add(keys)
        self._waiting.append(keys)
        self._waiting_items += len(keys)
        if self._waiting_items >= max(self._fewest_waiting, 2 * len(self._keys)):
            self._merge()

    def finish(self) -> DistinctIds:
        """What was counted; more may be added after it."""
        self._merge()
        return DistinctIds(self.packing, self._keys, self._items, self.members.rows)

    def _merge(self) -> None:
        """Sorts what waits and adds it to the table."""
        if not self._waiting:
            return
        keys: np.ndarray = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting, self._waiting_items = [], 0
        fresh = count_keys(keys, self.packing.below)
        self._keys, self._items = merge((self._keys, self._items), fresh) if len(self._keys) else fresh

"""Equal keys brought together and counted: sorted, the work shared by the cores, and sorted tables merged.

Its own file because it knows nothing of IDs: keys are numbers (or byte strings) of one type. NumPy sorts without Python's lock and
with vector instructions; what is left of the time is one pass to find where runs begin, which is shared just as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np

from vqdoctor.nearest.tiles import usable_threads

FEWEST_SHARED = 1 << 22  # keys below which threads cost more than they save
COUNTED_DIRECTLY = 1 << 18  # different keys there may be at most, for their counts (2 MiB) to stay in the cache
_MOST_THREADS = 8  # memory feeds no more
_PART = 1 << 20  # keys whose runs are found at a time: fewer cost more to hand out than what is made on the way gains in a cache

Part = TypeVar("Part")
Counted = tuple[np.ndarray, np.ndarray]
"""Distinct keys, ascending, and how often each was there (int64)."""


def threads_for(keys: int) -> int:
    """Threads worth having for so many keys."""
    return min(_MOST_THREADS, usable_threads()) if keys >= FEWEST_SHARED else 1


def share(work: Callable[[Part], Any], parts: Iterable[Part], threads: int) -> list[Any]:
    """work(part) for each, in order. The work must not share in its turn: it would wait for threads that wait for it."""
    parts = list(parts)
    if threads == 1 or len(parts) == 1:
        return list(map(work, parts))
    return list(_pool(threads).map(work, parts))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept, because new threads begin without memory of their own: for ten million keys that costs a tenth of the time."""
    return ThreadPoolExecutor(threads, thread_name_prefix="vqdoctor-count")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay behind in the parent


def slices(n: int, size: int) -> list[slice]:
    """0..n cut into pieces of `size`."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def count_keys(keys: np.ndarray, below: int | None = None, threads: int | None = None) -> Counted:
    """Counts equal keys, which it may sort in place.

    Args:
        below: keys are integers under it, None where that is not known: few are counted without being sorted.
        threads: None for as many as are worth it.
    """
    if below is not None and below <= COUNTED_DIRECTLY:
        return _count_directly(keys, below)
    threads = threads or threads_for(len(keys))
    sort(keys, threads)
    return count_sorted(keys, threads)


def _count_directly(keys: np.ndarray, below: int) -> Counted:
    counts = np.zeros(below, np.int64)
    for part in slices(len(keys), max(_PART, below)):
        counts += np.bincount(keys[part], minlength=below)
    distinct = np.flatnonzero(counts)
    return distinct.astype(keys.dtype), counts[distinct]


def sort(keys: np.ndarray, threads: int) -> None:
    """Sorts in place: halved by partitioning about the median until every thread has a part, then each part."""
    parts = [keys]
    while len(parts) < threads:
        share(_halve, parts, threads)
        parts = [half for part in parts for half in (part[: len(part) // 2], part[len(part) // 2 :])]
    share(np.ndarray.sort, parts, threads)


def _halve(keys: np.ndarray) -> None:
    if len(keys) > 1:
        keys.partition(len(keys) // 2)


def count_sorted(keys: np.ndarray, threads: int = 1) -> Counted:
    """Counts runs of equal keys, part by part: first how many begin in each, so that all results have their place."""
    fresh = np.empty(len(keys), bool)
    fresh[:1] = True
    parts = slices(len(keys), _PART)

    def mark(part: slice) -> int:
        own = slice(max(1, part.start), part.stop)
        np.not_equal(keys[own], keys[own.start - 1 : own.stop - 1], out=fresh[own])
        return int(np.count_nonzero(fresh[part]))

    begins = share(mark, parts, threads)
    ends = np.cumsum([0, *begins])
    distinct, items = np.empty(ends[-1], keys.dtype), np.empty(ends[-1], np.int64)

    def fill(at: int) -> tuple[int, int]:
        """One part; its last run may go on beyond it, so that run's length lacks the place where the next one begins."""
        here, starts = slice(ends[at], ends[at + 1]), np.flatnonzero(fresh[parts[at]])
        np.take(keys[parts[at]], starts, out=distinct[here], mode="clip")  # "raise" would buffer it
        np.subtract(starts[1:], starts[:-1], out=items[here][:-1])
        return int(starts[0]) + parts[at].start, int(starts[-1]) + parts[at].start

    filled = [at for at, many in enumerate(begins) if many]
    edges = share(fill, filled, threads)
    following = [*(first for first, _ in edges[1:]), len(keys)]
    for at, (_, last), after in zip(filled, edges, following, strict=False):
        items[ends[at + 1] - 1] = after - last
    return distinct, items


def merge(one: Counted, other: Counted, threads: int | None = None) -> Counted:
    """Two counted tables as one, piece by piece, so that little is held beside the three of them."""
    threads = threads or threads_for(len(one[0]) + len(other[0]))
    longer = max(one[0], other[0], key=len)
    bounds = longer[_PART::_PART]
    cuts = [np.r_[0, np.searchsorted(keys, bounds), len(keys)] for keys, _ in (one, other)]
    room = len(one[0]) + len(other[0])
    keys, items = np.empty(room, longer.dtype), np.empty(room, np.int64)

    def piece(at: int) -> int:
        mine = [slice(cut[at], cut[at + 1]) for cut in cuts]
        begin = mine[0].start + mine[1].start
        found, counts = combine(*(np.concatenate([one[of][mine[0]], other[of][mine[1]]]) for of in (0, 1)))
        keys[begin : begin + len(found)], items[begin : begin + len(found)] = found, counts
        return len(found)

    lengths = share(piece, range(len(bounds) + 1), threads)
    return _closed_up(keys, items, [int(first + second) for first, second in zip(*cuts, strict=True)], lengths)


def _closed_up(keys: np.ndarray, items: np.ndarray, begins: Sequence[int], lengths: Sequence[int]) -> Counted:
    """Pieces of two arrays moved together, and the arrays cut to that length."""
    end = 0
    for begin, length in zip(begins, lengths, strict=False):
        for values in (keys, items):
            values[end : end + length] = values[begin : begin + length]
        end += length
    keys.resize(end, refcheck=False)
    items.resize(end, refcheck=False)
    return keys, items


def combine(keys: np.ndarray, counts: np.ndarray) -> Counted:
    """Adds up the counts of equal keys. keys: ascending runs, one after the other; counts: whole numbers from 1."""
    keys, counts = _in_order(keys, counts)
    upto = np.cumsum(counts, dtype=np.int64)
    ends = np.append(np.flatnonzero(keys[1:] != keys[:-1]), len(keys) - 1)[: len(keys)]
    return keys[ends], np.diff(upto[ends], prepend=0)


def _in_order(keys: np.ndarray, counts: np.ndarray) -> Counted:
    """Keys ascending, each with its count: as one number where both fit 64 bits, because numbers are sorted much faster than
    places of numbers."""
    bits = int(counts.max(initial=0)).bit_length()
    if keys.dtype.kind != "u" or int(keys.max(initial=0)).bit_length() + bits > 64:
        order = np.argsort(keys, kind="stable")  # ascending runs: a merge in linear time
        return keys[order], counts[order]
    both = keys.astype(np.uint64)
    both <<= np.uint64(bits)
    both |= counts.astype(np.uint64)
    both.sort()
    keys = (both >> np.uint64(bits)).astype(keys.dtype)
    both &= np.uint64((1 << bits) - 1)
    return keys, both.view(np.int64)

"""Tiles of rows over a few threads, each with a single-threaded BLAS.

That is faster than one product over many threads, because each thread reduces the scores that it has just computed while they are
still in its own cache.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

try:
    from threadpoolctl import ThreadpoolController
except ImportError:
    ThreadpoolController = None

ELEMENTS = 1 << 19  # floats of rows that a thread holds at a time, 2 MiB, a few times over
WORTH_THREADS = 1 << 25  # multiply-adds below which starting threads costs more than it saves
MOST_ROWS, FEWEST_ROWS = 32768, 64
LINE = 64  # bytes of a cache line


class Desk:
    """The working memory of one thread: flat buffers by name, that grow to the largest tile asked for and are then used again."""

    def __init__(self) -> None:
        self._flat: dict[str, np.ndarray] = {}

    def take(self, name: str, *shape: int, dtype: type = np.float32) -> np.ndarray:
        """An uninitialised C-ordered array of `shape`; it shares memory with the last one taken under this name."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = _aligned(size, np.dtype(dtype))
        return flat[:size].reshape(shape)


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Room for `size` numbers that begins where a cache line does: vectors that straddle two lines take twice as long."""
    room = np.empty(size * dtype.itemsize + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size * dtype.itemsize].view(dtype)


def usable_threads() -> int:
    """Threads for :func:`over_tiles`: the cores this process may use; one where the BLAS cannot be told to stay single-threaded."""
    if ThreadpoolController is None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rows_per_tile(rows: int, width: int, threads: int) -> int:
    """Rows of `width` floats that a thread takes at a time: enough that calls cost little beside work, as many tiles for each."""
    most = threads * max(FEWEST_ROWS, min(MOST_ROWS, ELEMENTS // max(1, width)))
    return max(1, -(-rows // (threads * max(1, -(-rows // most)))))


class _SingleThreadedBlas:
    """Bounds every loaded BLAS to one thread while anybody is inside, and restores what was there when the last one leaves."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._libraries: Any = None  # looked up once: numpy's own BLAS, the one that matters, is loaded by now
        self._limits: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0 and ThreadpoolController is not None:
                self._libraries = self._libraries or ThreadpoolController().select(user_api="blas")
                self._limits = self._libraries.limit(limits=1)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0 and self._limits is not None:
                    self._limits.restore_original_limits()
                    self._limits = None


single_threaded_blas = _SingleThreadedBlas()


def over_tiles(rows: int, tile: int, threads: int, work: Callable[[slice, Desk], None], desks: list[Desk]) -> None:
    """Calls work(slice, desk) for every tile of `rows` rows.

    A thread that is done takes the next tile, so a busy core holds up none. `desks` lends each its working memory and gets it back.
    """
    starts = iter(range(0, rows, tile))  # shared: taking the next start is atomic

    def run(_: int) -> None:
        desk = desks.pop() if desks else Desk()
        with np.errstate(over="ignore", invalid="ignore"):
            for start in starts:
                work(slice(start, min(start + tile, rows)), desk)
        desks.append(desk)

    with single_threaded_blas():  # with one thread too: what is that little, a BLAS' own threads only wait for each other
        if threads == 1 or rows <= tile:
            run(0)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(threads)))

"""A uniform sample of a stream of rows of unknown length, in bounded memory.

Vitter's algorithm R: row number t of the stream (from 1) replaces a random slot with probability size/t. VQFR's sampler draws the
whole batch against the count before it, which favours recent batches; here every row is drawn against its own number. What is kept
depends on the generator alone, not on how the stream was cut into blocks. It lives with the samples because engines, monitor and
trainer all keep one. Source: Vitter 1985, Random sampling with a reservoir, ACM TOMS 11(1).
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Slots:
    """Which rows of a stream go where: the bookkeeping alone, for rows that may lie on another device.

    Args:
        size: slots. rng: where the draws come from.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        if size < 1:
            raise ValueError("a reservoir holds at least one row")
        self.size = size
        self.seen = 0
        self._rng = rng

    @property
    def held(self) -> int:
        """Slots that are taken."""
        return min(self.seen, self.size)

    def take(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The next `n` rows: which of them are kept, (m,) ascending indices in [0, n), and the slot of each, all different."""
        free = min(n, max(0, self.size - self.seen))
        drawn = (self._rng.random(n - free) * np.arange(self.seen + free + 1, self.seen + n + 1)).astype(np.int64)
        slots = np.concatenate([np.arange(self.seen, self.seen + free), drawn])
        self.seen += n
        hits = np.flatnonzero(slots < self.size)
        _, last = np.unique(slots[hits][::-1], return_index=True)  # of two for one slot the later stays, as one by one
        rows = hits[np.sort(len(hits) - 1 - last)]
        return rows, slots[rows]


class Reservoir:
    """At most `size` rows of all that were added, each with the same probability; several arrays are kept side by side.

    Args:
        rng: where the draws come from; ranks that use equal generators and add equal rows hold equal reservoirs.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._slots = Slots(size, rng)
        self._numbers = np.empty(size, np.int64)
        self._kept: list[np.ndarray] = []

    @property
    def size(self) -> int:
        """The most rows that it holds."""
        return self._slots.size

    @property
    def seen(self) -> int:
        """Rows added so far."""
        return self._slots.seen

    def add(self, *arrays: np.ndarray) -> None:
        """The next rows of the stream: arrays of equal length, the same kinds at every call."""
        if not self._kept:
            self._kept = [np.empty((self.size, *array.shape[1:]), array.dtype) for array in arrays]
        first = self.seen
        rows, slots = self._slots.take(len(arrays[0]))
        self._numbers[slots] = first + rows
        for kept, array in zip(self._kept, arrays, strict=True):
            kept[slots] = array[rows]

    def rows(self) -> np.ndarray:
        """What is held of the first array, (min(seen, size), …), in no particular order; a copy."""
        return self._kept[0][: self._slots.held].copy() if self._kept else np.zeros((0, 0), dtype=np.float32)

    def finish(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Numbers of the kept rows in the stream, ascending, and the arrays in the same order."""
        order = np.argsort(self._numbers[: self._slots.held])
        return self._numbers[order], [kept[order] for kept in self._kept]

    def clear(self) -> None:
        """Start over with an empty reservoir."""
        self._slots.seen = 0

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on with its first array as if never stopped; the row numbers are not in it."""
        return {"seen": self.seen, "rows": self.rows()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        rows = state["rows"]
        if len(rows):
            self._kept = [np.empty((self.size, *rows.shape[1:]), dtype=rows.dtype)]
            self._kept[0][: len(rows)] = rows
        self._slots.seen = int(state["seen"])

"""Use of the codes of one level over time, by bands of neighbouring codes: where in the book, and since when, codes fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vqdoctor.model import Event
from vqdoctor.render.vital_signs import Level
from vqdoctor.tui.heat import Strip

MOST = 1 << 20  # codes of a book that is cut into bands


class Bands:
    """Keeps which codes each count has seen, so that a count is gone through once."""

    def __init__(self) -> None:
        self._used: dict[int, tuple[Event, np.ndarray]] = {}

    def strips(self, usage: Sequence[Event], level: Level, first: float, last: float, rows: int, width: int) -> list[Strip]:
        """At most `rows` strips over the steps from `first` to `last`, at most `width` counts; none where there are no counts."""
        codes = level.codes or 0
        mine = [event for event in usage if _of(event, level) and event.step is not None and first <= event.step <= last]
        if not mine or not 0 < codes <= MOST or rows < 1:
            return []
        step = -(-len(mine) // max(1, width))
        mine = [*mine[:-1:step], mine[-1]]
        before, self._used = self._used, {}
        for event in mine:
            kept = before.get(id(event))
            self._used[id(event)] = kept if kept is not None and kept[0] is event else (event, used(event, codes))
        edges = np.unique(np.linspace(0, codes, min(rows, codes) + 1).astype(int))
        table = np.stack([self._used[id(event)][1] for event in mine])  # (counts, codes)
        shares = np.add.reduceat(table, edges[:-1], axis=1, dtype=float) / np.diff(edges)
        steps = np.array([event.step for event in mine], float)
        names = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in pairwise(edges.tolist())]
        return [Strip(name, steps, shares[:, i]) for i, name in enumerate(names)]


def used(event: Event, codes: int) -> np.ndarray:
    """(codes,) bool: which codes a count has hits of; what is no code of the book is passed over."""
    hit = np.zeros(codes, bool)
    counts = event.detail.get("counts")
    if isinstance(counts, np.ndarray):  # as the store keeps them
        hit[counts[(counts[:, 0] < codes) & (counts[:, 1] > 0), 0]] = True
    return hit


def _of(event: Event, level: Level) -> bool:
    quantizer = event.detail.get("quantizer")
    return event.detail.get("level") == level.place[1] and (not quantizer or not level.place[0] or quantizer == level.place[0])

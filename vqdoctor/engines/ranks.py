"""Which of the rows of equal ID each row is: what a de-duplication token says, for any number of rows.

Its own file because counting (`ids`, `spill`) needs no order among rows. What has an ID of its own is the first of one; for the
others it is counted, in the order of the rows, how often their ID was there before. The counters of some IDs fit in memory; for
more of them the rows are gone through again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from vqdoctor.engines.ids import DistinctIds, Packing
from vqdoctor.samples.spool import Spool

MOST_SHARED = 1 << 21  # IDs of several rows that are counted in one pass: 16 MiB of keys and counters at 32 bits, 24 at 64
_RANK = np.dtype(np.int32)


def rank_rows(blocks: Callable[[], Iterable[np.ndarray]], found: DistinctIds, most: int = MOST_SHARED) -> Spool:
    """Place of each row among those of equal ID, in their order, from 0: (n,) int32, set aside.

    Args:
        blocks: the codes (b, L) of all rows, at every call again. found: what was counted of them.
        most: IDs of several rows that are counted in one pass; a matter of memory, not of the result.
    """
    ranks: Spool | None = None
    for keys in _shared(found, most):
        ranks = _ranked(blocks(), found.packing, keys, ranks)
    return _ranked(blocks(), found.packing, found.keys[:0], None) if ranks is None else ranks


def _shared(found: DistinctIds, most: int) -> Iterator[np.ndarray]:
    """Keys of the IDs that several rows have, ascending, at most so many at a time."""
    waiting = [found.keys[:0]]
    for run in found.runs(size=most):
        waiting.append(found.keys[run][found.items[run] > 1])
        if sum(map(len, waiting)) >= most:
            keys = np.concatenate(waiting)
            yield keys[:most]
            waiting = [keys[most:]]
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


def _ranked(blocks: Iterable[np.ndarray], packing: Packing, keys: np.ndarray, before: Spool | None) -> Spool:
    """Ranks of the rows whose key is one of `keys`, those of the others as they were."""
    ranks, counts, done = Spool(_RANK), np.zeros(len(keys), _RANK), 0
    for block in blocks:
        own = np.zeros(len(block), _RANK) if before is None else before.read(done, done + len(block)).copy()
        if len(keys):
            _rank(own, packing.pack(block), keys, counts)
        ranks.append(own)
        done += len(block)
    return ranks


def _rank(own: np.ndarray, packed: np.ndarray, keys: np.ndarray, counts: np.ndarray) -> None:
    """Sets the ranks (b,) of the rows whose key is one of `keys` (G,). counts: (G,) rows before these, which it adds to."""
    order = np.argsort(packed, kind="stable")
    place = np.minimum(np.searchsorted(keys, packed[order]), len(keys) - 1)
    found = keys[place] == packed[order]
    order, place = order[found], place[found]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    lengths = np.diff(starts, append=len(place))
    own[order] = counts[place] + np.arange(len(place)) - np.repeat(starts, lengths)
    counts[place[starts]] += lengths.astype(_RANK)

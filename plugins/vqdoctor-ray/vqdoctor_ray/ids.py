"""Distinct IDs that stay on the cluster, in pieces: the numbers about them come here, the IDs only where somebody looks at each.

A piece holds the IDs between two keys, so that pieces one after the other are the whole table in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import ray

from vqdoctor.engines import DistinctIds, IdGroup
from vqdoctor.engines.ids import Packing, rows_with
from vqdoctor.engines.runs import combine, count_keys
from vqdoctor.metrics import IdTree, Sizes, join_trees
from vqdoctor.samples.spool import Spool
from vqdoctor_ray.cluster import RETRIES, explained

LARGEST = 20
Run = tuple[np.ndarray, np.ndarray]
"""Keys (u,), ascending, and how many items have each (u,)."""


class Said(NamedTuple):
    """What one piece says: see `DistinctIds`; largest without members."""

    sizes: Sizes
    tree: IdTree | None
    largest: tuple[IdGroup, ...]


class ClusterIds:
    """As :class:`vqdoctor.engines.DistinctIds`.

    Args:
        sizes: K per level. pieces: for each piece references to its runs, one a part.
        rows: (n,) key of every item in order, set aside; None where there were too many to keep.
    """

    def __init__(self, sizes: Sequence[int], pieces: Sequence[Sequence[Any]], rows: Spool | None) -> None:
        self.packing, self.rows = Packing(sizes), rows
        merged = [_merge.remote(sizes, *runs) for runs in pieces]
        self._runs = [run for run, _ in merged]
        self._said: list[Said] = ray.get([said for _, said in merged])

    @cached_property
    def _here(self) -> DistinctIds:
        """All of them, brought here."""
        with explained():
            runs: list[Run] = ray.get(self._runs)
        keys = np.concatenate([np.empty(0, self.packing.dtype), *(keys for keys, _ in runs)])
        items = np.concatenate([np.empty(0, np.int64), *(items for _, items in runs)])
        return DistinctIds(self.packing, keys, items, self.rows)

    @property
    def keys(self) -> np.ndarray:
        """(U,) packed, ascending."""
        return self._here.keys

    @property
    def items(self) -> np.ndarray:
        """(U,) int64, how many items have each."""
        return self._here.items

    @property
    def codes(self) -> np.ndarray:
        """(U, L) int32 in lexicographic order."""
        return self._here.codes

    @property
    def sizes(self) -> Sizes:
        """How many IDs so many items have."""
        return reduce(Sizes.joined, (said.sizes for said in self._said), Sizes.of(np.empty(0, np.int64)))

    @property
    def tree(self) -> IdTree | None:
        """The tree that they form; None where there are none."""
        trees = [said.tree for said in self._said if said.tree is not None]
        return reduce(join_trees, trees) if trees else None

    def branch(self, prefix: tuple[int, ...]) -> np.ndarray:
        """Items (K,) int64 by the code that follows a prefix."""
        with explained():
            found = ray.get([_branch.remote(self.packing.sizes, run, prefix) for run in self._runs])
        return np.sum(found, axis=0, dtype=np.int64)

    def largest(self, groups: int = LARGEST, members: int = 10) -> tuple[IdGroup, ...]:
        """The largest groups, at most LARGEST, largest first, then by ID."""
        found = sorted((group for said in self._said for group in said.largest), key=lambda group: (-group.items, group.id))
        keys = self.packing.pack(np.array([group.id for group in found[:groups]]).reshape(-1, len(self.packing.sizes)))
        return tuple(IdGroup(group.id, group.items, self.members(key, members)) for group, key in zip(found, keys, strict=False))

    def members(self, key: np.generic, most: int) -> tuple[int, ...]:
        """Rows of the first items whose packed key this is; () where they were not kept."""
        return rows_with(self.rows, key, most)


def cut_run(keys: np.ndarray, bounds: np.ndarray) -> tuple[Run, ...]:
    """Keys (n,) in any order, which are sorted, as a run for each piece. bounds: the first key of each piece but the first."""
    ordered, items = count_keys(keys, threads=1)  # a task has one core
    cuts = [0, *np.searchsorted(ordered, bounds).tolist(), len(ordered)]
    return tuple((ordered[start:stop], items[start:stop]) for start, stop in pairwise(cuts))


@ray.remote(num_cpus=1, max_retries=RETRIES, num_returns=2)
def _merge(sizes: Sequence[int], *runs: Run) -> tuple[Run, Said]:
    """The runs of one piece as one, and what it says."""
    keys, items = combine(*map(np.concatenate, zip(*runs, strict=True)))
    ids = DistinctIds(Packing(sizes), keys, items)
    return (keys, items), Said(ids.sizes, ids.tree, ids.largest(LARGEST, members=0))


@ray.remote(num_cpus=1, max_retries=RETRIES)
def _branch(sizes: Sequence[int], run: Run, prefix: tuple[int, ...]) -> np.ndarray:
    return DistinctIds(Packing(sizes), *run).branch(prefix)

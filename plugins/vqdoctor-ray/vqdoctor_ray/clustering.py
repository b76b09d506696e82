"""k-means over rows that no one process would go over: seeds from a sample here, Lloyd's iterations on the cluster.

``vqdoctor repair`` fits to a uniform sample of a bounded size, whatever the features hold, and needs no cluster. This is for who
wants centres of all rows: the reference for a codebook of billions of items, or its start.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray

from vqdoctor.checkpoint import open_source
from vqdoctor.engines.share import Drawn, draw
from vqdoctor.errors import SampleError, UsageError
from vqdoctor.kmeans import fit, pool_size, unit
from vqdoctor.kmeans.gathering import Gathered, gather, join, refine_gathered
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher, assign
from vqdoctor.samples import Part, Rows, open_part, open_rows, part_rows
from vqdoctor_ray.cluster import RETRIES, answer, candid, explained, join_cluster

BLOCK = 1 << 14  # rows at a time
ARITY = 8  # sums that are added by one task


class Fitted(NamedTuple):
    """centres (k, D) float32; inertia Σ‖x − centre‖² (of unit rows for "cosine") over the n rows that have a nearest centre."""

    centres: np.ndarray
    inertia: float
    n: int


def kmeans(features: str | Path | Rows, k: int, *, seed: int = 0, metric: str = "l2", iterations: int = 25) -> Fitted:
    """k centres of all rows of `features`; the same for the same seed, however many workers there are.

    Args:
        features: a file, a folder of shards, or rows; as for ``vqdoctor inspect --features``. Every node must see the files.
        metric: "l2", or "cosine": rows and centres are kept at unit norm.
        iterations: passes over the rows, at most.

    Raises:
        InputError, SampleError: they cannot be read, or fewer rows can be used than centres are wanted.
        UsageError: another metric, no centre, or no cluster. ClusterError: it could not do the work.

    Example:
        >>> kmeans("shards/", 8192).inertia  # doctest: +SKIP
    """
    if metric not in ("l2", "cosine") or k < 1:
        raise UsageError(f"there is no k-means of {k} centres by {metric!r}.", hint="At least one, by l2 or cosine.")
    rows = open_rows(features, open_source=open_source) if isinstance(features, str | Path) else features
    parts = tuple(rows.parts(part_rows(rows.n)))
    join_cluster()
    rng = np.random.default_rng(seed)
    with explained():
        there = [ray.put(part) for part in parts]
        pool = _pool(parts, there, metric, draw_from=pool_size(k), rng=rng)
        if len(pool) < k:
            raise SampleError(f"{len(pool)} of its rows can be used, {k} centres are wanted", where=rows.path)
        start = fit(pool, k, rng=rng, assign=assign, metric=metric, iterations=iterations).centres
        onto = unit if metric == "cosine" else np.asarray
        centres, said = refine_gathered(start, lambda now: _said(there, now, metric), onto=onto, iterations=iterations)
    return Fitted(centres, said.inertia, int(said.sizes.sum()))


def _pool(parts: tuple[Part, ...], put: list[Any], metric: str, *, draw_from: int, rng: np.random.Generator) -> np.ndarray:
    """A uniform sample of the rows (m, D), those of it that can be used."""
    drawn = draw(sum(part.rows for part in parts), draw_from, rng)
    wanted = [(ref, drawn.within(part.first, part.rows)) for part, ref in zip(parts, put, strict=True)]
    there = [_rows_of.remote(ref, some, metric) for ref, some in wanted if len(some.numbers)]
    return np.concatenate([answer(rows) for rows in there])


def _said(there: list[Any], centres: np.ndarray, metric: str) -> Gathered:
    """What all rows say of the centres: summed on the cluster, by a tree whose shape is a matter of the number of parts."""
    put = ray.put(centres)
    refs = [_gather.remote(part, put, metric) for part in there]
    while len(refs) > 1:
        refs = [_join.remote(*refs[start : start + ARITY]) for start in range(0, len(refs), ARITY)]
    said: Gathered = answer(refs[0])
    return said


@ray.remote(num_cpus=1, max_retries=RETRIES)
@candid()
def _rows_of(part: Part, drawn: Drawn, metric: str) -> np.ndarray:
    """Of the drawn rows of a part those that have a nearest centre, whatever the centres are."""
    seen, found = part.first, []
    for block, good in open_part(part, open_source).checked(BLOCK):
        found.append(block[np.flatnonzero(good & np.isin(np.arange(seen, seen + len(block)), drawn.numbers))])
        seen += len(block)
    rows = np.concatenate(found)
    return rows[assign(rows, np.ones((1, rows.shape[1]), np.float32), metric)[0] >= 0]


@ray.remote(num_cpus=1, max_retries=RETRIES)
@candid()
def _gather(part: Part, centres: np.ndarray, metric: str) -> Gathered:
    """What the rows of a part say of the centres."""
    searcher = Searcher(Lookup((Stage(centres),), "single", metric, centres.shape[1]), threads=1)
    blocks = (block[good] for block, good in open_part(part, open_source).checked(BLOCK))
    return reduce(join, (_said_by(searcher, rows, metric) for rows in blocks))


def _said_by(searcher: Searcher, rows: np.ndarray, metric: str) -> Gathered:
    found = searcher.encode(rows)
    near = found.codes[:, 0] >= 0
    points = unit(rows[near]) if metric == "cosine" else rows[near]
    return gather(points, found.codes[near, 0], found.distances[near, 0], searcher.books[0].size)


@ray.remote(num_cpus=1, max_retries=RETRIES)
@candid()
def _join(*said: Gathered) -> Gathered:
    return reduce(join, said)

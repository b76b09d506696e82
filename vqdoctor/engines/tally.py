"""What one pass over a sample leaves behind: all that the measures of use, distortion, levels and collisions need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vqdoctor.engines.ids import CountedIds, IdGroup
from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.model import Lookup
from vqdoctor.nearest import Searcher, assign
from vqdoctor.samples import Rows


@dataclass(frozen=True, slots=True)
class LevelTally:
    """One level over the whole sample.

    Attributes:
        counts: (K,) int64 hits. batches: means over batches.
        residual: mean squared norm of what is left after it (a product: of its columns); None where only codes were seen.
        soft: (K,) float64 mean of softmax(−d²/T), None where no temperature was given.
    """

    counts: np.ndarray
    batches: BatchMeans
    residual: float | None = None
    soft: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A uniform sample of the rows, in the order of the file.

    Attributes:
        numbers: (m,) in the file. rows: (m, W) float32 as given. codes: (m, L) int32. distances: (m, L) float32, squared.
    """

    numbers: np.ndarray
    rows: np.ndarray
    codes: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True, slots=True)
class Tally:
    """A whole sample, counted.

    Attributes:
        n: rows counted. dropped: rows left out (NaN, Inf, no direction, unassigned). dropped_rows: numbers of the first 10,000.
        levels: one per level.
        ids: distinct IDs; None for one level. groups: the largest ones, rows numbered as in the file.
        unique_with_suffix: distinct IDs once the de-duplication token is added; None without one.
        distinct_rows: different inputs (levels ≥ 2 only); None where not counted.
        mean, variance: (w,) float64 of the rows in the quantiser's space; None where only codes were seen.
        energy: mean ‖x − mean‖² there (R_0). squared_error: mean ‖x − Q(x)‖².
        kept: a uniform sample of rows; None where only codes were seen.
    """

    n: int
    dropped: int
    dropped_rows: tuple[int, ...]
    levels: tuple[LevelTally, ...]
    ids: CountedIds | None = None
    groups: tuple[IdGroup, ...] = ()
    unique_with_suffix: int | None = None
    distinct_rows: int | None = None
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None
    energy: float | None = None
    squared_error: float | None = None
    kept: Kept | None = None


class Engine(Protocol):
    """Counts rows: :func:`vqdoctor.engines.measure_rows`, or a plugin's. One that also has an attribute `encode`, which is called
    as :func:`vqdoctor.engines.encode_rows` is, encodes them too.

    The way to an engine of your own: hand the parts of `shared_out` to whoever does `count_part`, and put the shares together in
    their order; the numbers are then those of every other engine.
    """

    def __call__(
        self,
        rows: Rows,
        lookup: Lookup,
        *,
        rng: np.random.Generator,
        batch: int = 1024,
        keep: int = 16384,
        temperature: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Tally: ...


def level_inputs(tally: Tally, lookup: Lookup) -> Iterator[np.ndarray]:
    """What each level looked up for the kept rows, (m, d) float32 a level, one at a time."""
    if tally.kept is None:
        return iter(())
    return Searcher(lookup).inputs(tally.kept.rows, tally.kept.codes)


def unseen_distances(codes: np.ndarray, inputs: np.ndarray, metric: str = "l2") -> np.ndarray:
    """How far codes that were never chosen are from the nearest feature that reached their level (orphan or shadowed, theory §6).

    Args:
        codes: (u, d) the unseen codes. inputs: (m, d) from :func:`level_inputs`. metric: of the lookup.

    Returns:
        (u,) float64 distances, for "cosine" between directions; NaN for codes that are not finite or have no direction.
    """
    found, squared = assign(codes, inputs, "cosine" if metric == "cosine" else "l2")
    return np.where(found < 0, np.nan, np.sqrt(squared.astype(np.float64)))

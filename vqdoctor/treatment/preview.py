"""Before and after: on rows that the repair has not learned from; collisions on all rows, as only a whole catalogue shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vqdoctor.metrics import measure_collisions, measure_distortion, measure_usage
from vqdoctor.model.report import MetricValue

Metrics = dict[str, MetricValue]


@dataclass(frozen=True, slots=True)
class Flips:
    """Rows whose code changes.

    Attributes:
        rate: of all rows. to_rewritten: to a code whose row was rewritten. from_rewritten: to another, from one whose row was.
        on_live: between two codes whose rows are as they were; 0 in a selective repair of a first level.
    """

    rate: float
    to_rewritten: float
    from_rewritten: float
    on_live: float


def level_metrics(codes: np.ndarray, residuals: np.ndarray, size: int, spread: float) -> Metrics:
    """usage.* and distortion.* of one level.

    Args:
        codes: (n,), −1 for none. residuals: (n,) squared norm of what the level leaves over. size: K.
        spread: mean ‖x − mean‖² of what the quantiser is given (a product: of the group's columns).
    """
    known = codes >= 0
    usage = measure_usage(np.bincount(codes[known], minlength=size)).metrics
    n = int(known.sum())
    return usage | measure_distortion(n, float(residuals[known].sum(dtype=np.float64)), spread * n).metrics


def collision_metrics(codes: np.ndarray, sizes: list[int]) -> Metrics:
    """collision.* of codes (n, L); after_suffix as with a de-duplication token of as many values as the largest book has codes."""
    codes = codes[(codes >= 0).all(axis=1)]
    whole = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.dtype.itemsize * codes.shape[1])))[:, 0]
    groups = np.unique(whole, return_counts=True)[1]
    values = max(sizes)
    finals = groups - np.maximum(groups - values, 0)  # items of each group that get a token of their own
    final_groups = np.ones(int(finals.sum()), np.int64)
    if len(final_groups):
        final_groups[0] += int((groups - finals).sum())
    return measure_collisions(groups, sizes=sizes, final_groups=final_groups).metrics


def flips(before: np.ndarray, after: np.ndarray, rewritten: np.ndarray) -> Flips:
    """Of codes (n,) before and after. rewritten: codes whose rows were."""
    n = max(len(before), 1)
    moved = before != after
    to, gone = np.isin(after, rewritten), np.isin(before, rewritten)
    counts = moved, moved & to, moved & gone & ~to, moved & ~gone & ~to
    return Flips(*(float(rows.sum()) / n for rows in counts))


def id_map(before: np.ndarray, after: np.ndarray, size: int) -> np.ndarray:
    """For each old code the new code that most of its rows (n,) get, (K,) int64; −1 for a code without rows."""
    known = (before >= 0) & (after >= 0)
    pairs, counts = np.unique(before[known].astype(np.int64) * size + after[known], return_counts=True)
    order = np.argsort(counts, kind="stable")
    found = np.full(size, -1, np.int64)
    found[pairs[order] // size] = pairs[order] % size  # of several the last, which is the most frequent
    return found


def share_moved(before: np.ndarray, after: np.ndarray) -> float:
    """Of rows with codes (n, L) before and after, the share whose ID is another one."""
    return float((before != after).any(axis=1).mean())


def ids_sentence(share: float) -> str:
    """What it means downstream that this share of the rows gets other IDs."""
    return (
        f"{100 * share:.1f} % of the rows held out get other IDs: what learned the old ones (a token model, an ID "
        "table, a decoder) has to be trained or built again."
    )

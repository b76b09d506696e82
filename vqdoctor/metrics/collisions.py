"""Items that share a semantic ID, from the sizes of the groups of equal IDs.

The words differ between projects and change the number, so each quantity has one name: `excess` is items − unique (what LC-Rec and
MiniOneRec call collisions), `conflict_items` all items in a shared group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vqdoctor.metrics.measured import Measured
from vqdoctor.model.report import MetricValue


def measure_collisions(
    groups: np.ndarray,
    *,
    times: np.ndarray | None = None,
    sizes: Sequence[int] | None = None,
    final_groups: np.ndarray | None = None,
    distinct_inputs: int | None = None,
) -> Measured:
    """Everything that the groups of equal IDs say.

    Args:
        groups: (U,) items of each distinct ID, without a de-dup token.
        times: (U,) how many distinct IDs have so many items; None: one each. sizes: K of each level, None if not known.
        final_groups: the same with the de-dup token; None where the IDs have none.
        distinct_inputs: distinct feature rows behind the items; None if not known.

    Returns:
        all collision.*; without items None but for items and unique, which are 0.
        facts: "groups" shared IDs, "pairs" of items with equal IDs, "avoidable_excess" beyond the floor, "forced_excess" that the
        capacity alone forces.
    """
    groups = np.asarray(groups, dtype=np.int64)
    times = np.ones(len(groups), np.int64) if times is None else times
    items, unique = int((groups * times).sum()), int(times.sum())
    excess = items - unique
    capacity = math.prod(int(size) for size in sizes) if sizes else None
    shared, often = groups[groups > 1], times[groups > 1]
    conflict, pairs = int((shared * often).sum()), int((shared * (shared - 1) // 2 * often).sum())
    metrics: dict[str, MetricValue] = {
        "collision.items": items,
        "collision.unique": unique,
        "collision.excess": excess,
        "collision.rate": excess / items if items else None,
        "collision.conflict_items": conflict,
        "collision.conflict_rate": conflict / items if items else None,
        "collision.max_group": int(groups.max(initial=0)),
        "collision.pair_probability": pairs / (items * (items - 1) // 2) if items > 1 else None,
        "collision.after_suffix": None if final_groups is None else int(np.sum(final_groups)) - len(final_groups),
        "collision.floor_excess": None if distinct_inputs is None else items - distinct_inputs,
        "collision.expected_excess": None if capacity is None else expected_excess(items, capacity),
        "collision.capacity": None if capacity is None else _number(capacity),
    }
    if not items:
        metrics = {**dict.fromkeys(metrics), "collision.items": 0, "collision.unique": 0}
    return Measured(
        metrics,
        {
            "groups": int(often.sum()),
            "pairs": pairs,
            "avoidable_excess": None if distinct_inputs is None else max(0, excess - (items - distinct_inputs)),
            "forced_excess": None if capacity is None else max(0, items - capacity),
        },
    )


def following(stated: Mapping[str, float | None]) -> dict[str, float]:
    """What follows from the collision metrics that a log states and is not stated itself: of items, unique IDs and excess the third
    from any two, and the rate.

    Example:
        >>> following({"collision.items": 3883, "collision.unique": 3359})
        {'collision.excess': 524, 'collision.rate': 0.13494720576873551}
    """
    items, unique, excess = (stated.get(f"collision.{name}") for name in ("items", "unique", "excess"))
    if items is None and unique is not None and excess is not None:
        items = unique + excess
    elif items is not None and unique is None and excess is not None:
        unique = items - excess
    elif items is not None and unique is not None and excess is None:
        excess = items - unique
    rate = excess / items if items and excess is not None and 0 <= excess <= items else None
    found = {"collision.items": items, "collision.unique": unique, "collision.excess": excess, "collision.rate": rate}
    return {name: value for name, value in found.items() if value is not None and stated.get(name) is None}


def expected_excess(items: int, capacity: int) -> float:
    """Excess that uniform random IDs would have: N − M(1−(1−1/M)^N) ≈ N(N−1)/(2M).

    The plain form loses every digit once M is far above N; there the first terms of its series stand in.
    """
    if items <= 1:
        return 0.0
    if capacity == 1:
        return float(items - 1)
    n, m = float(items), _number(capacity) or math.inf
    if n / m < 1e-4:
        return n * (n - 1) / (2 * m) * (1 - (n - 2) / (3 * m) * (1 - (n - 3) / (4 * m)))
    return n + m * math.expm1(n * math.log1p(-1 / m))


def _number(capacity: int) -> float | int | None:
    """The capacity as JSON can carry it exactly, else as a float; None beyond the largest float."""
    if capacity < 2**53:
        return capacity
    return float(capacity) if capacity < 2**1023 else None

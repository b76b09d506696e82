"""When a curve falls and stays down: the detector behind the live rules, on plain numbers.

A codebook's curve drifts, jumps up at each re-initialisation and is noisy in a correlated way, so a detector that assumes
independent noise about a fixed mean (CUSUM, EWMA control limits, Page–Hinkley) calls most healthy runs sick. This one compares
medians of five with the best such median of the same segment; a segment begins at a re-initialisation or a jump up, never at a
fall. Simulated against the others in `benchmarks/live_rules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

WINDOW = 5  # points of a median
LAG = 4  # points after which correlated noise is nearly independent
FEWEST = 8  # differences that a spread can be read from
LEAST = 2 * LAG + FEWEST  # points whose noise can be told
ENOUGH = 48  # points that pooling leaves
SPREAD = 1.4826  # MAD to standard deviation, normal noise


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a curve between two (re-)starts.

    Attributes:
        start, end: [start, end) of the curve. best, lowest: of its running medians of five, lowest after the best.
        last: its newest median. alarm: where it had fallen from its own best by the limit, None where it never had.
    """

    start: int
    end: int
    best: float
    lowest: float
    last: float
    alarm: int | None


def difference_spread(curve: np.ndarray) -> float:
    """Standard deviation of the first differences of (n,), by their MAD, so that ramps and rare jumps do not count; 0 for n ≤ 8."""
    return _spread(np.diff(curve))


def noise(curve: np.ndarray) -> float | None:
    """Standard deviation of the noise of one point, in the curve's unit; None where there are too few points to tell.

    From second differences at a lag: a ramp is no noise, and noise that follows itself from point to point is seen (nearly) whole.
    """
    if len(curve) < LEAST:
        return None
    return _spread(curve[2 * LAG :] - 2 * curve[LAG:-LAG] + curve[: -2 * LAG]) / math.sqrt(6)


def _spread(differences: np.ndarray) -> float:
    if len(differences) < FEWEST:
        return 0.0
    return SPREAD * float(np.median(np.abs(differences - np.median(differences))))


def robust_collapse(
    curve: np.ndarray,
    starts: Collection[int] = (),
    *,
    drop: float = math.log(2),
    drop_sigmas: float = 4.0,
    jump: float = 0.5,
    jump_sigmas: float = 6.0,
) -> tuple[Segment, ...]:
    """The segments of a curve, each with its alarm if it fell.

    Args:
        curve: (n,) float64, finite, ln(perplexity): the limits are in nats.
        starts: where a re-initialisation, another size or another batch is known to begin anew.
        drop, drop_sigmas: a median this far under the segment's best is an alarm, once a segment; the larger of the two counts.
            Sigmas are of `difference_spread` up to there.
        jump, jump_sigmas: one step up by this much begins a segment by itself.

    Source: reference simulation, theory §8; the first five points of a segment build its reference only.
    """
    found: list[Segment] = []
    values, fresh = curve.tolist(), frozenset(starts)
    begin, best, lowest, median, alarm = 0, -math.inf, math.inf, 0.0, None
    for at, value in enumerate(values):
        if at and (at in fresh or _exceeds(value - values[at - 1], jump, jump_sigmas, curve, at)):
            found.append(Segment(begin, at, best, lowest, median, alarm))
            begin, best, lowest, alarm = at, -math.inf, math.inf, None
        median = _middle(values[max(begin, at + 1 - WINDOW) : at + 1])
        best, lowest = (median, median) if median > best else (best, min(lowest, median))
        if alarm is None and at - begin >= WINDOW and _exceeds(best - median, drop, drop_sigmas, curve, at):
            alarm = at
    if values:
        found.append(Segment(begin, len(values), best, lowest, median, alarm))
    return tuple(found)


def _exceeds(change: float, least: float, sigmas: float, curve: np.ndarray, at: int) -> bool:
    """Whether a change is at least both limits; the spread, which costs, is only looked at where the first is met."""
    return change >= least and change >= sigmas * difference_spread(curve[: at + 1])


def _middle(values: list[float]) -> float:
    """The median."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def pooled(curve: np.ndarray, starts: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A curve with `group` points made one by their mean, never across a start.

    Args:
        curve: (n,) float64. starts: (s,) int64, ascending, without 0.

    Returns:
        means (m,) float64; firsts (m,) int64: the first point of each group; starts (s,) int64 in the new numbers. The last group
        of a segment may be smaller; under half a group it is left out, unless it is all there is.
    """
    if group <= 1 or not len(curve):
        return curve, np.arange(len(curve)), starts
    edges = np.unique(np.concatenate([[0], starts, [len(curve)]]))
    firsts = np.concatenate([_groups(low, high, group) for low, high in pairwise(edges.tolist())])
    sizes = _sizes(firsts, edges, group)
    sums = np.concatenate([[0.0], np.cumsum(curve)])
    return (sums[firsts + sizes] - sums[firsts]) / sizes, firsts, np.searchsorted(firsts, starts)


def _groups(low: int, high: int, group: int) -> np.ndarray:
    firsts = np.arange(low, high, group)
    return firsts[:-1] if len(firsts) > 1 and high - firsts[-1] < group / 2 else firsts


def _sizes(firsts: np.ndarray, edges: np.ndarray, group: int) -> np.ndarray:
    ends = edges[np.searchsorted(edges, firsts, side="right")]
    return np.minimum(group, ends - firsts)


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What was seen of a curve.

    Attributes:
        segments: in points of `curve`. curve: (m,) as it was judged. firsts: (m,) which point of the given curve each began with.
        group: how many of them were pooled into one. noise: sd of a pooled point. limit: how far a median had to fall.
    """

    segments: tuple[Segment, ...]
    curve: np.ndarray
    firsts: np.ndarray
    group: int
    noise: float
    limit: float


def judge_curve(curve: np.ndarray, starts: np.ndarray, limits: Mapping[str, float]) -> Drift | None:
    """`robust_collapse` of a curve that may be noisy; None where there are too few points to know how noisy it is.

    Points are pooled by powers of two (so that groups stay put while a run grows) until the noise is under ``limits["noise"]`` or
    few are left, and a fall must be ``limits["noise_sigmas"]`` times what noise remains, more so where it was read from few points.

    Args:
        curve: (n,) float64, finite. starts: (s,) int64, ascending, without 0.
        limits: "drop", "jump", "noise" in the curve's unit, "noise_sigmas".
    """
    group, points, firsts, begins = 1, curve, np.arange(len(curve)), starts
    level = noise(curve)
    while level is not None and level > limits["noise"] and len(curve) >= 2 * group * ENOUGH:
        group *= 2
        points, firsts, begins = pooled(curve, starts, group)
        level = noise(points)
    if level is None:
        return None
    limit = max(limits["drop"], limits["noise_sigmas"] * (1 + FEWEST / (len(points) - 2 * LAG)) * level)
    segments = robust_collapse(points, begins.tolist(), drop=limit, jump=limits["jump"])
    return Drift(segments, points, firsts, group, level, limit)

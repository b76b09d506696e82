"""Where new codes go when others stay: on rows that are served badly (D²), in halves of large cells (LBG), beside codes in use.

All functions work in a space where nearest means Euclidean: for a cosine lookup the caller gives unit rows, and `onto` puts every
mean back on the sphere. Sources: Arthur, Vassilvitskii 2007 (D² seeding); Linde, Buzo, Gray 1980 (splitting), with the step of
theory §7.1.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import numpy as np

from vqdoctor.metrics import nearest_others
from vqdoctor.nearest import assign

Onto = Callable[[np.ndarray], np.ndarray]  # (k, D) means to where codes may lie: themselves, or the sphere

POOL = 16384  # rows that seeds are drawn from, at least
MOST_ROUNDS = 512  # of seeding: beyond as many codes, several are drawn at a time
OUTLIERS = 0.01  # share of the rows whose squared distance is capped, so that a few odd rows don't take all codes
ITERATIONS = 25
TOLERANCE = 1e-4  # relative gain below which Lloyd stops
MOST_TRIES = 4
CHEAP = 200_000_000  # multiply-adds of one pass over the rows, which several runs may share
POWER_STEPS = 20
NEIGHBOURS = 8192  # codes among which a donor's nearest is sought
STARVING = 5  # fitted rows under which a code may well get none of as many other rows: e⁻⁵ = 0.7 %
MOST_MEALS = 4  # times that codes which starve are moved
ROUNDING = 1e-6  # of ‖x‖² + ‖y‖², what float32 leaves of a squared distance of 0


def themselves(means: np.ndarray) -> np.ndarray:
    """No constraint: l2."""
    return means


def on_sphere(means: np.ndarray) -> np.ndarray:
    """Unit rows; a zero row stays zero."""
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)


def relocate(
    rows: np.ndarray, fixed: np.ndarray, count: int, *, rng: np.random.Generator, onto: Onto = themselves,
    start: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Up to `count` codes for what the fixed codes serve badly: D² seeds, then Lloyd's steps in which the fixed ones don't move.

    Args:
        rows: (n, D) float32, finite. fixed: (k, D), finite; may be empty.
        start: (s, D), s ≤ count, places that some of the codes begin at instead of a seed.

    Returns:
        (m, D) float32; fewer than `count` where fewer rows differ from all codes.
    """
    away = assign(rows, fixed)[1] if len(fixed) else np.full(len(rows), np.inf, np.float32)
    places = np.empty((0, rows.shape[1]), np.float32) if start is None else start.astype(np.float32)
    served = np.minimum(away, assign(rows, places)[1]) if len(places) else away
    best, least = places, math.inf
    for _ in range(tries(rows, count)):
        seeds = draw_seeds(rows, served, count - len(places), rng)
        codes, error = settle(rows, np.concatenate([places, seeds]), away, rng=rng, onto=onto)
        if error < least:
            best, least = codes, error
    return fed(rows, best, rng=rng, onto=onto, away=away)


def tries(rows: np.ndarray, codes: int) -> int:
    """Runs of k-means that are worth their time: few codes leave much to luck and cost little, 1 to 4."""
    return max(1, min(MOST_TRIES, CHEAP // max(1, rows.size * codes)))


def draw_seeds(rows: np.ndarray, squared: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Up to `count` of the rows (n, D), each drawn ∝ its capped squared distance (n,) to the codes so far; of a few draws the best.

    Infinite distances: there are no codes yet. Rows at distance 0 are never drawn.
    """
    most = max(POOL, 4 * count)
    pool = np.arange(len(rows)) if len(rows) <= most else np.sort(rng.choice(len(rows), most, replace=False))
    points, left = rows[pool] - rows[pool].mean(axis=0), squared[pool].astype(np.float32)
    distances = _distances_between(points)
    chosen: list[int] = []
    if count and len(pool) and not np.isfinite(left).all():
        chosen.append(int(rng.integers(len(points))))
        left = distances(np.array(chosen))[0]
    together = -(-count // MOST_ROUNDS)
    while len(chosen) < count:
        mass = np.cumsum(capped(left), dtype=np.float64)
        if not mass.size or mass[-1] <= 0:
            break
        trials = 2 + int(math.log(count)) if together == 1 else min(together, count - len(chosen))
        drawn = np.unique(np.searchsorted(mass, rng.random(trials) * mass[-1], side="right").clip(0, len(pool) - 1))
        after = np.minimum(left, distances(drawn))
        if together == 1:
            best = int(after.sum(axis=1, dtype=np.float64).argmin())
            drawn, after = drawn[[best]], after[[best]]
        left = after.min(axis=0)
        left[drawn] = 0
        chosen += drawn.tolist()
    return rows[pool[chosen]].astype(np.float32)


def capped(squared: np.ndarray) -> np.ndarray:
    """Squared distances (n,) with the largest 1 % cut to what bounds them; as they are where all others are 0."""
    if not squared.size:
        return squared
    rank = max(0, math.ceil((1 - OUTLIERS) * len(squared)) - 1)
    bound = np.partition(squared, rank)[rank]
    return np.minimum(squared, bound) if bound > 0 else squared


def settle(
    rows: np.ndarray, codes: np.ndarray, away: np.ndarray, *, rng: np.random.Generator, onto: Onto = themselves
) -> tuple[np.ndarray, float]:
    """Lloyd's steps for `codes` (m, D) alone, beside fixed codes at squared distance `away` (n,) from the rows (inf: none).

    A code that no row prefers starts again at a badly served row. Returns the codes, and the squared error with them.
    """
    if not len(codes):
        return codes, math.inf
    best, least = codes, math.inf
    for _ in range(ITERATIONS):
        labels, squared = assign(rows, codes)
        served = np.minimum(squared, away)
        error = float(served.sum(dtype=np.float64))
        if error >= least:
            break
        settled = least - error <= TOLERANCE * error
        best, least = codes, error
        if settled:
            break
        mine = squared < away
        sizes = np.bincount(labels[mine], minlength=len(codes))
        codes = onto(cell_means(rows[mine], labels[mine], len(codes)))
        empty = np.flatnonzero(sizes == 0)
        codes[empty] = best[empty]
        again = draw_seeds(rows, served, len(empty), rng)
        codes[empty[: len(again)]] = again
    return best, least


def fed(
    rows: np.ndarray, codes: np.ndarray, *, rng: np.random.Generator, onto: Onto = themselves, away: np.ndarray | None = None
) -> np.ndarray:
    """Settled codes (k, D) of rows (n, D) with those that serve fewer than STARVING rows moved into cells of large distortion.

    A code for one odd row helps that row alone and no row that is still to come. Where giving such rows up costs error on the
    fitted rows (heavy tails) the codes stay: what is returned never serves those worse.

    Args:
        away: (n,) squared distances to fixed codes beside them, None: there are none.
    """
    away = np.full(len(rows), np.inf, np.float32) if away is None else away
    best, least, hungry = codes, math.inf, len(codes) + 1
    for _ in range(MOST_MEALS + 1 if len(codes) else 0):
        labels, squared = assign(rows, codes)
        error = float(np.minimum(squared, away).sum(dtype=np.float64))
        sizes = np.bincount(labels[squared < away], minlength=len(codes))
        starving = int((sizes < STARVING).sum())
        least = min(least, error)
        if error <= (1 + TOLERANCE) * least and starving < hungry:
            best, hungry = codes, starving
        if not starving or starving == len(codes):
            break
        moved = _moved_into_large_cells(rows, codes[sizes >= STARVING], starving, away, rng)
        if len(moved) < len(codes):  # no cell has rows for two
            break
        codes = settle(rows, onto(moved), away, rng=rng, onto=onto)[0]
    return best


def _moved_into_large_cells(
    rows: np.ndarray, kept: np.ndarray, count: int, away: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """`kept` codes and up to `count` more: the largest of their cells in halves."""
    labels, squared = assign(rows, kept)
    mine = squared < away
    large = mine & (np.bincount(labels[mine], minlength=len(kept))[labels] >= 2 * STARVING)
    donors, places, _ = split_cells(rows[large], labels[large].astype(np.int64), kept, count, rng=rng)
    return np.concatenate([np.delete(kept, np.unique(donors), axis=0), places]).astype(np.float32)


def cell_means(rows: np.ndarray, labels: np.ndarray, cells: int) -> np.ndarray:
    """The mean row of each cell, (cells, D) float32; zeros for a cell without rows, which has none."""
    sizes = np.bincount(labels, minlength=cells)
    sums = [np.bincount(labels, weights=column, minlength=cells) for column in rows.T]
    return (np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]).astype(np.float32)


def split_cells(
    rows: np.ndarray, labels: np.ndarray, codes: np.ndarray, count: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` splits, each of the cell with the largest distortion; a half can be split again.

    Args:
        rows: (n, D). labels: (n,) cell of each. codes: (K, D) the cells' codes.

    Returns:
        donors (m,) the cell of `codes` that each resulting code descends from, its code itself first; places (m, D); shares (m,) of
        the donor's mass, halved at each split. Fewer than `count` splits where no cell has two different rows left.
    """
    cells = {int(labels[members[0]]): (members, int(labels[members[0]]), 1.0) for members in _members(labels)}
    heap = [(-_distortion(rows[members], codes[[cell]]), cell) for cell, (members, _, _) in cells.items()]
    heapq.heapify(heap)
    places: dict[int, np.ndarray] = {}
    fresh = len(codes)
    while fresh < len(codes) + count and heap:
        cost, cell = heapq.heappop(heap)
        members, donor, share = cells[cell]
        halves = _halved(rows[members], places.get(cell, codes[donor]), rng) if cost < 0 else None
        if halves is None:
            continue
        pair, side = halves
        for half, name in enumerate((cell, fresh)):
            inside = members[side == half]
            cells[name], places[name] = (inside, donor, share / 2), pair[half]
            heapq.heappush(heap, (-_distortion(rows[inside], pair[[half]]), name))
        fresh += 1
    names = sorted(places)  # donors keep their number, so they come first
    donors = np.array([cells[name][1] for name in names], np.int64)
    shares = np.array([cells[name][2] for name in names])
    return donors, np.array([places[name] for name in names], np.float32).reshape(-1, rows.shape[1]), shares


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """The rows of each cell that has any, ascending; labels (n,)."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(order, starts) if len(labels) else []


def pair_around(code: np.ndarray, direction: np.ndarray, step: float) -> np.ndarray:
    """The two children (2, D) of a code: code ± step·direction. Additive, so that a code of zeros is split too."""
    return np.stack([code + step * direction, code - step * direction])


def _halved(members: np.ndarray, code: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Two codes (2, D) for one cell and which of them each row (m,) goes to, by a few steps of 2-means; None for equal rows."""
    middle = members.mean(axis=0, dtype=np.float64)
    direction, variance = _principal(members - middle, rng)
    if variance <= 0:
        return None
    pair = pair_around(code.astype(np.float64), direction, math.sqrt(variance) / 2)
    side = _sides(members, pair)
    if side.min() == side.max():  # the code is not in its cell's middle, the middle is
        pair = pair_around(middle, direction, math.sqrt(variance) / 2)
        side = _sides(members, pair)
    for _ in range(3):
        if side.min() == side.max():
            return None
        pair = np.stack([members[side == half].mean(axis=0, dtype=np.float64) for half in (0, 1)])
        side = _sides(members, pair)
    return None if side.min() == side.max() else (pair.astype(np.float32), side)


def _sides(members: np.ndarray, pair: np.ndarray) -> np.ndarray:
    across = pair[1] - pair[0]
    return (members @ across > (pair[0] + pair[1]) @ across / 2).astype(np.int64)


def _principal(centred: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The unit direction (D,) of largest variance of centred rows, and that variance: power iteration."""
    direction = np.asarray(rng.standard_normal(centred.shape[1]))
    for _ in range(POWER_STEPS):
        moved = centred.T @ (centred @ direction)
        length = float(np.linalg.norm(moved))
        if length <= 1e-30:
            return direction, 0.0
        direction = moved / length
    return direction, float(np.square(centred @ direction).mean())


def _distortion(members: np.ndarray, code: np.ndarray) -> float:
    return float(np.square(members - code).sum(dtype=np.float64))


def beside(codes: np.ndarray, donors: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` codes (count, D) near the donors, which stay: each a quarter of the way to the donor's nearest neighbour, anywhere.

    Args:
        codes: (k, D) codes in use. donors: indices into them, most used first; taken in turn.
    """
    donors = donors[: min(count, NEIGHBOURS // 4)]
    others = np.setdiff1d(np.arange(len(codes)), donors)
    company = codes[np.concatenate([donors, others[:: -(-len(others) // NEIGHBOURS) or 1]])]
    gap = nearest_others(company).distance[: len(donors)]
    length = np.linalg.norm(codes[donors], axis=1)
    step = np.where(np.isfinite(gap) & (gap > 0), gap, np.maximum(length, 1e-3)) / 4
    turn = np.arange(count) % len(donors)
    away = rng.standard_normal((count, codes.shape[1]))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return (codes[donors[turn]] + step[turn, None] * away).astype(np.float32)


def _distances_between(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """indices (t,) → squared distances (t, n) float32 of those points to all, 0 where rounding leaves nothing of them."""
    energy = np.einsum("ij,ij->i", points, points)

    def some(indices: np.ndarray) -> np.ndarray:
        table = points[indices] @ points.T
        table *= -2
        sizes = energy + energy[indices, None]
        table += sizes
        table[table <= ROUNDING * sizes] = 0
        return table

    return some

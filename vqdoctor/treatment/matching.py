"""Which new code takes which old code's number, so that as many IDs as possible keep their meaning.

An exact minimum-cost assignment by shortest augmenting paths (Jonker, Volgenant 1987), one numpy pass over the columns a step, up
to 4096 codes. Above that mutual nearest neighbours are paired round by round, which is near the optimum where old and new codes lie
close, and what is left over when few are mutual is assigned exactly. Two sets of 2048 take about a second; many times that where
all old codes lie in one spot and are in use: then every assignment is nearly as good as any other.
"""

from __future__ import annotations

import numpy as np

from vqdoctor.nearest import assign

MOST_EXACT = 4096  # codes: a table of 128 MiB


def match_codes(old: np.ndarray, new: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The new code for each old one, minimising Σ w‖old − new‖².

    Args:
        old, new: (K, D). A row with NaN or Inf matches whatever is left.
        weights: (K,) of the old codes, such as their use; None: equal. Codes of weight 0 take what is left, in order.

    Returns:
        (K,) int64 permutation: row `perm[i]` of `new` takes number i.
    """
    scale = np.ones(len(old)) if weights is None else np.asarray(weights, np.float64) / max(float(np.max(weights)), 1e-300)
    perm = np.full(len(old), -1)
    chosen = np.flatnonzero(scale > 0)
    free = np.arange(len(new))
    if len(chosen) > MOST_EXACT:
        chosen, free = _pair_mutual(perm, old, new, chosen[np.argsort(-scale[chosen], kind="stable")])
    if len(chosen):
        perm[chosen] = free[assignment(_costs(old[chosen], new[free], scale[chosen]))]
    perm[perm < 0] = np.setdiff1d(np.arange(len(new)), perm)
    return perm


def assignment(costs: np.ndarray) -> np.ndarray:
    """The column of each row of a finite (m, n) table, m ≤ n, in an assignment of least total cost, (m,) int64."""
    rows, columns = costs.shape
    price = np.zeros(columns)
    row_of, column_of = np.full(columns, -1), np.full(rows, -1)
    for row, column in enumerate(costs.argmin(axis=1).tolist()):  # first come, first served
        if row_of[column] < 0:
            row_of[column], column_of[row] = row, column
    for left_over in np.flatnonzero(column_of < 0).tolist():
        _augment(costs, price, row_of, column_of, left_over)
    return column_of


def _augment(costs: np.ndarray, price: np.ndarray, row_of: np.ndarray, column_of: np.ndarray, start: int) -> None:
    """Finds the cheapest way to give row `start` a column, re-assigning rows along the path; keeps reduced costs non-negative."""
    reach = costs[start] - price
    came_from = np.full(len(price), start)
    open_reach = reach.copy()  # infinite where the column is settled
    settled: list[int] = []
    while True:
        column = int(open_reach.argmin())
        length = open_reach[column]
        row = int(row_of[column])
        if row < 0:
            break
        settled.append(column)
        open_reach[column] = np.inf
        through = costs[row] - price
        through += length - through[column]
        shorter = (through < open_reach) & (open_reach < np.inf)
        reach[shorter] = open_reach[shorter] = through[shorter]
        came_from[shorter] = row
    price[settled] += reach[settled] - length
    while True:
        row = int(came_from[column])
        row_of[column], column, column_of[row] = row, int(column_of[row]), column
        if row == start:
            return


def _costs(old: np.ndarray, new: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted squared distances (K, K) float64; 10 × the largest + 1 where one is not finite."""
    left, right = old.astype(np.float64), new.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        costs = left @ right.T
        costs *= -2
        costs += np.einsum("ij,ij->i", left, left)[:, None]
        costs += np.einsum("ij,ij->i", right, right)
        np.maximum(costs, 0, out=costs)
        costs *= weights[:, None]
    finite = np.isfinite(costs)
    if not finite.all():
        costs[~finite] = 10 * costs[finite].max(initial=0) + 1
    return costs


def _pair_mutual(perm: np.ndarray, old: np.ndarray, new: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Writes mutual nearest pairs into `perm` until few enough old codes are left; returns those, and the new codes that are free.

    Where hardly any pair is mutual, the least used of `chosen` (most used first) are left to take what remains.
    """
    free = np.arange(len(new))
    while len(chosen) > MOST_EXACT:
        wish, _ = assign(old[chosen], new[free])
        answer, _ = assign(new[free], old[chosen])
        mutual = (wish >= 0) & (answer[wish] == np.arange(len(chosen)))
        if mutual.mean() < 0.01:
            chosen = chosen[:MOST_EXACT]
            break
        perm[chosen[mutual]] = free[wish[mutual]]
        chosen, free = chosen[~mutual], np.delete(free, wish[mutual])
    return chosen, free

"""Levels that share one vocabulary: TIGER's IDs, and those of many token models, number level l from l·256.

The codes of a book begin at 0, so what was added has to be found and taken away again before they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vqdoctor.samples.dedup import Survey

BY_CHANCE = 1e-3  # chance above which levels that share no number prove nothing


def offsets_of(levels: Survey, sizes: Sequence[int] | None = None) -> tuple[tuple[int, ...], str] | None:
    """What was added to the codes of each level, and on what grounds; None where nothing was.

    With the sizes known: the codes do not fit them as they are, and do once as much is taken away as some writer adds. Else one
    step s must put every level l into [l·s, (l+1)·s), and the chance that plain codes leave all lower numbers unused, estimated
    as ∏(1 − l·s/(max+1))^distinct, must be small. Of several steps a power of two, else the smallest: it names the codes, and
    changes no count.
    """
    low, high = levels.lowest, levels.highest
    if sizes is not None:
        return _by_sizes(low, high, np.asarray(sizes))
    if not levels.rising:
        return None
    step = _step(low, high)
    if step is None:
        return None
    added = step * np.arange(len(low))
    if np.prod((1 - added / (high + 1)) ** levels.distinct) > BY_CHANCE:
        return None
    return tuple(map(int, added)), f"the numbers of level l lie in [{step}·l, {step}·(l+1))"


def _by_sizes(low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> tuple[tuple[int, ...], str] | None:
    if len(sizes) != len(low) or (high <= sizes).all():  # ≤: they may count from 1
        return None
    for added, basis in _habits(low, high, sizes):
        start = int((low - added).min())
        if start in (0, 1) and added.any() and (high - added <= sizes).all():
            return tuple(map(int, added)), basis
        if start > 1 and (high - added - start < sizes).all():
            return tuple(map(int, added + start)), f"{basis}, from {start} on"
    return None


def _habits(low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """What writers add to each level, beside one number for all levels: that of a model's other tokens."""
    yield np.cumsum(sizes) - sizes, "the numbers of a level begin where those of the levels before end"
    yield np.zeros_like(sizes), "all levels count alike"
    reach = int(high.max())
    powers = [1 << power for power in range(reach.bit_length())]
    rounded = [digit * 10**power for power in range(len(str(reach))) for digit in range(1, 10)]
    for step in sorted(step for step in {*powers, *rounded} if step >= sizes.max()):
        yield step * np.arange(len(low)), f"the numbers of level l begin at {step}·l"
    if (low[1:] > high[:-1]).all():
        yield low - low[0], "each level has numbers of its own, whose lowest is taken for code 0"


def _step(low: np.ndarray, high: np.ndarray) -> int | None:
    """The numbers of a level, the same at every level: a power of two if one fits, counting from 0 or from 1."""
    level = np.arange(len(low))
    least = [int(((high - base) // (level + 1)).max()) + 1 for base in (0, 1)]
    most = [int(((low - base)[1:] // level[1:]).min()) for base in (0, 1)]
    powers = (1 << (step - 1).bit_length() for step in least)
    steps = [*zip(powers, most, strict=True), *zip(least, most, strict=True)]
    return next((step for step, upper in steps if step <= upper), None)

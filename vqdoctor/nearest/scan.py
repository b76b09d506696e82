"""The best and the next best score of each row, block by block of a matrix product that never stands in memory whole.

Two passes over a block that is still in the cache, each the quickest that numpy has, `argmax`: one finds the best, and with that
struck out another finds what is left. Maxima of groups over the transposed product, chunks of a row and a mask of what is near the
best all took longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vqdoctor.nearest.tiles import Desk

ROWS, CODES = 512, 2048  # of a block: 4 MiB of scores at most, and large enough that the product runs at full speed


class Best(NamedTuple):
    """Of each of b rows: where its best score is (b,) int64, that score (b,) float32 and the next best (b,) float32.

    The next best is −inf where there is but one code, and equal to the best where two have it.
    """

    found: np.ndarray
    score: np.ndarray
    second: np.ndarray


class Scanned(NamedTuple):
    """Of each of b rows: the squared norm of what was scored (b,) float32, and its :class:`Best`."""

    energy: np.ndarray
    found: np.ndarray
    score: np.ndarray
    second: np.ndarray


def best_scores(inputs: np.ndarray, table: np.ndarray, desk: Desk) -> Best:
    """The best of inputs (b, d) @ table (d, K), of equals the first."""
    count, size = len(inputs), table.shape[1]
    whole = Best(np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count, np.float32))
    for rows in even_parts(count, max(ROWS, ROWS * CODES // (2 * size))):
        best = None
        for codes in even_parts(size, CODES):
            here = _two_of(products(inputs[rows], table[:, codes], desk))
            best = here if best is None else _better(best, here, codes.start)
        if best is not None:
            for kept, part in zip(whole, best, strict=True):
                kept[rows] = part
    return whole


def products(inputs: np.ndarray, table: np.ndarray, desk: Desk) -> np.ndarray:
    """inputs (b, d) @ table (d, K) on the desk, until the next product is."""
    return np.matmul(inputs, table, out=desk.take("scores", len(inputs), table.shape[1]))


def even_parts(count: int, most: int) -> Iterator[slice]:
    """`count` things in as few parts of up to `most` as will do, all of about the same size."""
    step = -(-count // max(1, -(-count // most)))
    return (slice(start, min(start + step, count)) for start in range(0, count, max(1, step)))


def _two_of(scores: np.ndarray) -> Best:
    """The two best of each row of `scores`, in which the best is struck out."""
    flat, firsts = scores.reshape(-1), np.arange(0, scores.size, scores.shape[1])
    found = scores.argmax(axis=1)
    winners = firsts + found
    best = flat.take(winners)
    flat[winners] = -np.inf
    return Best(found, best, flat.take(firsts + scores.argmax(axis=1)))


def _better(first: Best, later: Best, offset: int) -> Best:
    """The best of two blocks of codes, the later of which begins at `offset`."""
    found = np.where(later.score > first.score, later.found + offset, first.found)
    second = np.maximum(np.minimum(first.score, later.score), np.maximum(first.second, later.second))
    return Best(found, np.maximum(first.score, later.score), second)

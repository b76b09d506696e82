"""Rows of a codebook that are broken, empty or repeated, found in blocks so that a large book needs little beside itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 17  # elements worked on at a time: 1 MiB in float64 stays in a core's cache, and takes few new pages
ZERO_SHARE = 1e-8
"""A norm at most this share of the largest is zero."""


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cover `rows` rows of `width` elements, each at most 2¹⁷ elements and at least one row."""
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step))


def row_norms(codes: np.ndarray) -> np.ndarray:
    """Euclidean norm of each row of (K, D), float64; NaN for a row that holds NaN or an infinity."""
    norms = np.empty(len(codes))
    for block in row_blocks(*codes.shape):
        part = codes[block].astype(np.float64)
        norms[block] = np.sqrt(np.einsum("kd,kd->k", part, part))
    norms[~np.isfinite(norms)] = np.nan
    return norms


def median(values: np.ndarray) -> float:
    """Median of (n,) numbers, n ≥ 1, none of them NaN: np.median without the masked arrays that it loads."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + ordered[high]) / 2


def zero_rows(norms: np.ndarray) -> np.ndarray:
    """(K,) bool: norm at most 1e-8 of the largest finite norm; all finite rows of an all-zero book."""
    largest = np.nanmax(norms, initial=0.0)
    return norms <= ZERO_SHARE * largest


def earlier_twin(codes: np.ndarray) -> np.ndarray:
    """For each row of (K, D) the first row that is bit-equal to it; its own number where there is none before.

    Rows are grouped by a 64-bit sum of their bits times odd constants, then compared with the first of their group bit by bit:
    nothing is called equal that is not (a row whose sum collides with another's may be missed, at odds of 2⁻⁶⁴ a pair).
    """
    count = len(codes)
    twin = np.arange(count)
    words = np.ascontiguousarray(codes)
    words = words.view(np.uint8).reshape(count, -1) if words.size else words.reshape(count, 0)
    words = words.view(np.uint32) if words.shape[1] and words.shape[1] % 4 == 0 else words
    digests = _digests(words)
    order = np.argsort(digests, kind="stable")
    start = np.ones(count, dtype=bool)
    start[1:] = digests[order[1:]] != digests[order[:-1]]
    first = order[start][np.cumsum(start) - 1]
    candidates = np.flatnonzero(~start)
    for block in row_blocks(len(candidates), words.shape[1]):
        later, earlier = order[candidates[block]], first[candidates[block]]
        equal = (words[later] == words[earlier]).all(axis=1)
        twin[later[equal]] = earlier[equal]
    return twin


def _digests(words: np.ndarray) -> np.ndarray:
    """Sum over each row of bits × an odd constant of its column (multiples of the golden ratio, mixed), modulo 2⁶⁴."""
    column = np.arange(1, words.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    column ^= column >> np.uint64(29)
    column = column * np.uint64(0xBF58476D1CE4E5B9) | np.uint64(1)
    digests = np.empty(len(words), dtype=np.uint64)
    for block in row_blocks(*words.shape):
        digests[block] = words[block].astype(np.uint64) @ column
    return digests

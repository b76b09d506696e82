"""Counting semantic IDs against sorting their packed keys, in turn, in one process.

`python benchmarks/ids.py [--quick]`. Ten million IDs of four levels (K = 256), half of them repeats; the yardstick is `np.sort` of
the same IDs packed into 64-bit integers beforehand, ours starts from the (N, 4) codes. Bar: 1.2.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from vqdoctor.engines import IdTable

ITEMS, LEVELS, SIZE, ROUNDS = 10_000_000, 4, 256, 5


def catalogue(items: int) -> np.ndarray:
    """Codes (N, 4) int32, low ones more frequent, half the items repeating an earlier one."""
    rng = np.random.default_rng(0)
    codes = (rng.random((items, LEVELS)) ** 2 * SIZE).astype(np.int32)
    half = items // 2
    codes[half:] = codes[rng.integers(0, half, items - half)]
    return codes


def count(codes: np.ndarray, block: int) -> int:
    """Distinct IDs, counted in blocks."""
    table = IdTable((SIZE,) * LEVELS)
    for start in range(0, len(codes), block):
        table.add(codes[start : start + block])
    return len(table.finish().items)


def least(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of `rounds` runs."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    quick = parser.parse_args().quick
    codes = catalogue(ITEMS // 10 if quick else ITEMS)
    keys = np.zeros(len(codes), np.uint64)
    for column in codes.T:
        keys = keys << np.uint64(8) | column.astype(np.uint64)
    sort, whole, blocks = float("inf"), float("inf"), float("inf")
    for _ in range(ROUNDS):
        sort = min(sort, least(lambda: np.sort(keys), 1))
        whole = min(whole, least(lambda: count(codes, len(codes)), 1))
        blocks = min(blocks, least(lambda: count(codes, 1 << 16), 1))
    print(f"{len(codes)} IDs × {LEVELS} levels: np.sort of packed 64-bit keys {sort * 1e3:.0f} ms")
    print(f"counted whole {whole * 1e3:.0f} ms, ratio {whole / sort:.2f} (bar 1.20); in blocks of 65536 {blocks / sort:.2f}")


if __name__ == "__main__":
    main()

"""Counting semantic IDs against sorting their packed keys, np.unique, polars and duckdb, in turn, in one process.

`python benchmarks/ids.py [--quick] [--json FILE]`. Ten million IDs of four levels (K = 256), half of them repeats; the yardstick is
`np.sort` of the same IDs packed into 64-bit integers beforehand, ours starts from the (N, 4) codes. Bar: 0.7.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from record import record

from vqdoctor.engines import IdTable

ITEMS, LEVELS, SIZE, ROUNDS, BLOCK = 10_000_000, 4, 256, 5, 1 << 16
YARDSTICK, BAR = "np.sort of packed 64-bit keys", 0.7


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


def peers(codes: np.ndarray, keys: np.ndarray) -> dict[str, Callable[[], int]]:
    """Other ways to the number of distinct IDs, by name: those that are installed."""
    names = [f"level{level}" for level in range(LEVELS)]
    found: dict[str, Callable[[], int]] = {"np.unique of keys": lambda: len(np.unique(keys, return_counts=True)[0])}
    columns = dict(zip(names, np.ascontiguousarray(codes.T), strict=True))
    with suppress(ImportError):
        import polars

        frame = polars.DataFrame(columns)
        found["polars"] = lambda: len(frame.group_by(names).len())
    with suppress(ImportError):
        import duckdb
        import pandas

        connection = duckdb.connect()
        connection.register("catalogue", pandas.DataFrame(columns))
        query = f"select count(*) from (select {', '.join(names)}, count(*) from catalogue group by all)"
        found["duckdb"] = lambda: connection.execute(query).fetchone()[0]
    return found


def in_turn(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each of `rounds` interleaved runs."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    """Prints a line a peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--json", help="add the results to this file, a JSON object a line")
    given = parser.parse_args()
    codes = catalogue(ITEMS // 10 if given.quick else ITEMS)
    keys = np.zeros(len(codes), np.uint64)
    for column in codes.T:
        keys = keys << np.uint64(8) | column.astype(np.uint64)
    whole, blocks = "counted whole", f"counted in blocks of {BLOCK}"
    runs = {whole: lambda: count(codes, len(codes)), blocks: lambda: count(codes, BLOCK), YARDSTICK: lambda: np.sort(keys)}
    label = f"{len(codes)} × {LEVELS}"
    print(f"{label:18} ratios are medians of pairs")
    for group in (runs, {whole: runs[whole], **peers(codes, keys)}):  # threads of a peer go on for a while after it
        seconds = in_turn(group, ROUNDS)
        own = seconds.pop(whole)
        print(f"{'':18} {whole:38} {statistics.median(own) * 1e3:6.0f} ms")
        for name, theirs in seconds.items():
            ratio = statistics.median(one / other for one, other in zip(own, theirs, strict=True))
            bar = BAR if name == YARDSTICK else None
            limit = f"   bar {bar}" if bar else ""
            print(f"{'':18} ÷ {name:36} {statistics.median(theirs) * 1e3:6.0f} ms {ratio:6.2f}{limit}", flush=True)
            record(given.json, table="ids", work=label, peer=name, ratio=ratio, bar=bar, seconds=statistics.median(own))


if __name__ == "__main__":
    main()

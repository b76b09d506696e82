"""Counting semantic IDs against sorting their packed keys, np.unique, polars and duckdb, in turn, in one process.

`python benchmarks/ids.py [--quick] [--json FILE]`. Ten million IDs of four levels (K = 256), half of them repeats; the yardstick is
`np.sort` of the same IDs packed into 64-bit integers beforehand, ours starts from the (N, 4) codes. Bar: 0.7 at ten million.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from measure import extra_mib, in_child, in_turn, median, ratios
from record import command_line, record

from vqdoctor.engines import IdTable

ITEMS, LEVELS, SIZE, ROUNDS, BLOCK = 10_000_000, 4, 256, 5, 1 << 16
YARDSTICK, BAR = "np.sort of packed 64-bit keys", 0.7
WHOLE, IN_BLOCKS = "counted whole", f"counted in blocks of {BLOCK}"


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


def ways(items: int) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], int]]]:
    """Ours and the yardstick, ours and the peers: threads of a peer go on for a while after it, so these are measured apart."""
    codes = catalogue(items)
    keys = np.zeros(items, np.uint64)
    for column in codes.T:
        keys = keys << np.uint64(8) | column.astype(np.uint64)
    own = {WHOLE: lambda: count(codes, items)}
    return own | {IN_BLOCKS: lambda: count(codes, BLOCK), YARDSTICK: lambda: np.sort(keys)}, own | peers(codes, keys)


def memory(name: str, items: int) -> float | None:
    """In a process that does nothing else: MiB that one of them takes beyond the codes."""
    one, other = ways(items)
    return extra_mib((one | other)[name])


def compare(items: int, file: str | None) -> None:
    """Prints a line a peer."""
    label = f"{items} × {LEVELS}"
    print(f"{label:18} ratios are medians of pairs{'ms':>18} {'ratio':>8} {'MiB':>6}")
    for group in ways(items):
        spent = in_turn(group, ROUNDS)
        mib = {name: json.loads(in_child(__file__, "--child", name, str(items))) for name in group}
        for name, each in spent.items():
            found, own = ratios(spent[WHOLE], each), median(spent[WHOLE]).wall
            bar = (BAR if items == ITEMS else None) if name == YARDSTICK else 1.0 if name in ("polars", "duckdb") else None
            limit = f"   bar {bar}" if bar else ""
            print(
                f"{'':18} {name:36} {median(each).wall * 1e3:8.0f} {found['ratio']:8.2f} {mib[name] or 0:6.0f}{limit}", flush=True
            )
            if name != WHOLE:
                taken = {"seconds": own, "memory_mib": mib[WHOLE], "peer_memory_mib": mib[name]}
                record(file, table="ids", work=label, peer=name, bar=bar, **found, **taken)


def main() -> None:
    """Prints a table."""
    parser = command_line(__doc__, "a tenth of the items")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "ITEMS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(memory(given.child[0], int(given.child[1]))))
        return
    compare(ITEMS // 10 if given.quick else ITEMS, given.json)


if __name__ == "__main__":
    main()

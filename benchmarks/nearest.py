"""Nearest code against the product it cannot avoid and against faiss, in turn, in one process.

`python benchmarks/nearest.py [--quick]`. "sgemm" is the bare matrix product of the same rows and codes over the same threads, its
output thrown away, in blocks of 256 or of 4096 rows, whichever is faster; "faiss" is IndexFlatL2, k = 1 (left out where it is not
installed). Bars: 1.3 and 1.25.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from record import record

from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher
from vqdoctor.nearest.tiles import Desk, over_tiles, usable_threads

CASES = [(100_000, 64, 1024), (50_000, 512, 1024), (200_000, 256, 8192)]
ROUNDS = 5
QUICK_EFFORT = 3e10  # multiply-adds of a quick case, at most


def mixture(n: int, width: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows around codes, with as much noise as signal."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((size, width), dtype=np.float32)
    rows = rng.standard_normal((n, width), dtype=np.float32)
    rows *= 0.7
    for start in range(0, n, 4096):
        part = rows[start : start + 4096]
        part += 0.7 * codes[rng.integers(0, size, len(part))]
    return rows, codes


def bare_product(rows: np.ndarray, codes: np.ndarray, tile: int) -> Callable[[], object]:
    """The product of rows and codes alone, tile by tile."""
    threads = usable_threads()
    desks: list[Desk] = []

    def work(part: slice, desk: Desk) -> None:
        block = rows[part]
        np.matmul(block, codes.T, out=desk.take("scores", len(block), len(codes)))

    return lambda: over_tiles(len(rows), tile, threads, work, desks)


def faiss_search(rows: np.ndarray, codes: np.ndarray) -> Callable[[], object] | None:
    """faiss' own exact search, building its index included; None without faiss."""
    try:
        import faiss
    except ImportError:
        return None

    def run() -> object:
        index = faiss.IndexFlatL2(codes.shape[1])
        index.add(codes)
        return index.search(rows, 1)[1][:, 0]

    return run


def ours(rows: np.ndarray, codes: np.ndarray) -> Callable[[], object]:
    """This package's search, making the codebook ready included."""
    lookup = Lookup((Stage(codes),), "single", "l2", codes.shape[1])
    return lambda: Searcher(lookup).encode(rows).codes[:, 0]


def in_turn(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each, the least of `rounds` interleaved runs."""
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            least[name] = min(least[name], time.perf_counter() - begin)
    return least


def peak_mib() -> float:
    """Peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows in the large case")
    parser.add_argument("--json", help="add the results to this file, a JSON object a line")
    given = parser.parse_args()
    quick = given.quick
    print(f"{'rows × width, codes':24} {'ours':>9} {'÷ sgemm':>8} {'÷ faiss':>8} {'memory':>9}   bars 1.30, 1.25, 64 MiB")
    for n, width, size in CASES:
        rows, codes = mixture(min(n, int(QUICK_EFFORT / (width * size))) if quick else n, width, size)
        before = peak_mib()
        found = ours(rows, codes)()
        extra = peak_mib() - before
        runs = {"ours": ours(rows, codes), "256": bare_product(rows, codes, 256), "4096": bare_product(rows, codes, 4096)}
        if (rival := faiss_search(rows, codes)) is not None:
            runs["faiss"] = rival
        seconds = in_turn(runs, ROUNDS)
        against = f"{seconds['ours'] / seconds['faiss']:8.2f}" if "faiss" in seconds else f"{'–':>8}"
        label = f"{len(rows)} × {width}, {size}"
        ratio = seconds["ours"] / min(seconds["256"], seconds["4096"])
        agree = "" if rival is None else f"   agree on {np.mean(found == rival()):.4%}"
        print(f"{label:24} {seconds['ours'] * 1e3:6.0f} ms {ratio:8.2f} {against} {extra:5.0f} MiB{agree}", flush=True)
        record(given.json, table="nearest", work=label, peer="sgemm", ratio=ratio, memory_mib=extra)
        if "faiss" in seconds:
            record(given.json, table="nearest", work=label, peer="faiss", ratio=seconds["ours"] / seconds["faiss"])


if __name__ == "__main__":
    main()

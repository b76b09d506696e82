"""Nearest code against the product it cannot avoid, and against its peers, in turn, in one process.

`python benchmarks/nearest.py [--quick] [--json FILE]`. "sgemm" is the bare matrix product of the same rows and codes over the same
threads, its output thrown away, in blocks of 256 or of 4096 rows, whichever is faster; "numpy" is this search without its compiled
scan, which else is at work from the start where numba is installed; "faiss" is IndexFlatL2, k = 1, its index included; "sklearn" is
`pairwise_distances_argmin`, "scipy" `cKDTree` up to 8 columns and `vq` beyond, "torch" `cdist` and `argmin` 4096 rows at a time.
These three do a part of the rows, once a round, and what is not installed is left out. L = 4: four residual levels beside four
products. Times are medians of interleaved rounds; memory is that of a search in numpy (numba itself takes some 130 MiB, once, in a
process that searches for longer than a second). Bars: 1.1 of sgemm from 64 columns on, 1.2 with four levels; 1.1 of faiss; 64 MiB.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from measure import extra_mib
from record import record, record_limit

from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher, fused, searcher
from vqdoctor.nearest.tiles import Desk, over_tiles, usable_threads

Run = Callable[[], object]


class Case(NamedTuple):
    """Rows × width against `levels` codebooks of `size` codes each."""

    rows: int
    width: int
    size: int
    levels: int = 1

    def __str__(self) -> str:
        return f"{self.rows} × {self.width}, {f'{self.levels} × ' * (self.levels > 1)}{self.size}"


LARGE = [Case(100_000, 64, 1024), Case(50_000, 512, 1024), Case(200_000, 256, 8192), Case(50_000, 64, 1024, levels=4)]
SMALL = [Case(100_000 * 1024 // size, width, size) for size in (1024, 8192) for width in (1, 2, 4, 8, 16)]
ROUNDS = 7
REST = 0.05  # seconds before each run: threads of OpenMP spin for a while after their work is done
QUICK_EFFORT = 3e10  # multiply-adds of a quick case, at most
PART = 8  # of the rows: the share that slow peers are given is one in so many
PEERS = ("sgemm", "numpy", "faiss", "sklearn", "scipy", "torch")


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


def bare_product(rows: np.ndarray, codes: np.ndarray, tile: int, levels: int = 1) -> Run:
    """The product of rows and codes alone, tile by tile, `levels` times."""
    threads = usable_threads()
    desks: list[Desk] = []

    def work(part: slice, desk: Desk) -> None:
        block = rows[part]
        for _ in range(levels):
            np.matmul(block, codes.T, out=desk.take("scores", len(block), len(codes)))

    return lambda: over_tiles(len(rows), tile, threads, work, desks)


def ours(rows: np.ndarray, codes: np.ndarray, levels: int = 1) -> Callable[[], np.ndarray]:
    """This package's search, making the codebooks ready included; codes of the first level."""
    stages = tuple(Stage(codes * np.float32(0.6**level)) for level in range(levels))
    lookup = Lookup(stages, "residual" if levels > 1 else "single", "l2", codes.shape[1])
    return lambda: Searcher(lookup).encode(rows).codes[:, 0]


def in_numpy(run: Run) -> Run:
    """The same without the compiled scan."""

    def work() -> object:
        with patch.object(searcher, "compiled_for", lambda scores, width: None):
            return run()

    return work


def faiss_search(rows: np.ndarray, codes: np.ndarray) -> Run:
    """faiss' own exact search, building its index included."""
    import faiss

    def run() -> object:
        index = faiss.IndexFlatL2(codes.shape[1])
        index.add(codes)
        return index.search(rows, 1)[1][:, 0]

    return run


def sklearn_search(rows: np.ndarray, codes: np.ndarray) -> Run:
    """scikit-learn's blocked search."""
    from sklearn.metrics import pairwise_distances_argmin

    return lambda: pairwise_distances_argmin(rows, codes)


def scipy_search(rows: np.ndarray, codes: np.ndarray) -> Run:
    """scipy's tree where it prunes, its vector quantiser where it does not."""
    from scipy.cluster.vq import vq
    from scipy.spatial import cKDTree

    if codes.shape[1] <= 8:
        return lambda: cKDTree(codes).query(rows, workers=usable_threads())
    return lambda: vq(rows, codes, check_finite=False)


def torch_search(rows: np.ndarray, codes: np.ndarray) -> Run:
    """torch's distances, and their least, of 4096 rows at a time."""
    import torch

    left, right = torch.from_numpy(rows), torch.from_numpy(codes)
    return lambda: [torch.cdist(part, right).argmin(1) for part in left.split(4096)]


def rivals(rows: np.ndarray, codes: np.ndarray) -> Iterator[tuple[str, Run, float]]:
    """Those that are installed: name, search, and how many times its rows ours has."""
    some = rows[: -(-len(rows) // PART)]
    for name, search in (("faiss", faiss_search), ("sklearn", sklearn_search), ("scipy", scipy_search), ("torch", torch_search)):
        given = rows if name == "faiss" else some
        try:
            yield name, search(given, codes), len(rows) / len(given)
        except ImportError:
            continue


def in_turn(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Seconds of each, the median of `rounds` interleaved runs with a rest before each."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(REST)
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return {name: median(measured) for name, measured in seconds.items()}


def memory(case: Case) -> float | None:
    """In a process that does nothing else: MiB that the search takes beyond its rows and codes."""
    return extra_mib(in_numpy(ours(*mixture(case.rows, case.width, case.size), case.levels)))


def measure(case: Case, file: str | None) -> str:
    """The line of one case, what it found kept in `file`."""
    rows, codes = mixture(case.rows, case.width, case.size)
    found = ours(rows, codes, case.levels)()
    with get_context("spawn").Pool(1) as apart:
        extra = apart.apply(memory, (case,))
    search = ours(rows, codes, case.levels)
    runs: dict[str, Run] = {"ours": search, "numpy": in_numpy(search)}
    runs |= {str(tile): bare_product(rows, codes, tile, case.levels) for tile in (256, 4096)}
    peers = list(rivals(rows, codes)) if case.levels == 1 else []
    agree = [f"   as faiss in {np.mean(found == run()):.4%}" for name, run, _ in peers if name == "faiss"]
    seconds = in_turn(runs | {name: run for name, run, _ in peers}, ROUNDS)
    ratios = {"sgemm": seconds["ours"] / min(seconds["256"], seconds["4096"])}
    ratios["numpy"] = seconds["ours"] / seconds["numpy"]
    ratios |= {name: seconds["ours"] / (seconds[name] * times) for name, _, times in peers}
    bars = {"sgemm": 1.2 if case.levels > 1 else 1.1 if case.width >= 64 else None, "faiss": 1.1}
    for peer, ratio in ratios.items():
        own = {"seconds": seconds["ours"], "memory_mib": extra, "bar": bars.get(peer)}
        record(file, table="nearest", work=str(case), peer=peer, ratio=ratio, **own)
    if extra is not None:
        record_limit(file, table="nearest", work=str(case), value=extra, unit="MiB", limit=64)
    shown = " ".join(f"{ratios[peer]:9.2f}" if peer in ratios else f"{'–':>9}" for peer in PEERS)
    return f"{case!s:24} {seconds['ours'] * 1e3:6.0f} ms {shown} {'–' if extra is None else round(extra):>5} MiB{''.join(agree)}"


def main() -> None:
    """Prints one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows in the large cases")
    parser.add_argument("--json", help="add the results to this file, a JSON object a line")
    given = parser.parse_args()
    print(f"{'rows × width, codes':24} {'ours':>9} {' '.join(f'{chr(247) + chr(32) + peer:>9}' for peer in PEERS)} {'memory':>9}")
    print(
        f"{'bars':24} {'':>9} {'1.1 (64+)':>9} {'':>9} {'1.1':>9} {'':>9} {'':>9} {'':>9} {'64 MiB':>9}   four levels: 1.2 of sgemm"
    )
    fused.compiled_for(int(fused.WORTH), 1)
    for case in LARGE + SMALL:
        most = int(QUICK_EFFORT / (case.width * case.size * case.levels)) if given.quick else case.rows
        print(measure(case._replace(rows=min(case.rows, most)), given.json), flush=True)


if __name__ == "__main__":
    main()

"""How time grows with rows, codes, columns, levels and file size: slopes of log time over log size, drawn.

`python benchmarks/growth.py [--quick] [--json FILE] [--picture FILE.svg]`. A slope of 1 is linear, 0 is constant. CPU seconds of
all threads (a second thread that sets in at some size would bend the wall clock's curve), medians of interleaved rounds; opening:
whole processes. Beside each slope stands what the work should cost; it may be exceeded by 0.15, for caches that are outgrown and
sorts that are N log N. --quick: a quarter of the sizes. The picture goes to build/bench/growth.svg.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from curves import Curve, slope, svg, text
from ingest import flat, ingest, write
from measure import STATUS, in_child, in_turn
from opening import ENVIRONMENT, MB, write_torch
from record import command_line, record_limit

from vqdoctor import kmeans
from vqdoctor.engines import IdTable
from vqdoctor.metrics import counts_of
from vqdoctor.model import Lookup, Stage
from vqdoctor.nearest import Searcher, assign

ROUNDS, TOLERANCE = 3, 0.15
OPEN = """
import json, sys, time
from vqdoctor.checkpoint import open_source
from vqdoctor.layouts import find_quantizers
with open_source(sys.argv[1]) as source:
    assert [level.codes for one in find_quantizers(source) for level in one.levels] == [8192]
status = open("/proc/self/status").read().split()
print(json.dumps([time.process_time(), int(status[status.index("VmHWM:") + 1]) / 1024]))
"""
PICTURE = Path(__file__).resolve().parents[1] / "build" / "bench" / "growth.svg"
RNG = np.random.default_rng(0)


class Work(NamedTuple):
    """Something whose size is varied. at: what to run at a size, its input made beforehand. expected: slope at most."""

    name: str
    along: str
    sizes: tuple[int, ...]
    expected: float
    at: Callable[[int], Callable[[], object]]


def normal(n: int, width: int) -> np.ndarray:
    """Rows (n, width) float32."""
    return RNG.standard_normal((n, width), dtype=np.float32)


def search(n: int = 16384, codes: int = 1024, width: int = 64, levels: int = 1) -> Callable[[], object]:
    """Nearest codes, residual where there are several levels."""
    stages = tuple(Stage(normal(codes, width)) for _ in range(levels))
    searcher, rows = Searcher(Lookup(stages, "residual" if levels > 1 else "single", "l2", width)), normal(n, width)
    return lambda: searcher.encode(rows)


def cluster(n: int = 16384, k: int = 512) -> Callable[[], object]:
    """k-means of rows around as many centres."""
    rows = normal(k, 32)[RNG.integers(0, k, n)] + 0.5 * normal(n, 32)
    return lambda: kmeans.fit(rows, k, rng=np.random.default_rng(0), assign=assign)


def count_ids(n: int) -> Callable[[], object]:
    """Distinct IDs of four levels."""
    codes = RNG.integers(0, 256, (n, 4), np.int32)

    def run() -> None:
        table = IdTable((256,) * 4)
        table.add(codes)
        table.finish()

    return run


def count_codes(n: int) -> Callable[[], object]:
    """Hits of each of 8192 codes."""
    codes = RNG.integers(0, 8192, n, np.int32)
    return lambda: counts_of(codes, 8192)


def read_log(lines: int, folder: Path) -> Callable[[], object]:
    """A log of twelve numbers a line."""
    path = folder / f"{lines}.jsonl"
    write(path, flat(random.Random(0), lines))
    return lambda: ingest(path)


def doubled(first: int, number: int, scale: int) -> tuple[int, ...]:
    """Sizes, each twice the one before it."""
    return tuple(first * scale << at for at in range(number))


def works(scale: int, folder: Path) -> tuple[Work, ...]:
    """All that runs in this process."""
    return (
        Work("nearest", "N", doubled(8192, 4, scale), 1, lambda n: search(n=n)),
        Work("nearest", "K", doubled(512, 4, scale), 1, lambda k: search(codes=k)),
        Work("nearest", "D", doubled(32, 4, scale), 1, lambda d: search(width=d)),
        Work("nearest", "L", (1, 2, 4, 8), 1, lambda levels: search(n=8192 * scale, levels=levels)),
        Work("k-means", "N", doubled(8192, 4, scale), 1, lambda n: cluster(n=n)),
        Work("k-means", "K", doubled(128, 4, scale), 1, lambda k: cluster(k=k)),
        Work("IDs", "N", doubled(1_000_000, 4, scale), 1, count_ids),
        Work("usage", "N", doubled(2_000_000, 4, scale), 1, count_codes),
        Work("ingest", "lines", doubled(20_000, 4, scale), 1, lambda lines: read_log(lines, folder)),
    )


def measured(work: Work) -> Curve:
    """A work at all its sizes."""
    spent = in_turn({str(size): work.at(size) for size in work.sizes}, ROUNDS)
    seconds = tuple(statistics.median(each.cpu for each in spent[str(size)]) for size in work.sizes)
    return Curve(work.name, work.along, work.sizes, seconds, "s", work.expected, slope(work.sizes, seconds))


def opened(scale: int, folder: Path) -> Iterator[Curve]:
    """Listing the codebooks of ever larger files with as many tensors, as whole processes: CPU and peak memory."""
    sizes = doubled(100, 4, scale)
    paths = {size: folder / f"{size}.pt" for size in sizes}
    for size, path in paths.items():
        writer = get_context("spawn").Process(target=write_torch, args=(path, size * MB))
        writer.start()
        writer.join()
    turns = [{size: opening(path) for size, path in paths.items()} for _ in range(ROUNDS + 1)][1:]
    for at, (name, unit) in enumerate((("opening, CPU", "s"), ("opening, peak", "MiB"))):
        values = tuple(statistics.median(turn[size][at] for turn in turns) for size in sizes)
        yield Curve(name, "MB", sizes, values, unit, 0, slope(sizes, values))


def opening(path: Path) -> list[float]:
    """Seconds of CPU and peak MiB of a whole process that lists a file's codebooks, by its own account."""
    found: list[float] = json.loads(in_child("-c", OPEN, str(path), env=ENVIRONMENT))
    return found


def curves(scale: int) -> Iterator[Curve]:
    """Each as soon as it is measured."""
    with tempfile.TemporaryDirectory() as folder:
        for work in works(scale, Path(folder)):
            yield measured(work)
        if STATUS.exists():
            yield from opened(scale, Path(folder))


def line(curve: Curve) -> str:
    """A curve as a line of the table."""
    values = " ".join(f"{1e3 * value if curve.unit == 's' else value:9.1f}" for value in curve.values)
    sizes = f"{curve.sizes[0]:,} … {curve.sizes[-1]:,}"
    return f"{curve.name:14} {curve.along:3} {sizes:24} {values}   {curve.slope:6.2f} {curve.word}"


def main() -> None:
    """Prints a line a curve, then the picture in letters; draws it as SVG."""
    parser = command_line(__doc__, quick="a quarter of the sizes")
    parser.add_argument("--picture", type=Path, default=PICTURE, metavar="FILE.svg", help="draw the curves there")
    given = parser.parse_args()
    print(f"{'work':14} {'':3} {'sizes':24} {'ms of CPU, or MiB, at each size':39}   {'slope':>6} expected")
    found = []
    for curve in curves(1 if given.quick else 4):
        found.append(curve)
        print(line(curve), flush=True)
        record_limit(
            given.json, table="growth", work=f"{curve.name} with {curve.along}", value=curve.slope, unit="slope",
            limit=curve.expected + TOLERANCE, expected=curve.expected, sizes=curve.sizes, values=curve.values, of=curve.unit,
        )  # fmt: skip
    print(text(found))
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    given.picture.write_text(svg(found), encoding="utf-8")
    print(f"drawn in {given.picture}")


if __name__ == "__main__":
    main()

"""Counting the use of a codebook against np.bincount, np.unique, torch.bincount and polars, in turn, in one process.

`python benchmarks/usage.py [--quick] [--json FILE]`. Twenty million codes of K = 8192 (--quick: two million), low ones more
frequent. "counted" is the hits of each code, indices checked; "tallied" is all that `--codes` does with a level: blocks of 65 536,
checks, hits, and the means over batches that a training loop would have logged. Both from int64 and from int32, as files have them.
The limit is one read of the codes. Memory: of a process that does nothing else, beyond the codes. Bar: counted, 1.1 of
np.bincount on int64.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from measure import Spent, extra_mib, in_child, in_turn, median, ratios
from record import command_line, record

from vqdoctor.engines import tally_codes
from vqdoctor.metrics import counts_of

CODES, SIZE, ROUNDS, BLOCK = 20_000_000, 8192, 9, 1 << 16
LIMIT = "one read (np.sum)"
BARS = {"np.bincount": 1.1}
WORKS = ("counted, int64", "counted, int32", "tallied, int32")


def drawn(n: int) -> np.ndarray:
    """Codes (n,) int64."""
    return (np.random.default_rng(0).random(n) ** 2 * SIZE).astype(np.int64)


def tallied(codes: np.ndarray) -> np.ndarray:
    """Hits (K,), as `vqdoctor inspect --codes` comes to them."""
    blocks = (codes[start : start + BLOCK, None] for start in range(0, len(codes), BLOCK))
    return tally_codes(blocks, (SIZE,)).levels[0].counts


def ours(codes: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """Each work's hits."""
    narrow = codes.astype(np.int32)
    calls = (lambda: counts_of(codes, SIZE)[0], lambda: counts_of(narrow, SIZE)[0], lambda: tallied(narrow))
    return dict(zip(WORKS, calls, strict=True))


def peers(codes: np.ndarray) -> dict[str, Callable[[], object]]:
    """Other ways to the hits, by name: those that are installed."""
    found: dict[str, Callable[[], object]] = {
        LIMIT: codes.sum,
        "np.bincount": lambda: np.bincount(codes, minlength=SIZE),
        "np.unique": lambda: np.unique(codes, return_counts=True),
    }
    with suppress(ImportError):
        import torch

        tensor = torch.from_numpy(codes)
        found["torch.bincount"] = lambda: torch.bincount(tensor, minlength=SIZE)
    with suppress(ImportError):
        import polars

        column = polars.Series(codes)
        found["polars"] = column.value_counts
    return found


def memory(name: str, n: int) -> float | None:
    """In the child: MiB that one run of a work or a peer takes beyond its input."""
    few = (ours if name in WORKS else peers)(drawn(1000))[name]
    few()  # what is loaded at the first call is no memory of the count
    return extra_mib((ours if name in WORKS else peers)(drawn(n))[name])


def compare(codes: np.ndarray, file: str | None) -> None:
    """Prints a line a work, then a line a peer: milliseconds, MiB, and for a peer ours over it, on the wall."""
    works, others = ours(codes), peers(codes)
    expected = np.bincount(codes, minlength=SIZE)
    if not all(np.array_equal(run(), expected) for run in works.values()):
        raise SystemExit("the counts differ from np.bincount's")
    spent = in_turn({**works, **others}, ROUNDS)
    mib = {name: json.loads(in_child(__file__, "--child", name, str(len(codes)))) for name in spent}
    print(f"{len(codes):,} codes, K = {SIZE}; ratios are medians of pairs; the counts agree")
    print(f"{'':20} {'ms':>8} {'CPU':>8} {'MiB':>6}" + "".join(f"   ÷ {work}" for work in works))
    for name, each in spent.items():
        against = {work: ratios(spent[work], each) for work in works if name in others}
        cells = "".join(f"{one['ratio']:{len(work) + 5}.2f}" for work, one in against.items())
        print(f"{name:20} {_figures(median(each), mib[name])}{cells}", flush=True)
        for work, one in against.items():
            own = {"seconds": median(spent[work]).wall, "memory_mib": mib[work], "peer_memory_mib": mib[name]}
            bar = BARS.get(name) if work.startswith("counted") else None
            record(file, table="usage", work=f"{work}, {len(codes):,}", peer=name, bar=bar, **one, **own)


def _figures(took: Spent, mib: float | None) -> str:
    return f"{took.wall * 1e3:8.1f} {took.cpu * 1e3:8.1f} {'–' if mib is None else round(mib):>6}"


def main() -> None:
    """Prints the table."""
    parser = command_line(__doc__, quick="a tenth of the codes")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(memory(given.child[0], int(given.child[1]))))
        return
    compare(drawn(CODES // 10 if given.quick else CODES), given.json)


if __name__ == "__main__":
    main()

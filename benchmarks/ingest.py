"""Reading a log against bare `orjson.loads` over the same lines, and polars, in turn, in one process; memory over a gigabyte.

`python benchmarks/ingest.py [--quick] [--json FILE]`. JSON lines as training loops write them: twelve numbers with any keys; fewer,
with a text and a nested object; our own log. The yardstick parses each line and drops it, ours keeps all values as series, polars
columns of them. Ratios are of CPU time, for polars uses all cores. Bar: 2.5 of orjson, for any keys. Event files: beside
TensorBoard's own EventAccumulator. Memory: a child process reads a file of one gigabyte to its end (--quick: a tenth), ours and
polars. Bar: 500 MiB.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
from measure import in_child, in_turn, median, peak_mib, ratios
from record import command_line, record, record_limit

from vqdoctor.logs import Follower, Runs, looks_like_log
from vqdoctor.logs.readers.tensorboard import masked_crc32c

NAMES = ("loss", "recon", "commit", "ppl", "util", "dead", "lr", "gnorm", "psnr", "ssim", "ent")
LINES, ROUNDS, GIGABYTE = 300_000, 5, 10**9
BAR, MEMORY_BAR = 2.5, 500


def flat(rng: random.Random, lines: int) -> Iterator[dict]:
    """Rows of one step and eleven numbers."""
    for step in range(lines):
        yield {"step": step, **{name: round(rng.random() * 10, 6) for name in NAMES}}


def mixed(rng: random.Random, lines: int) -> Iterator[dict]:
    """Rows with a text and a nested object, of two shapes in turn."""
    for step in range(lines):
        row = {"step": step, "split": "train", **{name: round(rng.random(), 6) for name in NAMES[:6]}}
        yield row | {"vq": {"ppl": step / 7, "used": step % 64}} if step % 2 else row


def own(rng: random.Random, lines: int) -> Iterator[dict]:
    """Our own log of four levels."""
    yield {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.7e9, "run": "r", "config": {}}
    metrics = ("usage.batch_utilization", "usage.batch_entropy_bits", "usage.batch_entropy_normalized", "ema.active")
    for step in range(lines // 4):
        for level in range(4):
            values = {name: rng.random() for name in metrics}
            yield {"kind": "metrics", "step": step, "time": 1.7e9 + step, "quantizer": "vq", "level": level, "values": values}


def write(path: Path, rows: Iterator[dict]) -> None:
    """Rows as JSON lines."""
    with path.open("wb") as log:
        for row in rows:
            log.write(json.dumps(row).encode() + b"\n")


def write_events(path: Path, count: int) -> None:
    """Scalars as TensorBoard writes them."""
    rng = random.Random(0)
    with path.open("wb") as log:
        for i in range(count):
            tag = b"train/" + NAMES[i % 11].encode()
            value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", rng.random())
            summary = b"\x0a" + bytes([len(value)]) + value
            step = bytes([i // 11 & 127 | 128, i // 11 >> 7 & 127 | 128, i // 11 >> 14 & 127])
            payload = b"\x09" + struct.pack("<d", 1.7e9 + i) + b"\x10" + step + b"\x2a" + bytes([len(summary)]) + summary
            length = struct.pack("<Q", len(payload))
            checks = (struct.pack("<I", masked_crc32c(part)) for part in (length, payload))
            log.write(length + next(checks) + payload + next(checks))


def bare(path: Path) -> None:
    """The yardstick."""
    with path.open("rb") as log:
        for line in log:
            orjson.loads(line)


def by_polars(path: Path) -> None:
    """Columns of all keys."""
    import polars

    polars.read_ndjson(path)


def by_tensorboard(path: Path) -> None:
    """All scalars."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()


def ingest(path: Path) -> Runs:
    """Everything that `watch` does before it draws: follow, read, store."""
    follower, runs = Follower(path, wanted=looks_like_log, clock=time.time), Runs()
    runs.take(follower.poll(), follower)
    while follower.behind:
        runs.take(follower.poll(), follower)
    follower.close()
    return runs


Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {"ours": ingest, "orjson.loads": bare, "polars": by_polars, "EventAccumulator": by_tensorboard}
LINE_READERS, EVENT_READERS = ("ours", "orjson.loads", "polars"), ("ours", "EventAccumulator")


def usable(names: tuple[str, ...], path: Path) -> dict[str, Callable[[], object]]:
    """Those of the readers that are installed."""
    found: dict[str, Callable[[], object]] = {}
    for name in names:
        with suppress(ImportError):
            READERS[name](path)  # loads what it needs
            found[name] = lambda reader=READERS[name]: reader(path)
    return found


def compare(name: str, path: Path, readers: tuple[str, ...], file: str | None) -> None:
    """A line a reader: MB/s and, of a peer, our CPU time over its."""
    spent = in_turn(usable(readers, path), ROUNDS)
    peaks = {reader: peak(reader, path) for reader in spent}
    size = path.stat().st_size / 1e6
    for reader, each in spent.items():
        took = median(each)
        print(f"{name:18} {reader:16} {took.cpu:8.3f} s {size / took.cpu:6.0f} MB/s {peaks[reader]:5.0f} MiB", end="")
        if reader == "ours":
            print(flush=True)
            continue
        ratio = ratios(spent["ours"], each)["cpu_ratio"]
        bar = BAR if READERS[reader] is bare else None
        print(f" {ratio:8.3f}{f'   bar {bar}' if bar else ''}", flush=True)
        work = f"{name}, {size:.0f} MB"
        record(
            file, table="ingest", work=work, peer=reader, ratio=ratio, bar=bar, seconds=median(spent["ours"]).cpu,
            memory_mib=peaks["ours"], peer_memory_mib=peaks[reader],
        )  # fmt: skip


def peak(reader: str, path: Path) -> float:
    """MiB of a process that reads a log to its end and does nothing else."""
    return float(in_child(__file__, "--child", reader, str(path)))


def memory(path: Path, size: int, file: str | None, readers: tuple[str, ...] = ("ours", "polars")) -> None:
    """Grow a log to `size` bytes by its own lines and read it in child processes."""
    block = path.read_bytes()
    with path.open("ab") as log:
        while log.tell() < size:
            log.write(block)
    for reader in usable(readers, path):
        found, work = peak(reader, path), f"peak, {size / 1e6:.0f} MB of flat rows"
        print(f"{work}: {reader} {found:.0f} MiB{f' (bar {MEMORY_BAR})' if reader == 'ours' else ''}", flush=True)
        if reader == "ours":
            record_limit(file, table="ingest", work=work, value=found, unit="MiB", limit=MEMORY_BAR)
            mine = found
        else:
            record(file, table="ingest", work=work, peer=reader, ratio=mine / found)


def child(reader: str, path: Path) -> None:
    """In the child: prints its peak."""
    READERS[reader](path)
    print(peak_mib())


def main() -> None:
    """Prints a line a measurement."""
    parser = command_line(__doc__, quick="a tenth of the lines and bytes")
    parser.add_argument("--child", nargs=2, metavar=("READER", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    gc.set_threshold(50_000)  # as `vqdoctor.cli.entry.main` does, for the yardstick and for ours
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    lines = LINES // 10 if options.quick else LINES
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("flat rows", flat), ("text and nested", mixed), ("vqdoctor.log/1", own)):
            path = Path(folder) / f"{rows.__name__}.jsonl"
            write(path, rows(random.Random(0), lines))
            compare(name, path, LINE_READERS, options.json)
        events = Path(folder) / "events.out.tfevents.1"
        write_events(events, lines)
        compare("event file", events, EVENT_READERS, options.json)
        memory(Path(folder) / "flat.jsonl", GIGABYTE // 10 if options.quick else GIGABYTE, options.json)


if __name__ == "__main__":
    main()

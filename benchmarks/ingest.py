"""Reading a log against bare `orjson.loads` over the same lines, in turn, in one process; and memory over a log of a gigabyte.

`python benchmarks/ingest.py [--quick]`. JSON lines as training loops write them: twelve numbers with any keys; fewer, with a text
and a nested object; our own log. The yardstick parses each line and drops it, ours keeps all values as series. Bar: 2.5, for any
keys. Memory: a child process reads a file of one gigabyte to its end (--quick: a tenth). Bar: 500 MiB. Event files: no yardstick.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from vqdoctor.logs import Follower, Runs, looks_like_log
from vqdoctor.logs.readers.tensorboard import masked_crc32c

NAMES = ("loss", "recon", "commit", "ppl", "util", "dead", "lr", "gnorm", "psnr", "ssim", "ent")
LINES, ROUNDS, GIGABYTE = 300_000, 5, 10**9


def flat(rng: random.Random) -> Iterator[dict]:
    """Rows of one step and eleven numbers."""
    for step in range(LINES):
        yield {"step": step, **{name: round(rng.random() * 10, 6) for name in NAMES}}


def mixed(rng: random.Random) -> Iterator[dict]:
    """Rows with a text and a nested object, of two shapes in turn."""
    for step in range(LINES):
        row = {"step": step, "split": "train", **{name: round(rng.random(), 6) for name in NAMES[:6]}}
        yield row | {"vq": {"ppl": step / 7, "used": step % 64}} if step % 2 else row


def own(rng: random.Random) -> Iterator[dict]:
    """Our own log of four levels."""
    yield {"schema": "vqdoctor.log/1", "kind": "run", "time": 1.7e9, "run": "r", "config": {}}
    metrics = ("usage.batch_utilization", "usage.batch_entropy_bits", "usage.batch_entropy_normalized", "ema.active")
    for step in range(LINES // 4):
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


def ingest(path: Path) -> Runs:
    """Everything that `watch` does before it draws: follow, read, store."""
    follower, runs = Follower(path, wanted=looks_like_log, clock=time.time), Runs()
    runs.take(follower.poll(), follower)
    while follower.behind:
        runs.take(follower.poll(), follower)
    follower.close()
    return runs


def seconds(run: Callable[[Path], object], path: Path) -> float:
    """CPU seconds of one run."""
    begin = time.process_time()
    run(path)
    return time.process_time() - begin


def compare(name: str, path: Path) -> None:
    """One line: both times, their ratio."""
    yard = ours = float("inf")
    for _ in range(ROUNDS):
        yard, ours = min(yard, seconds(bare, path)), min(ours, seconds(ingest, path))
    size = path.stat().st_size / 1e6
    rate = f"{size / ours:.0f} MB/s"
    print(f"{name}: {size:.0f} MB, orjson.loads {yard:.2f} s, ingested {ours:.2f} s ({rate}), ratio {ours / yard:.2f} (bar 2.50)")


def memory(path: Path, size: int) -> None:
    """Grow a log to `size` bytes by its own lines and read it in a child process."""
    block = path.read_bytes()
    with path.open("ab") as log:
        while log.tell() < size:
            log.write(block)
    child = subprocess.run([sys.executable, __file__, "--child", str(path)], capture_output=True, text=True, check=True)
    print(f"memory: {path.stat().st_size / 1e6:.0f} MB of JSON lines, {child.stdout.strip()} (bar 500 MiB)")


def main() -> None:
    """Prints a line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines and bytes")
    parser.add_argument("--child", metavar="PATH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    gc.set_threshold(50_000)  # as `vqdoctor.cli.entry.main` does, for the yardstick and for ours
    if options.child:
        taken = seconds(ingest, Path(options.child))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{taken:.1f} s of CPU, peak {peak:.0f} MiB")
        return
    global LINES
    LINES //= 10 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("flat rows", flat), ("text and nested", mixed), ("vqdoctor.log/1", own)):
            path = Path(folder) / f"{rows.__name__}.jsonl"
            write(path, rows(random.Random(0)))
            compare(name, path)
        events = Path(folder) / "events.out.tfevents.1"
        write_events(events, LINES)
        taken = min(seconds(ingest, events) for _ in range(2))
        print(f"event file: {LINES} scalars, {taken:.2f} s ({events.stat().st_size / 1e6 / taken:.0f} MB/s)")
        memory(Path(folder) / "flat.jsonl", GIGABYTE // 10 if options.quick else GIGABYTE)


if __name__ == "__main__":
    main()

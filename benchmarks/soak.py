"""`make soak`: ten minutes of writes with rotations, by another process; every line must arrive, once, in order.

`python benchmarks/soak.py [--seconds 600]`. The writer appends lines of increasing steps, some in two halves, and every second or
so rotates: by renaming, by copying and truncating, by both within one look. The watch is the one that users have, judging included.
Ends with status 1 if a line was lost or came twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COPIES = 6  # rotated ones that are kept
RATE = 500  # lines a second, about


def shift(path: Path) -> None:
    """Make room for a new copy: .1 becomes .2 and so on."""
    for number in range(COPIES, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.replace(path.with_name(f"{path.name}.{number + 1}")) if number < COPIES else old.unlink()


def rotate(path: Path, rng: random.Random) -> None:
    """By renaming, or by copying and truncating."""
    shift(path)
    copy = path.with_name(f"{path.name}.1")
    if rng.random() < 0.6:
        path.replace(copy)
        path.touch()
    else:
        shutil.copyfile(path, copy)
        os.truncate(path, 0)


def write(path: Path, seconds: float) -> None:
    """The writer: in the end it says how many lines there were."""
    rng, step, end = random.Random(0), 0, time.monotonic() + seconds
    next_rotation = time.monotonic() + 1
    while time.monotonic() < end:
        for _ in range(rng.randrange(1, 40)):
            step += 1
            values = {"usage.batch_utilization": 0.9 + rng.random() / 50, "usage.batch_perplexity": 50 + rng.random()}
            row = {"kind": "metrics", "step": step, "time": time.time(), "quantizer": "vq", "level": 0, "values": values}
            line = json.dumps(row).encode() + b"\n"
            cut = rng.randrange(len(line)) if rng.random() < 0.05 else len(line)
            with path.open("ab") as log:
                log.write(line[:cut])
                log.flush()
                if cut < len(line):
                    time.sleep(rng.random() / 50)
                    log.write(line[cut:])
        time.sleep(20 / RATE)
        if time.monotonic() > next_rotation:
            rotate(path, rng)
            if rng.random() < 0.1:
                rotate(path, rng)
            next_rotation = time.monotonic() + rng.uniform(0.3, 3)
    last = {"kind": "event", "step": step, "time": time.time(), "event": "end", "detail": {"lines": step}}
    with path.open("ab") as log:
        log.write(json.dumps(last).encode() + b"\n")


def soak(seconds: float) -> int:
    """Follow the writer; 1 where a line was lost or came twice."""
    from vqdoctor.app.watching.watcher import Watcher

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text('{"schema":"vqdoctor.log/1","kind":"run","time":1.0,"run":"soak","config":{}}\n')
        writer = subprocess.Popen([sys.executable, __file__, "--write", str(path), "--seconds", str(seconds)])
        slowest = 0.0
        with Watcher([path], clock=time.time) as watcher:
            run = watcher.poll().runs[0]
            while run.state != "ended":
                begun = time.monotonic()
                run = watcher.poll().runs[0]
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(0.0 if watcher.behind else 0.5)
                if writer.poll() not in (None, 0):
                    raise SystemExit("the writer failed")
            run = watcher.finish().runs[0]
        written = next(event.detail["lines"] for event in run.events if event.kind == "end")
        series = next(one for one in run.series if one.meaning.metric == "usage.batch_perplexity")
        rotations = sum(event.kind == "rotated" for event in run.events)
        missing = np.setdiff1d(np.arange(1, written + 1), series.steps).size
        twice = series.n - np.unique(series.steps).size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ordered = len(series.starts) == 1
        print(f"{seconds:.0f} s, {written} lines, {rotations} rotations seen: {missing} lost, {twice} twice, in order: {ordered}")
        print(f"slowest look {slowest:.2f} s, peak {peak:.0f} MiB; left out: {list(run.notes) or 'nothing'}")
        return int(bool(missing or twice or not ordered))


def main() -> int:
    """The whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of writing")
    parser.add_argument("--write", metavar="PATH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(Path(options.write), options.seconds)
        return 0
    return soak(options.seconds)


if __name__ == "__main__":
    sys.exit(main())

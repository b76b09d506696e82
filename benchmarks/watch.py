"""What a watch costs: the first frame and the whole of a gigabyte of log, idling, and how soon an appended line is told.

`python benchmarks/watch.py [--quick] [--json FILE]`. Bars: first frame within 0.8 s of CPU from the start of the process; a
gigabyte within 500 MiB; 2 % of a core while nothing comes, for one log and for a folder of 40; a line told within 1 s of its
append. `--quick`: a tenth of the bytes, shorter waits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import in_child, peak_mib
from record import command_line, told

GIGABYTE = 10**9
ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def lines(first: int, count: int) -> str:
    """Our own log: two levels and a loss a step."""
    rng = random.Random(first)
    rows = [] if first else ['{"schema":"vqdoctor.log/1","kind":"run","time":1.7e9,"run":"r","config":{}}']
    for step in range(first, first + count):
        rows.append(json.dumps({"kind": "scalars", "step": step, "time": 1.7e9 + step, "values": {"loss": rng.random()}}))
        for level in range(2):
            values = {
                "usage.batch_utilization": 0.9 + rng.random() / 20,
                "usage.batch_perplexity": 50 + rng.random(),
                "ema.utilization": 1,
            }
            row = {"kind": "metrics", "step": step, "time": 1.7e9 + step, "quantizer": "vq", "level": level, "values": values}
            rows.append(json.dumps(row))
    return "".join(row + "\n" for row in rows)


def large(path: Path, size: int) -> None:
    """A log of `size` bytes whose steps go on."""
    step = 0
    with path.open("w") as log:
        while log.tell() < size:
            log.write(lines(step, 20_000))
            step += 20_000


def child(job: str, path: Path) -> dict:
    """What a process of its own measures of itself."""
    found: dict = json.loads(in_child(__file__, "--job", job, str(path)))
    return found


def job(name: str, path: str) -> dict:
    """In the child: the first frame, or all of it."""
    from vqdoctor.app.watching.watcher import Watcher
    from vqdoctor.render import Screen
    from vqdoctor.render.watch_text import render

    watcher = Watcher([path], clock=time.time)
    view = watcher.poll() if name == "first" else watcher.finish()
    text = render(view, Screen())
    run = view.runs[0]
    return {"cpu": time.process_time(), "peak": peak_mib(), "steps": [run.first_step, run.last_step], "shown": "real use" in text}


@contextmanager
def watching(path: Path, *options: str) -> Iterator[subprocess.Popen]:
    """`vqdoctor watch` as a program reads it."""
    command = [sys.executable, "-m", "vqdoctor", "watch", str(path), "--format", "jsonl", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def cpu_of(process: subprocess.Popen) -> float:
    """CPU seconds of another process, from /proc."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle(path: Path, seconds: float) -> float:
    """Share of a core that a watch of a silent log takes."""
    with watching(path, "--forever") as process:
        time.sleep(10)  # what is there has been read and judged
        before, begun = cpu_of(process), time.monotonic()
        time.sleep(seconds)
        return (cpu_of(process) - before) / (time.monotonic() - begun)


def delays(path: Path, times: int) -> list[float]:
    """Seconds from the append of a line to its being told."""
    found = []
    with watching(path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b'"points"' in line:
                break
        for number in range(times):
            time.sleep(random.random())
            with path.open("a") as log:
                log.write(json.dumps({"kind": "event", "step": 10**9, "time": 1.0, "event": f"mark-{number}", "detail": {}}) + "\n")
            begun = time.monotonic()
            while f'"mark-{number}"'.encode() not in process.stdout.readline():
                pass
            found.append(time.monotonic() - begun)
    return found


def long_log(folder: Path, size: int, file: str | None) -> None:
    """Opening a log of `size` bytes, reading all of it, and a line appended to it."""
    path = folder / "large.jsonl"
    large(path, size)
    named = f"{size / 1e6:.0f} MB"
    first = min((child("first", path) for _ in range(3)), key=lambda found: found["cpu"])
    more = f", {first['peak']:.0f} MiB, steps {first['steps']}"
    told(file, "watch", f"first frame of {named}", first["cpu"], "s of CPU", 0.8, more)
    whole = child("whole", path)
    told(file, "watch", f"all of {named}, peak", whole["peak"], "MiB", 500, f", {whole['cpu']:.1f} s of CPU")
    late = delays(path, 5)
    told(file, "watch", f"a line appended to {named}, told after", statistics.median(late), "s", 1, f", worst {max(late):.2f} s")


def main() -> None:
    """Prints a line a measurement."""
    parser = command_line(__doc__, quick="a tenth of the bytes, shorter waits")
    parser.add_argument("--job", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(job(*options.job)))
        return
    size, wait = (GIGABYTE // 10, 8.0) if options.quick else (GIGABYTE, 30.0)
    with tempfile.TemporaryDirectory() as folder:
        long_log(Path(folder), size, options.json)
        small = Path(folder) / "small" / "log.jsonl"
        small.parent.mkdir()
        small.write_text(lines(0, 2000))
        late = delays(small, 10 if options.quick else 30)
        worst = f", worst {max(late):.2f} s"
        told(options.json, "watch", "a line appended to a small log, told after", statistics.median(late), "s", 1, worst)
        told(options.json, "watch", "idle, one log", 100 * idle(small, wait), "% of a core", 2)
        runs = Path(folder) / "runs"
        for number in range(40):
            (runs / f"r{number}").mkdir(parents=True)
            (runs / f"r{number}" / "log.jsonl").write_text(lines(0, 500))
        told(options.json, "watch", "idle, 40 runs", 100 * idle(runs, wait), "% of a core", 2)


if __name__ == "__main__":
    main()

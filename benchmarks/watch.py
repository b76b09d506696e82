"""What a watch costs: the first frame and the whole of a gigabyte of log, idling, and how soon an appended line is told.

`python benchmarks/watch.py [--quick]`. Bars: first frame within 0.8 s of CPU from the start of the process; a gigabyte within
500 MiB; 2 % of a core while nothing comes, for one log and for a folder of 40; a line told within 1 s of its append. `--quick`: a
tenth of the bytes, shorter waits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    done = subprocess.run([sys.executable, __file__, "--job", job, str(path)], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def job(name: str, path: str) -> dict:
    """In the child: the first frame, or all of it."""
    from vqdoctor.app.watching.watcher import Watcher
    from vqdoctor.render import Screen
    from vqdoctor.render.watch_text import render

    watcher = Watcher([path], clock=time.time)
    view = watcher.poll() if name == "first" else watcher.finish()
    text = render(view, Screen())
    run = view.runs[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": time.process_time(), "peak": peak, "steps": [run.first_step, run.last_step], "shown": "real use" in text}


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


def main() -> None:
    """Prints a line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the bytes, shorter waits")
    parser.add_argument("--job", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(job(*options.job)))
        return
    size, wait = (GIGABYTE // 10, 8.0) if options.quick else (GIGABYTE, 30.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jsonl"
        large(path, size)
        first = min((child("first", path) for _ in range(3)), key=lambda found: found["cpu"])
        print(f"first frame of {size / 1e6:.0f} MB: {first['cpu']:.2f} s of CPU, steps {first['steps']} (bar 0.80 s)", flush=True)
        whole = child("whole", path)
        print(f"all of it: {whole['cpu']:.1f} s of CPU, peak {whole['peak']:.0f} MiB (bar 500 MiB)", flush=True)
        late = delays(path, 5)
        print(f"a line appended to it, told after: median {statistics.median(late):.2f} s, worst {max(late):.2f} s (bar 1.00 s)")
        small = Path(folder) / "small" / "log.jsonl"
        small.parent.mkdir()
        small.write_text(lines(0, 2000))
        late = delays(small, 10 if options.quick else 30)
        print(f"a line appended to a small log: median {statistics.median(late):.2f} s, worst {max(late):.2f} s (bar 1.00 s)")
        print(f"idle, one log: {100 * idle(small, wait):.2f} % of a core (bar 2 %)", flush=True)
        runs = Path(folder) / "runs"
        for number in range(40):
            (runs / f"r{number}").mkdir(parents=True)
            (runs / f"r{number}" / "log.jsonl").write_text(lines(0, 500))
        print(f"idle, 40 runs: {100 * idle(runs, wait):.2f} % of a core (bar 2 %)")


if __name__ == "__main__":
    main()

"""Measuring what runs in one process: in turn, so that a busy moment of the machine falls on all, and as medians of pairs."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Spent(NamedTuple):
    """Of one run: seconds on the wall, seconds of CPU of all threads."""

    wall: float
    cpu: float


def spent(run: Callable[[], object]) -> Spent:
    """What one run takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Spent]]:
    """What each run takes in each of `rounds` interleaved rounds, after one that is not counted."""
    turns = [{name: spent(run) for name, run in runs.items()} for _ in range(rounds + 1)]
    return {name: [turn[name] for turn in turns[1:]] for name in runs}


def median(each: Sequence[Spent]) -> Spent:
    """Each figure's median."""
    return Spent(*map(statistics.median, zip(*each, strict=True)))


def ratios(ours: Sequence[Spent], theirs: Sequence[Spent]) -> dict[str, float]:
    """Medians over rounds of ours over theirs: on the wall, in CPU; a clock that did not tick counts as a microsecond."""
    pairs = list(zip(ours, theirs, strict=True))
    wall, cpu = (statistics.median(max(own[at], 1e-6) / max(other[at], 1e-6) for own, other in pairs) for at in (0, 1))
    return {"ratio": wall, "cpu_ratio": cpu}


def peak_mib() -> float:
    """Peak memory of this process so far in MiB.

    Linux hands what `getrusage` says on to a program that is started in a process: it may be the peak of the one that started it.
    """
    return (_kib("VmHWM") if STATUS.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def extra_mib(run: Callable[[], object]) -> float | None:
    """MiB by which this process grew at most during `run`; None where the system does not say.

    Memory that the process has had before and let go of is not seen: ask in a process that has done nothing else (`in_child`).
    """
    try:
        CLEAR.write_text("5")  # the peak begins anew
    except OSError:
        run()
        return None
    before = _kib("VmRSS")
    run()
    return max(0.0, (_kib("VmHWM") - before) / 1024)


def _kib(name: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(name))


def in_child(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What an interpreter with these arguments prints, in a process of its own."""
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=env)
    return done.stdout.strip()

"""IDs beyond memory: time and peak memory of counting them on disk, beside counting in memory. `python -m benchmarks.spill 1e8`.

Not part of `make bench`: the larger sizes take minutes and gigabytes of disk (8 bytes a distinct ID and run).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from vqdoctor.engines import IdTable
from vqdoctor.engines.spill import SpillingIds

SIZES = (256, 256, 256, 256)
BLOCK = 1 << 20
BUDGET = 256 << 20


def count(kind: str, items: int) -> dict[str, float]:
    """Seconds of counting alone (the codes are drawn outside the clock), MiB of peak memory, distinct IDs."""
    rng = np.random.default_rng(0)
    table = IdTable(SIZES, member_bytes=0) if kind == "memory" else SpillingIds(SIZES, budget_bytes=BUDGET)
    spent = 0.0
    for start in range(0, items, BLOCK):
        codes = rng.integers(0, 256, (min(BLOCK, items - start), 4), np.uint8).astype(np.int32)
        began = time.perf_counter()
        table.add(codes)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    found = table.finish()
    spent += time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {"items": items, "distinct": len(found.keys), "seconds": round(spent, 1), "peak_mib": peak}


def main() -> None:
    """Each kind in a process of its own, so that peaks are its own."""
    if len(sys.argv) == 3:
        print(json.dumps(count(sys.argv[1], int(sys.argv[2]))))
        return
    items = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    for kind in ("memory", "disk"):
        command = [sys.executable, "-m", "benchmarks.spill", kind, str(items)]
        print(kind, subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()

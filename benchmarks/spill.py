"""IDs beyond memory: time, memory and disk, beside an array in memory, polars and duckdb.

`python -m benchmarks.spill 1e8 [--json FILE]`. Random IDs of four levels (K = 256), nearly all of them distinct, which is the worst
case, in an `.npy` of bytes. The whole command counts them twice: killed half-way, and again with the same folder. Peers read the
same IDs from parquet, up to 2·10⁸ of them. Not part of `make bench`: 10⁹ take 17 GB of disk and many minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.record import record

LEVELS, SIZE = 4, 256
BLOCK = 1 << 20
MOST_FOR_PEERS = 200_000_000
QUERY = "select count(*) from (select a, b, c, d, count(*) from '{}' group by all)"


def blocks(items: int) -> Iterator[np.ndarray]:
    """IDs (b, 4) uint8, the same at every call."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, SIZE, (min(BLOCK, items - start), LEVELS), np.uint8) for start in range(0, items, BLOCK))


def write(folder: Path, items: int) -> None:
    """The IDs as ids.npy and, for the peers, as ids.parquet."""
    with open(folder / "ids.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (items, LEVELS)})
        for block in blocks(items):
            file.write(block.data)
    if items <= MOST_FOR_PEERS and find_spec("pyarrow"):
        import pyarrow as pa
        import pyarrow.parquet as parquet

        schema = pa.schema([(name, pa.uint8()) for name in "abcd"])
        with parquet.ParquetWriter(folder / "ids.parquet", schema) as table:
            for block in blocks(items):
                table.write_table(pa.table([np.ascontiguousarray(column) for column in block.T], schema=schema))


def distinct(kind: str, folder: Path) -> int:
    """How many distinct IDs there are, counted in one of several ways."""
    if kind == "polars":
        import polars

        groups = polars.scan_parquet(folder / "ids.parquet").group_by(list("abcd")).len()
        return int(groups.select(polars.len()).collect(engine="streaming").item())
    if kind == "duckdb":
        import duckdb

        with duckdb.connect(config={"temp_directory": str(folder / "duckdb")}) as connection:
            return int(connection.execute(QUERY.format(folder / "ids.parquet")).fetchone()[0])
    from vqdoctor.engines import IdTable
    from vqdoctor.engines.spill import SpillingIds

    table = IdTable((SIZE,) * LEVELS, member_bytes=0) if kind == "memory" else SpillingIds((SIZE,) * LEVELS)
    with open(folder / "ids.npy", "rb") as file:
        np.lib.format.read_magic(file), np.lib.format.read_array_header_1_0(file)
        while len(block := np.fromfile(file, np.uint8, LEVELS * BLOCK)):
            table.add(block.reshape(-1, LEVELS))
    return len(table.finish().keys)


class Seen(NamedTuple):
    """Of a program: seconds, peak memory, the most that it had in a folder, what it printed, and its exit status."""

    seconds: float
    memory_mib: float
    disk_mib: float
    said: str
    status: int


def watch(command: list[str], folder: Path, kill_at: int | None = None) -> Seen:
    """Runs a program and looks at it now and then. kill_at: items; once so many are on disk in `folder` it is killed."""
    memory = disk = 0.0
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stdout=said) as program:
        while program.poll() is None:
            with suppress(OSError, StopIteration):  # it may have ended
                memory = max(memory, peak_mib(program.pid))
            disk = max(disk, used(folder) / (1 << 20))
            if kill_at is not None and noted(folder) >= kill_at:
                program.kill()
            time.sleep(0.1)
        said.seek(0)
        return Seen(time.perf_counter() - began, memory, disk, said.read(), program.returncode)


def peak_mib(program: int) -> float:
    """Peak memory of a program so far. Raises OSError, StopIteration where it is not known."""
    lines = Path(f"/proc/{program}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def used(folder: Path) -> int:
    """Bytes of disk of the files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may go at any time
            total += path.stat().st_blocks * 512
    return total


def noted(folder: Path) -> int:
    """Items that are on disk, as the folder's manifest says."""
    try:
        return int(json.loads((folder / "manifest.json").read_bytes())["items"])
    except (OSError, ValueError):
        return 0


def command(folder: Path) -> list[str]:
    """The whole command."""
    sizes = ",".join([str(SIZE)] * LEVELS)
    given = ["--sizes", sizes, "--spill", str(folder / "spilled"), "--quiet", "--format", "json"]
    return [sys.executable, "-m", "vqdoctor", "inspect", str(folder / "ids.npy"), *given]


def tell(file: str | None, items: int, peer: str, seen: Seen, own: Seen | None = None) -> None:
    """Prints what a run took; keeps ours beside a peer's. own: ours, None where this is it."""
    ended = "" if seen.status <= 0 else "  failed"
    print(f"{peer:42} {seen.seconds:7.1f} s  {seen.memory_mib:7.0f} MiB  disk {seen.disk_mib:7.0f} MiB{ended}", flush=True)
    if own is not None and seen.status == 0:
        figures = {"ratio": own.seconds / seen.seconds, "seconds": own.seconds, "memory_mib": own.memory_mib}
        record(file, table="spill", work=f"{items} × {LEVELS}", peer=peer, peer_memory_mib=seen.memory_mib, **figures)


def main() -> None:
    """Each in a process of its own, so that peaks are its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="?", default="1e7", help="how many, e.g. 1e8")
    parser.add_argument("--json", metavar="FILE", help="add the results to this file, a JSON object a line")
    parser.add_argument("--count", nargs=2, metavar=("KIND", "DIR"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.count:
        print(distinct(given.count[0], Path(given.count[1])))
        return
    items = int(float(given.items))
    with tempfile.TemporaryDirectory(prefix="vqdoctor-bench-") as name:
        folder = Path(name)
        write(folder, items)
        kinds = ["disk", *(kind for kind in ("memory", "polars", "duckdb") if items <= MOST_FOR_PEERS)]
        own = {}
        for kind in kinds:
            if kind in ("disk", "memory") or (find_spec(kind) and (folder / "ids.parquet").exists()):
                scratch = folder / kind
                scratch.mkdir()
                counting = ["env", f"TMPDIR={scratch}", sys.executable, "-m", "benchmarks.spill", "--count", kind, name]
                own[kind] = watch(counting, scratch)
                tell(given.json, items, f"counted: {kind}", own[kind], None if kind == "disk" else own["disk"])
        whole(given.json, items, folder, own["disk"].said)


def whole(file: str | None, items: int, folder: Path, expected: str) -> None:
    """The command, killed and gone on with."""
    spilled = folder / "spilled"
    first = watch(command(folder), spilled, kill_at=items // 2)
    kept = noted(spilled)
    second = watch(command(folder), spilled)
    found = json.loads(second.said)["quantizers"][0]["metrics"]
    if (found["collision.items"], found["collision.unique"]) != (items, int(expected)):
        raise SystemExit(f"counted {found['collision.unique']} distinct IDs, expected {expected}")
    tell(file, items, f"inspect, killed with {kept} items on disk", first)
    tell(file, items, "inspect, gone on with", second)
    memory, disk = max(first.memory_mib, second.memory_mib), max(first.disk_mib, second.disk_mib)
    figures = {"seconds": first.seconds + second.seconds, "memory_mib": memory, "disk_mib": disk}
    record(file, table="spill", work=f"inspect of {items} × {LEVELS}, killed half-way", peer="limit", **figures)


if __name__ == "__main__":
    main()

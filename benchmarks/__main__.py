"""`make bench`: every measurement as a ratio against a peer or the physical limit, each from one run.

`python -m benchmarks [TABLE …] [--full] [--json FILE]`. Ten minutes or so on two quiet cores; with `--full` the sizes that the
bars are stated for. Each table runs in a process of its own, so that none measures another's memory. Results are kept as JSON, one
object a line (build/bench/results.jsonl), growth is drawn beside them. A peer that is not installed is named and left out; the exit
status is 1 where a table broke off, and 0 where a bar was missed: that is a result.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))  # as for each table, which is run by its path

from closing import NARROWEST, duration, measured_on, show
from record import PACKAGES, Result, kept, load, machine, record
from rich.console import Console

FOLDER = Path(__file__).resolve().parent
KEPT_IN = FOLDER.parent / "build" / "bench" / "results.jsonl"


class Table(NamedTuple):
    """A script of this folder. about: what it measures. needs: modules without which it cannot run."""

    about: str
    needs: tuple[str, ...] = ()


TABLES = {
    "opening": Table("listing and inspecting a checkpoint: torch.load, safetensors"),
    "gate": Table("vqdoctor gate beside inspect"),
    "nearest": Table("nearest code: the bare product, faiss, scikit-learn, scipy, torch.cdist"),
    "kmeans": Table("k-means: scikit-learn, MiniBatchKMeans, faiss"),
    "ids": Table("counting semantic IDs: np.sort, np.unique, polars, duckdb"),
    "usage": Table("counting code use: one read, np.bincount, np.unique, torch.bincount, polars"),
    "ingest": Table("reading logs: orjson, polars, TensorBoard's reader"),
    "monitor": Table("what watching costs a training step", ("vector_quantize_pytorch",)),
    "repair": Table("repaired codebooks: fresh k-means, the library's resets", ("vector_quantize_pytorch",)),
    "live_rules": Table("finding a collapse in a curve: textbook detectors"),
    "watch": Table("following logs: first frame, idling, delay"),
    "tui": Table("repaint of the dashboard"),
    "tui_inspect": Table("the screen of an inspection: Textual's DataTable"),
    "growth": Table("growth with N, K, D, L and file size, drawn"),
}
WITH_FULL = ("kmeans",)  # have cases beyond those of a plain call
PACKAGE_OF = {"vector_quantize_pytorch": "vector-quantize-pytorch"}


def command(script: Path, full: bool, file: Path) -> list[str]:
    """The call of one table."""
    options = ["--full"] * (script.stem in WITH_FULL) if full else ["--quick"]
    return [sys.executable, str(script), *options, "--json", str(file)]


def run_table(script: Path, full: bool, file: Path) -> int:
    """Runs a table to its end and keeps how that went; its exit status."""
    begin, before = time.monotonic(), cpu_of_children()
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    status = subprocess.run(command(script, full, file), check=False, env=unbuffered).returncode
    wall, cpu = time.monotonic() - begin, cpu_of_children() - before
    record(str(file), kind="table", table=script.stem, status=status, seconds=wall, cpu_seconds=cpu, load=load())
    print(f"{f'broke off with status {status} after' if status else 'took'} {duration(wall)}, {duration(cpu)} of CPU", flush=True)
    return status


def cpu_of_children() -> float:
    """Seconds of CPU of all processes that were started from here and have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def run_all(tables: Mapping[str, Table], full: bool, file: Path, folder: Path) -> list[str]:
    """Runs the tables one after the other; those that broke off."""
    broken = []
    for number, (name, table) in enumerate(tables.items(), start=1):
        print(f"\n[{number}/{len(tables)}] {name}: {table.about}", flush=True)
        if missing := [module for module in table.needs if find_spec(module) is None]:
            print(f"left out: needs {', '.join(PACKAGE_OF.get(each, each) for each in missing)}", flush=True)
        elif run_table(folder / f"{name}.py", full, file):
            broken.append(name)
    return broken


def missing_peers(versions: Mapping[str, str | None]) -> str:
    """Which peers are not there and how to get them, as a line; empty where none is missing."""
    absent = [name for name, extra in PACKAGES.items() if extra and not versions.get(name)]
    extras = ",".join(sorted({PACKAGES[name] for name in absent}))
    return f"not installed, left out: {', '.join(absent)} (pip install -e '.[{extras}]')" if absent else ""


def begin(file: Path, full: bool, when: float) -> Result:
    """A new file with its header."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("", encoding="utf-8")
    header = machine(when, full)
    record(str(file), **header)
    return header


def close(file: Path, broken: Sequence[str], unfinished: bool = False) -> None:
    """The closing table of what is in the file."""
    results = [result for result in kept(file.read_text(encoding="utf-8").splitlines()) if result["kind"] == "result"]
    console = Console(soft_wrap=False)
    print()
    show(results, Console(width=max(console.width, NARROWEST)))
    print(f"kept in {file}")
    if unfinished:
        print("interrupted: tables that did not run are not in it")
    if broken:
        print(f"broke off: {', '.join(broken)}")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"some of: {' '.join(TABLES)}; all unless named")
    parser.add_argument("--full", action="store_true", help="the sizes that the bars are stated for: an hour and more")
    parser.add_argument("--json", type=Path, default=KEPT_IN, metavar="FILE", help="keep the results here, over what is there")
    found = parser.parse_args(given)
    if unknown := [name for name in found.tables if name not in TABLES]:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Runs the tables, prints what they found beside each other; 1 where one broke off."""
    options = arguments(given)
    tables = {name: table for name, table in TABLES.items() if name in (options.tables or TABLES)}
    header = begin(options.json, options.full, time.time())
    print(measured_on(header))
    if missing := missing_peers(header["versions"]):
        print(missing)
    try:
        broken = run_all(tables, options.full, options.json, FOLDER)
    except KeyboardInterrupt:
        close(options.json, (), unfinished=True)
        return 130
    close(options.json, broken)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

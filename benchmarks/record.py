"""Results kept: one JSON object a line, so that several processes may add to one file.

The first line says what it was measured on (`kind: run`), a line a table how that went (`kind: table`), all others are results: a
ratio of ours to a peer, or of a figure to the limit that is set for it. `bar` is the most that the ratio may be, `floor` the least.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Result = dict[str, Any]

PACKAGES = {  # of each peer: the extra that installs it
    "numpy": "", "torch": "", "safetensors": "", "scikit-learn": "", "orjson": "", "textual": "",
    "numba": "bench", "scipy": "bench", "faiss-cpu": "bench", "polars": "bench", "duckdb": "bench", "pandas": "bench",
    "vector-quantize-pytorch": "peers", "tensorboard": "peers",
}  # fmt: skip


def command_line(about: str | None, quick: str) -> argparse.ArgumentParser:
    """What every table of `make bench` takes. about: its docstring. quick: what --quick makes smaller."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", metavar="FILE", help="add the results to this file, a JSON object a line")
    return parser


def record(file: str | None, **figures: Any) -> None:
    """Adds one result, None: kept nowhere.

    Args:
        figures: table="ids", work="10⁷ × 4", peer="polars", ratio=0.4 (ours ÷ the peer's); where there are any bar= or floor=,
            seconds= and memory_mib= of ours, and whatever else is worth keeping. `met` follows from ratio and bar unless given.
    """
    if file is None:
        return
    figures = {name: plain(value) for name, value in figures.items() if value is not None}
    if "met" not in figures and (met := is_met(figures)) is not None:
        figures["met"] = met
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(figures, ensure_ascii=False) + "\n")


def record_limit(file: str | None, *, value: float, unit: str, limit: float, **figures: Any) -> None:
    """Adds a figure that has a limit instead of a peer: value and limit in the same unit, e.g. unit="% of a core"."""
    ratio = value / limit if limit else None
    figures |= {"value": value, "unit": unit, "limit": limit, "met": bool(value <= limit)}
    record(file, peer="limit", ratio=ratio, bar=1.0 if limit else None, **figures)


def told(file: str | None, table: str, work: str, value: float, unit: str, limit: float, more: str = "") -> None:
    """Prints a figure beside its limit, and keeps it. more: words to print after the figure."""
    print(f"{work}: {short(value)} {unit}{more} (bar {limit:g})", flush=True)
    record_limit(file, table=table, work=work, value=value, unit=unit, limit=limit)


def short(value: float) -> str:
    """Two or three digits, without an exponent where that reads better."""
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        return f"{value:.2g}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if size < 1 or value == int(value) else f"{value:.2f}"


def plain(value: Any) -> Any:
    """A figure as JSON has it, a measured one to six digits: more of them would be noise."""
    if isinstance(value, bool | int | str) or not hasattr(value, "__float__"):
        return value
    return float(f"{float(value):.6g}") if abs(value) < 1e6 else round(float(value))


def is_met(figures: Mapping[str, Any]) -> bool | None:
    """Whether the ratio keeps within its bar; None where none is set or nothing was measured."""
    ratio, bar, floor = (figures.get(name) for name in ("ratio", "bar", "floor"))
    if ratio is None or (bar is None and floor is None):
        return None
    return (bar is None or ratio <= bar) and (floor is None or ratio >= floor)


def versions() -> dict[str, str | None]:
    """Of each package that something is measured with or against; None: not installed."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def load() -> float | None:
    """Processes that wanted a core in the last minute, on average; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def machine(when: float, full: bool) -> Result:
    """What the results of a run rest on. when: seconds since the epoch at its start."""
    return {
        "schema": "vqdoctor.bench/1", "kind": "run", "time": when, "full": full, "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}", "cpu": processor(), "cores": cores(), "load": load(),
        "threads": os.environ.get("OMP_NUM_THREADS"), "versions": {"vqdoctor": version("vqdoctor"), **versions()},
    }  # fmt: skip


def cores() -> int | None:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def kept(lines: Iterable[str]) -> Iterator[Result]:
    """Everything that was kept; a result that does not say so is one."""
    for line in lines:
        if line.strip():
            yield {"kind": "result", **json.loads(line)}

"""`make bench`: every measurement as a ratio against a peer or the physical limit, each from one run.

`python -m benchmarks [--full] [--json FILE]`. A few minutes; with `--full` the sizes that the bars are stated for. `--json` keeps
the ratios of the tables that record them, one JSON object a line; they are printed together at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TABLES = (
    "opening", "gate", "nearest", "kmeans", "ids", "monitor", "repair", "ingest", "live_rules", "watch", "tui", "tui_inspect",
)  # fmt: skip
RECORDED = ("opening", "nearest", "kmeans", "ids")
WITH_FULL = ("kmeans",)  # have cases beyond those of a plain call


def command(table: str, full: bool, file: Path) -> list[str]:
    """The call of one table."""
    options = ["--full"] * (table in WITH_FULL) if full else ["--quick"]
    kept = ["--json", str(file)] if table in RECORDED else []
    return [sys.executable, str(Path(__file__).with_name(f"{table}.py")), *options, *kept]


def summary(file: Path) -> None:
    """Prints what was recorded."""
    print(f"\n{'work':34} {'peer':30} {'ours ÷ peer':>12}")
    for line in file.read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        print(f"{kept['table'] + ', ' + kept['work']:34} {kept['peer']:30} {kept['ratio']:12.2f}")


def main() -> int:
    """Runs the tables one after the other, each in a process of its own, so that none measures another's memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the sizes that the bars are stated for: an hour and more")
    parser.add_argument("--json", type=Path, help="keep the ratios in this new file")
    given = parser.parse_args()
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        file = given.json or Path(folder, "ratios.jsonl")
        file.write_text("", encoding="utf-8")
        for table in TABLES:
            print(f"\n== {table} ==", flush=True)
            worst = max(worst, subprocess.run(command(table, given.full, file), check=False).returncode)
        summary(file)
    return worst


if __name__ == "__main__":
    sys.exit(main())

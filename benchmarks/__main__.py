"""`make bench`: every measurement as a ratio against a peer or the physical limit, each from one run; `--quick`: smaller sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TABLES = ("opening", "gate", "nearest", "ids", "monitor", "repair", "ingest", "live_rules", "watch", "tui", "tui_inspect")


def main() -> int:
    """Runs the tables one after the other, each in a process of its own, so that none measures another's memory."""
    worst = 0
    for table in TABLES:
        path = Path(__file__).with_name(f"{table}.py")
        print(f"\n== {table} ==", flush=True)
        worst = max(worst, subprocess.run([sys.executable, str(path), *sys.argv[1:]], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())

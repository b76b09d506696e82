"""Draws the README's picture: the real output of `vqdoctor inspect` on the bundled sample, as SVG. Run from the root."""

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112
SAMPLE = "sample_checkpoints/ema-illusion.pt"


def main() -> None:
    """Writes docs/inspect.svg."""
    shown = subprocess.run(
        [sys.executable, "-m", "vqdoctor", "inspect", SAMPLE, "--color", "always"],
        env={"COLUMNS": str(WIDTH), "PATH": "", "PYTHONIOENCODING": "utf-8"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in shown.splitlines()[:36]:
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title=f"vqdoctor inspect {SAMPLE}", clear=True)
    Path("docs/inspect.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()

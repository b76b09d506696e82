"""Results kept: one JSON object a line, so that several processes may add to one file."""

from __future__ import annotations

import json
from pathlib import Path


def record(file: str | None, **figures: object) -> None:
    """Adds one result, e.g. table="ids", work="10⁷ × 4", peer="polars", ratio=0.4 (ours ÷ the peer's); None: kept nowhere."""
    if file is None:
        return
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(figures, ensure_ascii=False) + "\n")

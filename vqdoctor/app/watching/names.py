"""What a run is called where there is little room: the part of its path that tells it from the others."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import PurePath

GENERIC = re.compile(
    r"(?:log|logs|metrics|train|training|output|stdout|history|results|progress|trainer_log|train_results)(?:\.\w+)?"
)
"""File names that every run has: the folder says which it is."""
SUFFIX = re.compile(r"(?<=.)(?:[._-]?log)?\.(?:jsonl|ndjson|json|log|csv|tsv|txt|out)$")


def run_name(path: str, taken: Container[str]) -> str:
    """A name for the run at `path` that is not `taken`: as few of the last parts of its path as that needs.

    Example:
        >>> run_name("runs/rq-7/log.jsonl", ()), run_name("old/rq-7/log.jsonl", ("rq-7",)), run_name("ema-illusion.log.jsonl", ())
        ('rq-7', 'old/rq-7', 'ema-illusion')
        >>> run_name(".", ()) == os.path.basename(os.getcwd())  # the checkpoints of the folder that one stands in
        True
    """
    parts = [part for part in PurePath(path).parts if part not in ("/", ".", "..")]
    if len(parts) > 1 and GENERIC.fullmatch(parts[-1]):
        parts.pop()
    short = [*parts[:-1], SUFFIX.sub("", parts[-1]) or parts[-1]] if parts else [os.path.basename(os.path.abspath(path)) or path]
    names = ("/".join(short[start:]) for start in range(len(short) - 1, -1, -1))
    return next((name for name in names if name not in taken), path)

"""TOML that anybody may have written: the standard library's parser, kept from what makes it slow, large or noisy.

A room of its own because two rooms that do not know each other read settings: those of a project and those of a training run.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

DEEPEST = 32  # parts of a dotted key; `tomllib` takes time and memory with their square
_PIECE = re.compile(r"""(?P<part>"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|[\w-]+)|(?P<space>[ \t]+)|(?P<other>.)""", re.DOTALL)


def parse(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        ValueError: it is no TOML, or nested deeper than any settings are.
    """
    if text.count(".") > DEEPEST and _longest_key(text) > DEEPEST:
        raise ValueError(f"a key of more than {DEEPEST} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is too deeply nested") from None


def _longest_key(text: str) -> int:
    """Parts of the longest run of words with dots between, whether it is a key or not."""
    longest, parts, dotted = 0, 0, False
    for piece in _PIECE.finditer(text):
        if piece.lastgroup == "part":
            parts, dotted = parts + 1 if dotted else 1, False
            longest = max(longest, parts)
        elif piece.lastgroup == "other":
            dotted = piece[0] == "." and parts > 0
            parts = parts if dotted else 0
    return longest

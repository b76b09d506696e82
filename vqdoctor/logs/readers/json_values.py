"""One JSON value from bytes, as programs write them: strict JSON fast, and Python's NaN and Infinity, which are none, after it."""

from __future__ import annotations

import json
from typing import Any

import orjson

BROKEN = object()
"""What `parse` returns for bytes that are no JSON: None is a value."""


def parse(data: bytes) -> Any:
    """The value, or BROKEN. Invalid UTF-8 inside text is replaced."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return BROKEN

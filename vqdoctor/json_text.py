"""JSON of whatever was read: fast, and also where a name holds what UTF-8 cannot spell.

Below the rooms, beside `toml_text`: names of tensors and files may hold lone surrogates (from a pickle, from a folder in another
encoding), which the fast writer refuses; JSON's own escapes spell them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def dumped(value: Any, *, indent: bool = False, default: Callable[[Any], Any] | None = None) -> bytes:
    """One line, or indented lines, without an end.

    Args:
        default: makes what JSON does not know into what it does; None: mappings, arrays and numbers of numpy only.

    Raises:
        TypeError: there is something else in it.
    """
    import orjson

    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, option=options, default=default or _plain)
    except TypeError:
        return json.dumps(value, indent=2 if indent else None, default=default or _plain).encode("ascii")


def loaded(data: bytes) -> Any:
    """What `dumped` wrote.

    Raises:
        ValueError: it is no JSON, or nested without end.
    """
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data)
        except RecursionError:
            raise ValueError("it is too deeply nested") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")

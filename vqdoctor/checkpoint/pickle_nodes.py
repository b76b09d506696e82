"""What the reader of pickles makes of a pickle besides plain Python values: nodes that do nothing."""

from __future__ import annotations

from typing import Any

from vqdoctor.errors import printable
from vqdoctor.model import Opaque

_PLAIN_KEY_BOUND = 1 << 60  # larger ints can be chosen to collide in a dict
_KEY_PARTS, _KEY_PART_LENGTH = 8, 64


class Blob:
    """A long string or byte string, left where it is: `bytes` from `position` of the pickle's extent; `text` where it is UTF-8."""

    __slots__ = ("bytes", "position", "text")

    def __init__(self, position: int, size: int, *, text: bool) -> None:
        self.position = position
        self.bytes = size
        self.text = text


class Node:
    """A value that a builder made and that the pickle may complete later, by BUILD."""

    __slots__ = ()

    def build(self, state: Any) -> None:
        """Takes what BUILD would set on the object; nothing unless a subclass needs it."""


def set_state(target: Opaque, state: Any) -> None:
    """Sets the state of an Opaque that is still being read; it is frozen for everybody else."""
    object.__setattr__(target, "state", state)


def state_dict(target: Opaque) -> dict[Any, Any]:
    """The state of an Opaque that is still being read, made a dict."""
    if type(target.state) is not dict:
        set_state(target, {} if target.state is None else {"state": target.state})
    return target.state


def plain_key(key: Any, ordinal: int) -> Any:
    """`key` where it is a plain value whose hash is cheap and hard to collide, else words for it; `ordinal` keeps those apart."""
    kind = type(key)
    if key is None or kind in (str, bool, bytes) or (kind is int and -_PLAIN_KEY_BOUND < key < _PLAIN_KEY_BOUND):
        return key
    if kind in (int, float):
        return str(key)
    if kind is list and len(key) <= _KEY_PARTS and all(_is_short(part) for part in key):
        return f"({', '.join(map(str, key))})"
    word = key.name if kind is Opaque else kind.__name__.lower()
    return f"<{printable(word)} #{ordinal}>"


def _is_short(part: Any) -> bool:
    return type(part) in (int, float, bool) or (type(part) is str and len(part) <= _KEY_PART_LENGTH)

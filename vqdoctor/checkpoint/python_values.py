"""Python's own plain containers and values as pickles spell them: `collections.OrderedDict()` is a dict, `builtins.complex(1,
2)` a number.

Each builder takes the arguments of the call that a pickle asks for and returns an inert value, None where they are not the
usual ones. Lists and dicts among the arguments are passed on, not copied.
"""

from __future__ import annotations

from typing import Any

from vqdoctor.checkpoint.pickle_machine import Builder
from vqdoctor.checkpoint.pickle_nodes import Blob, plain_key
from vqdoctor.model import Opaque


def _mapping(args: list[Any]) -> Any:
    """dict, OrderedDict, Counter: empty, from a dict, or (Python 2) from a list of pairs."""
    if not args:
        return {}
    given = args[0]
    if len(args) > 1 or type(given) not in (dict, list):
        return None
    return given if type(given) is dict else {plain_key(key, at): value for at, (key, value) in enumerate(given)}


def _default_dict(args: list[Any]) -> Any:
    return {} if len(args) <= 1 else None


def _sequence(args: list[Any]) -> Any:
    """list, tuple, set, frozenset, torch.Size: empty or from a list."""
    if not args:
        return []
    return args[0] if len(args) == 1 and type(args[0]) is list else None


def _bytes(args: list[Any]) -> Any:
    """bytes and bytearray, which protocol 2 spells as text: ``_codecs.encode(text, "latin1")``, ``bytearray(text, "latin-1")``."""
    if not args:
        return b""
    if type(args[0]) in (bytes, Blob):
        return args[0]
    return args[0].encode("latin-1") if len(args) == 2 and type(args[0]) is str else None


def _complex(args: list[Any]) -> Any:
    return complex(*args) if all(type(part) in (int, float) for part in args) else None


def _reconstructor(args: list[Any]) -> Any:
    """``copyreg._reconstructor(cls, base, state)``: an instance of cls, as protocols 0 and 1 write it."""
    callee, base, state = args
    if type(callee) is not Opaque or type(base) is not Opaque:
        return None
    return Opaque(callee.name, (), state if type(state) in (dict, list) else None)


def _new(args: list[Any]) -> Any:
    """``copyreg.__newobj__(cls, *args)``."""
    return Opaque(args[0].name, tuple(args[1:]))


PYTHON_BUILDERS: dict[str, Builder] = {
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _default_dict,
    "_codecs.encode": _bytes,
} | {
    f"{module}.{name}": builder
    for module in ("builtins", "__builtin__")
    for name, builder in {
        "dict": _mapping, "list": _sequence, "tuple": _sequence, "set": _sequence, "frozenset": _sequence,
        "bytes": _bytes, "bytearray": _bytes, "complex": _complex,
    }.items()
} | {
    f"{module}.{name}": builder
    for module in ("copyreg", "copy_reg")
    for name, builder in {"_reconstructor": _reconstructor, "__newobj__": _new}.items()
}  # fmt: skip

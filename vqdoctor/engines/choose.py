"""The engine that a user names: built in, or brought by a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vqdoctor.engines.coding import CodedPart, encode_rows
from vqdoctor.engines.local import measure_rows
from vqdoctor.engines.tally import Engine
from vqdoctor.errors import UsageError, printable
from vqdoctor.plugins import load_all, load_named

ENGINES: dict[str, Engine] = {"local": measure_rows}
"""Those that are always there, by name."""

Encoder = Callable[..., Iterator[CodedPart]]
"""Is called as :func:`vqdoctor.engines.encode_rows`."""
ENCODERS: dict[str, Encoder] = {"local": encode_rows}


def encoder_named(name: str) -> Encoder:
    """What the engine of this name encodes with.

    Raises:
        UsageError: there is none, or it only counts. PluginError: its package is broken.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    found: Encoder | None = getattr(engine_named(name), "encode", None)
    if not callable(found):
        raise UsageError(f"the engine {printable(name)} counts rows, but cannot hand out their codes.", hint="Leave --engine out.")
    return found


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises:
        UsageError: there is none; those that are installed are told. PluginError: its package is broken.
    """
    if name in ENGINES:
        return ENGINES[name]
    try:
        found: Engine = load_named("engines", name, misfit)
    except UsageError as error:
        raise UsageError(error.what, hint=f"{error.hint or 'None is installed.'} {', '.join(ENGINES)} is always there.") from None
    return found


def known_engines() -> tuple[Engine, ...]:
    """Built in and installed; those that do not load are left out, see `vqdoctor.plugins.broken`."""
    return (*ENGINES.values(), *load_all("engines", misfit))


def misfit(found: Any) -> str | None:
    """Why `found` is no engine, None where it may be one."""
    return None if callable(found) else "is not an engine: an engine is called with rows and a lookup."

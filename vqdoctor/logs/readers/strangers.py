"""Readers that installed packages bring: asked before ours, and left out once they fail. A watch outlives any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from vqdoctor import plugins
from vqdoctor.logs.faults import Faults
from vqdoctor.logs.readers.reader import Found, Reader
from vqdoctor.model import Event, Points

SEAM = "log_readers"


def strangers() -> tuple[type[Reader], ...]:
    """The readers of enabled plugins that load and fit."""
    return plugins.load_all(SEAM, _is_no_reader)


def troubles() -> Iterator[str]:
    """What became of the plugins that were left out, a sentence each."""
    return (f"left out: {error}" for plugin, error in plugins.broken().items() if plugin.seam == SEAM)


def claimed(reader: type[Reader], name: str, head: bytes) -> bool:
    """`Reader.claims` of a stranger's; one that raises claims nothing from then on."""
    try:
        return bool(reader.claims(name, head))
    except Exception as error:
        plugins.leave_out(reader, error)
        return False


def named(name: str) -> bool:
    """Whether a stranger's reader takes a file of a folder for its own, by its name (`owns`, which a reader need not have)."""
    return any(_owns(reader, name) for reader in strangers() if hasattr(reader, "owns"))


def guarded(kind: type[Reader]) -> Reader:
    """A stranger's reader that cannot end a watch, whatever it does."""
    return cast("Reader", Guarded(kind))  # its name is its own, where those of ours are their class's


class Guarded:
    """A stranger's reader behind our protocol: once it raises, or finds what is no point, the rest of its file is left out.

    Args:
        kind: the reader's class.
    """

    def __init__(self, kind: type[Reader]) -> None:
        self.name, self.by_lines = kind.name, kind.by_lines
        self._kind = kind
        self._failed = False
        self._faults = Faults()
        self._reader: Any = None
        self._asked(self._begin)

    @property
    def faults(self) -> Faults:
        """Its own, and that it failed."""
        faults = Faults()
        for counted in (self._faults, getattr(self._reader, "faults", None)):
            if isinstance(counted, Faults):
                faults.counts.update(counted.counts)
        return faults

    @property
    def held(self) -> int:
        """Bytes taken and not yet used, 0 after a failure."""
        held = getattr(self._reader, "held", 0)
        return held if isinstance(held, int) and not self._failed else 0

    def feed(self, data: bytes) -> list[Found]:
        """What the next bytes complete."""
        return self._asked(lambda: self._reader.feed(data))

    def finish(self) -> list[Found]:
        """What is left."""
        return self._asked(lambda: self._reader.finish())

    def _begin(self) -> list[Found]:
        self._reader = self._kind()
        return []

    def _asked(self, act: Callable[[], Any]) -> list[Found]:
        if self._failed:
            return []
        try:
            found = list(act())
            if not all(map(_is_found, found)):
                raise TypeError("a reader yields Points of equally long float64 columns, and Events")
        except Exception as error:
            self._failed = True
            self._faults.add("reader")
            plugins.leave_out(self._kind, error)
            return []
        return found


def _is_found(item: Any) -> bool:
    if isinstance(item, Event):
        return isinstance(item.kind, str)
    if not isinstance(item, Points) or not isinstance(item.key.name, str):
        return False
    columns = (item.steps, item.values, item.times)
    return all(isinstance(each, np.ndarray) and each.dtype == np.float64 and each.shape == (len(each),) for each in columns) and (
        len({len(each) for each in columns}) == 1
    )


def _owns(reader: Any, name: str) -> bool:
    try:
        return bool(reader.owns(name))
    except Exception as error:
        plugins.leave_out(reader, error)
        return False


def _is_no_reader(found: Any) -> str | None:
    """Why an object of a plugin cannot read, None where it can."""
    stated = isinstance(getattr(found, "name", None), str) and isinstance(getattr(found, "by_lines", None), bool)
    works = all(callable(getattr(found, name, None)) for name in ("claims", "feed", "finish"))
    if isinstance(found, type) and stated and works:
        return None
    return "is no log reader: one is a class with name, by_lines, claims(name, head), feed(data), finish(), faults and held."

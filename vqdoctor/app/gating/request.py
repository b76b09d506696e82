"""What a gate is asked for, as plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import UsageError, printable
from vqdoctor.gating import Asks, preset

DEFAULT_PRESET = "recommended"
_WINDOW = re.compile(r"window:0*([1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class At:
    """Which points of a log count: its last, its best, or the mean of the last `window`."""

    which: str = "last"
    window: int = 1

    def __str__(self) -> str:
        return f"window:{self.window}" if self.which == "window" else self.which


@dataclass(frozen=True, slots=True)
class GateRequest:
    """Everything that a gate may be told.

    Attributes:
        asks: what must hold, presets by name; empty: the recommended preset. inspect: how sources are measured.
        fail_on: the least level that stops; None: as the presets say, else "error". inconclusive: "fail", "pass" or "warn".
        require_n: what a log states without saying on how many rows is inconclusive. at: which points of a log count.
        baseline: file of what is known; write_baseline: file that gets the present state; shrink: the baseline is tightened.
    """

    asks: Asks = field(default_factory=Asks)
    inspect: InspectRequest = field(default_factory=InspectRequest)
    fail_on: str | None = None
    inconclusive: str = "fail"
    require_n: bool = False
    at: At = field(default_factory=At)
    baseline: str | None = None
    write_baseline: str | None = None
    shrink: bool = False


def parse_at(text: str, where: str = "--at") -> At:
    """``last``, ``best`` or ``window:N``.

    Raises:
        UsageError: it is none of them.
    """
    if text in ("last", "best"):
        return At(text)
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise UsageError(f"{printable(text)!r} says no point of a log.", where=where, hint="One of last, best, window:N.")
    return At("window", int(found[1]))


def settled(asks: Asks) -> tuple[Asks, bool]:
    """The asks with those of their presets, nearer ones in the place of a preset's; False where nothing was asked for.

    Without a preset, a threshold or a rule that must hold, the recommended preset steps in.
    """
    own = bool(asks.metrics) or any(ask.level != "off" for ask in asks.rules.values())
    names = asks.presets or (() if own else (DEFAULT_PRESET,))
    whole = Asks()
    for name in names:
        whole = whole.but(preset(name).asks)
    return whole.but(asks), bool(own or asks.presets)


def fail_on_of(request: GateRequest, asks: Asks) -> str:
    """The least level that stops: as told, else as the presets say, else "error"."""
    told = [preset(name).policies["fail-on"] for name in asks.presets if "fail-on" in preset(name).policies]
    return request.fail_on or (told[-1] if told else "error")

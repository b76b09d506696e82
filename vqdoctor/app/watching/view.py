"""What there is to see of the runs that are watched: frozen values, the same for every face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.logs import Bins
from vqdoctor.model import Event, Finding, Series, SeriesKey


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """One run as it stands.

    Attributes:
        name: short, unique among the runs; path: of its log or folder; reader: its format, "" before it is known.
        state: "waiting", "live", "lagging", "stalled", "ended" or "failed".
        series, events, usage: as in :class:`~vqdoctor.diagnosis.live.LiveRun`; checkpoints of the folder are among the events, and
            what was measured in them among the series.
        findings: of this run, gravest first; evidence holds "onset_step" and "span".
        notes: what was left out, in sentences.
        first_step, last_step: over all series, None before there is one. total_steps: what the run means to reach, None unknown.
        behind: bytes that are there and not yet read. silence: seconds since it last grew, None unknown.
        config: what the run said of itself.
        bins: (key, first step, last step, columns) → lows and highs of a series for a chart that wide.
        version: grows whenever anything above has changed but `silence`.
    """

    name: str
    path: str
    reader: str
    state: str
    series: tuple[Series, ...] = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)
    usage: tuple[Event, ...] = field(repr=False)
    findings: tuple[Finding, ...]
    bins: Callable[[SeriesKey, float, float, int], Bins] = field(repr=False)
    notes: tuple[str, ...] = ()
    first_step: float | None = None
    last_step: float | None = None
    total_steps: float | None = None
    behind: int = 0
    silence: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    version: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class WatchView:
    """All runs, newest first. version: grows with every change. missing: paths named by the user that do not exist yet."""

    runs: tuple[RunView, ...]
    version: int = 0
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """`vqdoctor.watch/1` as JSON's own types: what `vqdoctor watch --once --format json` prints."""
        from vqdoctor.render.watch_json import watch_object

        return watch_object(self)

"""What a live rule is given: one run's curves and events as they stand, beside how its log is doing.

The live rules (VQ5xx) judge a :class:`LiveRun` as the others judge a :class:`~vqdoctor.diagnosis.case.Case`: plain values, no file,
no clock, no screen. Their findings say when: ``evidence["onset_step"]`` is the step at which it began, ``evidence["span"]`` the
first and the last step that it rests on (both None where the log has no steps), so that every view can jump there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vqdoctor.model import Event, Series


@dataclass(frozen=True, slots=True, eq=False)
class LiveRun:
    """One run to judge while it goes on, or once it is over.

    Attributes:
        name: short, unique among the runs looked at. path: what the user typed or the follower found, for commands.
        state: "waiting", "live", "lagging", "stalled", "ended" or "failed", as the follower says.
        series: every curve, in our units where its name is known; events: what happened, in the order of the log.
        usage: sparse usage counts by level (events of kind "usage"), by step.
        silence: seconds since the log last grew, None where it is over or unknown. usual_gap: seconds between growths, 0 unknown.
        config: what the run said of itself at its start.
    """

    name: str
    path: str
    state: str
    series: tuple[Series, ...]
    events: tuple[Event, ...] = ()
    usage: tuple[Event, ...] = ()
    silence: float | None = None
    usual_gap: float = 0.0
    config: Mapping[str, Any] = field(default_factory=dict)

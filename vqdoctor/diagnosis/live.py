"""What a live rule is given: one run's curves and events as they stand, beside how its log is doing.

The live rules (VQ5xx) judge a :class:`LiveRun` as the others judge a :class:`~vqdoctor.diagnosis.case.Case`: plain values, no file,
no clock, no screen. Their findings say when: ``evidence["onset_step"]`` is the step at which it began, ``evidence["span"]`` the
first and the last step that it rests on (both None where the log has no steps), so that every view can jump there. What else lies
in the evidence beside metrics of the contract and training terms ("loss", "loss.commitment", "loss.reconstruction", "lr"):

=====================  ========================================================================================================
fact                   value
=====================  ========================================================================================================
``onset_step``         see above
``span``               see above
``alarm_step``         where the fall had become certain
``basis``              which metric of the log the judgement rests on
``best``               perplexity at its best before the fall; ``now``: as it stands
``bound``              perplexity under which a codebook counts as collapsed
``codes``              K, where the log tells it
``pooled``             points of the log that were taken together as one
``alarms``             steps at which consecutive segments had fallen
``samples``            rows that a re-initialisation had
``skipped``            how often it was skipped
``interval``           steps between re-initialisations
``count``              how many
``silence``            seconds since the log grew; ``usual_gap``: between its growths before
``ranks``              {"0": hash, …} of one codebook at one step
``hash``               of a codebook
=====================  ========================================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vqdoctor.diagnosis.curves import LiveLevel, levels_of
from vqdoctor.diagnosis.remedy import repair_checkpoint
from vqdoctor.errors import printable
from vqdoctor.model import Event, Remedy, Series


@dataclass(frozen=True, eq=False)
class LiveRun:
    """One run to judge while it goes on, or once it is over.

    Attributes:
        name: short, unique among the runs looked at. path: what the user typed or the follower found, for commands.
        state: "waiting", "live", "lagging", "stalled", "ended" or "failed", as the follower says.
        series: every curve, in our units where its name is known; events: what happened, in the order of the log.
        usage: sparse usage counts by level (events of kind "usage"), by step.
        silence: seconds since the log last grew, None where it is over or unknown. usual_gap: seconds between growths, 0 unknown.
        config: what the run said of itself at its start.
        beside: names of the checkpoints beside the log, newest first; None where nobody has looked.
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
    beside: tuple[str, ...] | None = None

    @cached_property
    def levels(self) -> tuple[LiveLevel, ...]:
        """The codebooks of which the log tells the use, each with its curve; made once, since several rules look at them."""
        return levels_of(self.series, self.events, self.usage, self.config)

    @property
    def last_step(self) -> float | None:
        """The last step of any series, None where there is none."""
        return max((series.last_step for series in self.series if series.last_step is not None), default=None)

    def scalar(self, name: str) -> Series | None:
        """The training term of our name, of the training part where the log tells parts apart; None where it is not logged."""
        found = [series for series in self.series if series.meaning.scalar == name and series.n]
        return next((series for series in found if series.meaning.scope in (None, "train")), None)

    def happened(self, *kinds: str) -> tuple[Event, ...]:
        """The events of these kinds, in the order of the log."""
        return tuple(event for event in self.events if event.kind in kinds)

    def repair(self, text: str, *options: str, level: LiveLevel | None = None) -> Remedy:
        """A remedy with a command on the newest checkpoint that the log names and that is there, else on the log's namesake."""
        named = [name for event in reversed(self.happened("checkpoint")) if isinstance(name := event.detail.get("file"), str)]
        name = next(iter(named), None) if self.beside is None else self._present(named)
        if named and name is None:
            text = f"{text} {printable(named[0])}, which the log names, is not beside it: give its path to vqdoctor repair."
        several = len({(one.quantizer, one.index) for one in self.levels}) > 1
        return repair_checkpoint(text, self.path, name, *options, level=level.index if level and several else None)

    def _present(self, named: Sequence[str]) -> str | None:
        beside = self.beside or ()
        there = next((name for name in named if re.split(r"[/\\\\]", name)[-1] in beside), None)
        stem = self.path.replace("\\", "/").rpartition("/")[2].partition(".")[0]
        return there or next((name for name in beside if name.rpartition(".")[0] == stem), None)


def stated_config(events: Sequence[Event]) -> Mapping[str, Any]:
    """What a run said of itself, the last time that it began; {} where it said nothing."""
    said = next((event.detail.get("config") for event in reversed(events) if event.kind == "run"), None)
    return said if isinstance(said, Mapping) else {}


def when(first: float | None, last: float | None = None) -> dict[str, Any]:
    """The part of a finding's evidence that says when: from its first step to its last (the first, if there is no later one)."""
    if first is None or not math.isfinite(first):
        return {"onset_step": None, "span": None}
    return {"onset_step": first, "span": [first, max(first, last) if last is not None else first]}

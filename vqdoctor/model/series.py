"""What a training log says: numbers over steps, and things that happened once.

Readers make `Points` and `Event`; the series store joins points into `Series`, and only there do names of other projects become
names of ours. Frozen: a view may keep what it was given while the log goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series a number belongs to.

    Attributes:
        name: as the log spells it.
        quantizer, level: where the log says them beside the name (`vqdoctor.log/1` does); None: not said, or part of the name.
        scope: of which part of a run the number speaks, where the log says it outside the name: "train", "validation", "test",
            "last", "best".
    """

    name: str
    quantizer: str | None = None
    level: int | None = None
    scope: str | None = None

    @property
    def label(self) -> str:
        """One line that no other key of the run has.

        Example:
            >>> SeriesKey("usage.used", "vq", 1, "best").label
            'vq[1]:usage.used (best)'
        """
        level = "" if self.level is None else f"[{self.level}]"
        where = f"{self.quantizer or ''}{level}:" if self.quantizer or level else ""
        return f"{where}{self.name}" + (f" ({self.scope})" if self.scope else "")


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Numbers of one series, in the order of the log: steps, values, times (n,) float64 each.

    Values may be NaN or infinite: the store keeps those out of a curve and makes events of them. Times are seconds since the
    epoch, NaN where unknown.
    """

    key: SeriesKey
    steps: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    times: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once.

    Attributes:
        kind: a word of the contract (§7: "kmeans-reinit", "dead-reset", "skipped", "expanded", "digest", "checkpoint", "end"), or
            "run", "usage", "kmeans-enabled", "kmeans-begin", "non-finite", "failed", "restarted", "rotated".
        step: where, None if the log does not say. time: seconds since the epoch, None if unknown.
        detail: what was said of it, plain values.
    """

    kind: str
    step: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name of a log stands for.

    Attributes:
        metric: our name (contract §4), None where it has none or cannot be told.
        scalar: our name of a training term ("loss", "loss.commitment", "loss.reconstruction", "loss.codebook", "loss.entropy",
            "loss.uniformity", "loss.validation", "lr"), None for anything else.
        scale, offset: ours = scale · theirs + offset.
        quantizer, level, scope: as in SeriesKey, read from the name.
        note: why a known name has no metric, or what to bear in mind; "" where there is nothing to say.
    """

    metric: str | None = None
    scalar: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    quantizer: str | None = None
    level: int | None = None
    scope: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One curve of a run as it stands.

    Attributes:
        key: which. meaning: what it is called here; where it names a scale or offset, they have been applied to every number below.
        steps, values, times: (m,) float64, read-only, finite values only, in the order of the log; m ≤ n, since old points are
            thinned to lows and highs once a store is full. times is empty where the log has none.
        starts: (s,) int64, where each segment begins: a step that falls begins a new one. Within a segment steps never fall.
        n: points seen. duplicates: of those, repeats of the step before. nonfinite: NaN or infinite values, not among the n.
        first, last, low, high: over all n points; first_step, last_step: of the first and the last point. None at n = 0.
    """

    key: SeriesKey
    meaning: Meaning
    steps: np.ndarray
    values: np.ndarray
    times: np.ndarray
    starts: np.ndarray = field(repr=False)
    n: int
    duplicates: int = 0
    nonfinite: int = 0
    first: float | None = None
    last: float | None = None
    low: float | None = None
    high: float | None = None
    first_step: float | None = None
    last_step: float | None = None

"""Going on with training after the repair of a book that had collapsed: gently, until the encoder has learned what it never could.

Beside one code an encoder gets no gradient that tells rows apart. Given 256 it moves by its outputs' whole spread within a few
steps, before any running mean can follow, and codes are lost again although nothing is wrong any more. At a third of the learning
rate, with a short memory and with replacement of codes that starve, the codes keep up (measured in `benchmarks/repair.py`). Taking
all of it back before the loss has settled loses codes for good; the rate alone may go up again at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vqdoctor.model import EmaFacts, Quantizer

RATE = 0.3
STARVED = 0.05
QUICKEST = 0.9
HITS = 2
"""Hits that a code used evenly shall have within the memory 1/(1−γ). One without any falls under STARVED of the mean after
ln(1/STARVED) ≈ 3 memories, in which an even code then has 6 hits on average: chance takes it for starved in e⁻⁶ of the cases."""
HABIT = 0.99  # decay of a family that states none
DECAYED = frozenset({"ema", "smoothed", "probability"})


@dataclass(frozen=True, slots=True)
class Aftercare:
    """How to train on until the loss has settled, beside changing what made the book collapse.

    Attributes:
        learning_rate_factor: times the rate that the run had.
        decay: of the running means; None where there are none, or where they forget as fast already.
        replace_below: share of the mean count under which training shall replace a code; None where the family's own replacement
            is undone by its stale sums.
    """

    learning_rate_factor: float
    decay: float | None
    replace_below: float | None


def aftercare(quantizer: Quantizer, survivals: Mapping[int, Mapping[str, Any]]) -> Aftercare | None:
    """What the repaired quantiser needs, by what `outlook` told of its levels; None where no book had collapsed."""
    fallen = [index for index, told in survivals.items() if "collapsed" in told["because"]]
    if not fallen:
        return None
    decay = max(shortest_memory(survivals[index]["tokens"], quantizer.levels[index].codes) for index in fallen)
    ema = quantizer.ema or EmaFacts(counts="stale")
    slower = ema.counts in DECAYED and decay < (HABIT if ema.decay is None else ema.decay)
    return Aftercare(RATE, decay if slower else None, None if ema.revival == "undone" else STARVED)


def shortest_memory(tokens: float, codes: int) -> float:
    """The decay γ at which evenly used `codes` get HITS within 1/(1−γ) steps of `tokens`, rounded up; at least QUICKEST.

    Example:
        >>> shortest_memory(64, 256), shortest_memory(64, 4096)
        (0.9, 0.993)
    """
    return max(QUICKEST, math.ceil(1000 * (1 - tokens / (HITS * codes))) / 1000)

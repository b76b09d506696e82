"""VQ510, VQ511: what hashes of a codebook say: ranks that hold different books, a book that nothing changes.

Digests are of the tensor's bytes, so that equal means equal; they come from the monitor and the trainer. Sources:
lucidrains/vector-quantize-pytorch#17, espnet#6284 (ranks drift apart where sums are not reduced), magvit2-pytorch#4 (a book that is
not in the optimiser).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from vqdoctor.diagnosis.curves import settings
from vqdoctor.diagnosis.live import LiveRun, when
from vqdoctor.diagnosis.rule import Limits, Rule, Threshold
from vqdoctor.diagnosis.words import number, plural
from vqdoctor.errors import printable
from vqdoctor.model import Finding, Remedy

Digests = Mapping[float, Mapping[int, str]]
"""Hash by rank, by step, of one codebook."""


def check_ranks(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """At one step, different books on different ranks."""
    for where, steps in _digests(run).items():
        apart = [step for step in sorted(steps) if len(set(steps[step].values())) > 1]
        if len(apart) < limits["times"]:
            continue
        last = steps[apart[-1]]
        together = "" if len(apart) == 1 else f" and {number(len(apart) - 1)} more times, last at step {number(apart[-1])}"
        yield RANKS.finding(
            where,
            "error",
            f"{len(set(last.values()))} different codebooks on {plural(len(last), 'rank')} at step {number(apart[0])}{together}: "
            f"each "
            "rank trains its own.",
            evidence=when(apart[0], apart[-1]) | {"ranks": {str(rank): digest for rank, digest in sorted(last.items())}},
            remedy=Remedy(
                "Sum counts and sums over ranks at every step (all_reduce), draw k-means starts and replacements on one rank and "
                "broadcast them, broadcast buffers once after loading. The checkpoint holds the first rank's book; the other "
                "ranks' codes "
                "mean something else. Go back to the last step at which all agreed."
            ),
            next="Broadcast the book from rank 0 once and watch which step parts them: a re-initialisation points at its "
            "randomness, every step at sums that are not reduced.",
        )


def _digests(run: LiveRun) -> dict[str, dict[float, dict[int, str]]]:
    """Digests by codebook; what is not a whole one is left out."""
    found: dict[str, dict[float, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for event in run.happened("digest", "checkpoint"):
        digest, rank, level = event.detail.get("hash"), event.detail.get("rank", 0), event.detail.get("level")
        if event.step is None or not isinstance(digest, str) or not isinstance(rank, int):
            continue
        found[_where(run, event.detail.get("quantizer"), level)][event.step][rank] = printable(digest, limit=64)
    return found


def _where(run: LiveRun, quantizer: object, level: object) -> str:
    index = level if isinstance(level, int) else None
    name = quantizer if isinstance(quantizer, str) else next((level.quantizer for level in run.levels if level.quantizer), None)
    return f"{printable(name or 'codebook')}{'' if index is None else f'[{index}]'}"


RANKS = Rule(
    id="VQ510",
    name="rank-divergence",
    title="Ranks hold different codebooks at the same step.",
    lead="broken rows",
    subject=LiveRun,
    check=check_ranks,
    thresholds={"times": Threshold(1, "steps", "with different hashes, at or above: error")},
    needs=("ranks",),
)


def check_frozen(run: LiveRun, limits: Limits) -> Iterator[Finding]:
    """The newest digests are one and the same, while the loss moves."""
    if any(value is True for value in settings(run.config, {"frozen"})):
        return
    for where, steps in _digests(run).items():
        same = _unchanged(steps)
        if len(same) < limits["times"] or not _moves(run, same[0], same[-1], limits):
            continue
        yield FROZEN.finding(
            where,
            "error",
            f"The codebook is bit for bit the same at {len(same)} times from step {number(same[0])} to {number(same[-1])}, while "
            f"the loss "
            "moves: nothing trains it.",
            evidence=when(same[0], same[-1]) | {"hash": steps[same[-1]][min(steps[same[-1]])], "count": len(same)},
            remedy=Remedy(
                "Look for a book that is not among the optimiser's parameters, whose gradient is cut (detach on both sides), "
                "whose EMA "
                "update does not run (module in eval mode, a flag, a learning rate of 0), or that is written by a copy. If it is "
                "meant to "
                'be frozen, say so: VQ511 = { severity = "off" }.'
            ),
            next="Print whether the book has a gradient, and whether its id is among the optimiser's: one of the two is missing.",
        )


def _unchanged(steps: Digests) -> list[float]:
    """The newest steps, as far back as the first known rank's digest stays what it is now."""
    ordered = sorted(steps)
    newest = None
    same: list[float] = []
    for step in reversed(ordered):
        digest = steps[step][min(steps[step])]
        newest = newest or digest
        if digest != newest:
            break
        same.append(step)
    return same[::-1]


def _moves(run: LiveRun, first: float, last: float, limits: Limits) -> bool:
    """Whether a loss, over these steps, varies by more than a share of its size."""
    for loss in (run.scalar("loss"), run.scalar("loss.reconstruction")):
        if loss is None:
            continue
        values = loss.values[(loss.steps >= first) & (loss.steps <= last)]
        if len(values) > 1 and float(np.ptp(values)) > limits["moves"] * float(np.abs(values).max()):
            return True
    return False


FROZEN = Rule(
    id="VQ511",
    name="frozen-codebook",
    title="A codebook stays bit-identical while the loss moves.",
    lead="collapse",
    subject=LiveRun,
    check=check_frozen,
    thresholds={
        "times": Threshold(5, "digests", "in a row that are the same, at or above: error"),
        "moves": Threshold(0.001, "share of the loss", "it must have varied by more"),
    },
    needs=("hash", "count", "loss", "loss.reconstruction"),
)

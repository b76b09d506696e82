"""From a checkpoint, features and a request to a plan: what every changed tensor will hold, what that does, how it is undone.

Nothing is written here. All numbers "after" are measured on the source with the changes laid over it (`Patched`), rounded to the
types that are stored, so that they are what the repaired file will show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts import lookup
from vqdoctor.model import Quantizer, TensorSource
from vqdoctor.nearest import Searcher
from vqdoctor.treatment.aftercare import Aftercare, aftercare
from vqdoctor.treatment.byfeatures import Repaired, repair_by_features
from vqdoctor.treatment.dataless import repair_file_alone
from vqdoctor.treatment.outlook import FEW_LIVE, outlook
from vqdoctor.treatment.patched import Undo, undo_of
from vqdoctor.treatment.preflight import FeatureSample, check_features, check_request
from vqdoctor.treatment.preview import Flips, Metrics, collision_metrics, flips, id_map, ids_sentence, level_metrics, share_moved
from vqdoctor.treatment.request import TreatmentRequest

WORSE = 1.01
"""Error after over error before, on rows held out, that still counts as no worse."""
MOST_REASONS = 3
"""For which a treatment is refused, that are told."""


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One level of a plan.

    Attributes:
        index, key, codes: the level. rows_changed: (r,) codes whose rows are written, ascending; () where none is.
        before, after: contract metrics on the rows held out; {} without features.
        why: what is not done, or why nothing is; None. refused: nothing is, and the level is not as it should be.
        flips: what becomes of held-out tokens; None without features.
        id_map: (K,) old code → the code that most of its rows get, −1 for one without rows; None without features.
        survival: see `survival.simulate`; None where nothing is revived or it cannot be simulated.
        unreached: largest relative distance of a code from what was meant, where the file's form cannot hold it (SimVQ).
    """

    index: int
    key: str
    codes: int
    rows_changed: np.ndarray
    before: Metrics = field(default_factory=dict)
    after: Metrics = field(default_factory=dict)
    why: str | None = None
    flips: Flips | None = None
    id_map: np.ndarray | None = None
    survival: Mapping[str, Any] | None = None
    unreached: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A repair, before it is written.

    Attributes:
        method, seed: of the request. request: all of it. quantizer: what is repaired.
        levels: one per level of the quantiser.
        changes: tensor name → complete new array as `TensorSource.read` would give it: every value one that the stored type holds.
        undo: tensor name → the elements that change, as they are.
        before, after: collision.* over all rows given, of two levels or more; {} otherwise.
        ids_changed: share of the rows (held out) whose ID is another one; None without features.
        rows: rows given that could be used. fitted: how many the repair learned from; the others judged it. dropped: rows left out.
        warnings: one sentence each. recommendation: another treatment that would serve better, and why; None.
        aftercare: how training has to go on; None: as it was.
        worse: a sentence where rows held out are served worse than before; None.
    """

    request: TreatmentRequest
    quantizer: Quantizer
    levels: tuple[LevelPlan, ...]
    changes: Mapping[str, np.ndarray]
    undo: Mapping[str, Undo]
    before: Metrics = field(default_factory=dict)
    after: Metrics = field(default_factory=dict)
    ids_changed: float | None = None
    rows: int = 0
    fitted: int = 0
    dropped: int = 0
    warnings: tuple[str, ...] = ()
    recommendation: str | None = None
    aftercare: Aftercare | None = None
    worse: str | None = None

    @property
    def method(self) -> str:
        """The treatment's name."""
        return self.request.method

    @property
    def seed(self) -> int:
        """Of all draws."""
        return self.request.seed

    @property
    def empty(self) -> bool:
        """True where there is nothing to write."""
        return not self.changes


def plan(source: TensorSource, quantizer: Quantizer, features: np.ndarray | None, request: TreatmentRequest) -> Plan:
    """What `request` would do to one quantiser of `source`.

    Args:
        features: (N, width) rows of what the quantiser is given; half of them, drawn by the request's seed, judge the result.

    Raises:
        UsageError: this treatment cannot work on this quantiser. SampleError: not with these features.
    """
    check_request(quantizer, request, features is not None)
    wanted = request.levels if request.levels is not None else tuple(range(len(quantizer.levels)))
    rng = np.random.default_rng(request.seed)
    if features is None or request.method in ("sync-ema", "freeze-init"):
        return _without_features(source, quantizer, wanted, request, rng)
    sample = check_features(features, quantizer_width(quantizer), rng)
    repaired = repair_by_features(source, quantizer, sample, wanted, request, rng)
    return _previewed(source, quantizer, sample, repaired, request, rng)


def refuse_undoable(plans: Sequence[Plan], where: str | None = None) -> None:
    """Nothing to write is no failure where all is as the treatment would leave it, and one where it cannot be done on any book.

    Args:
        plans: of one treatment, a quantiser each. where: the file they are of.

    Raises:
        UsageError: naming the books and what stands in the way of each.
    """
    if not all(one.empty for one in plans):
        return
    reasons: dict[str, list[str]] = {}
    for one in plans:
        for level in one.levels:
            if level.refused and level.why:
                reasons.setdefault(level.why, []).append(f"{printable(one.quantizer.name)}[{level.index}]")
    if reasons:
        told = "; ".join(f"{places[0]}{_and_more(places)}: {why}" for why, places in list(reasons.items())[:MOST_REASONS])
        raise UsageError(f"--{plans[0].method} cannot be done: {told}.", where=where, hint="vqdoctor inspect says what helps.")


def _and_more(places: list[str]) -> str:
    return f" and {len(places) - 1} more" if len(places) > 1 else ""


def quantizer_width(quantizer: Quantizer) -> int:
    """Columns that a row of features must have."""
    return quantizer.width or quantizer.levels[0].dim


def held_out(features: np.ndarray, quantizer: Quantizer, seed: int) -> np.ndarray:
    """The rows (m, width) that judge a plan of this seed."""
    sample = check_features(features, quantizer_width(quantizer), np.random.default_rng(seed))
    return sample.rows[~sample.fitted]


def judges_of(sample: FeatureSample) -> np.ndarray:
    """(n,) bool: the rows of a sample that judge what the others taught; all of them where there is but one."""
    return ~sample.fitted if not sample.fitted.all() else sample.fitted


def judged(source: TensorSource, quantizer: Quantizer, rows: np.ndarray, judges: np.ndarray) -> tuple[list[Metrics], np.ndarray]:
    """The metrics of each level on those of `rows` (n, width) that `judges` (n,) marks, and the codes (n, L) of all."""
    search = Searcher(lookup(source, quantizer))
    found = search.encode(rows)
    inner = search.enter(rows[judges])
    spreads = [float(inner[:, slice(*columns)].var(axis=0, dtype=np.float64).sum()) for columns in search.columns]
    columns = [(found.codes[judges, i], found.residuals[judges, i]) for i in range(len(search.books))]
    sizes = [len(stage.codes) for stage in search.lookup.stages]
    return [level_metrics(*columns[i], sizes[i], spreads[i]) for i in range(len(sizes))], found.codes


def _without_features(
    source: TensorSource, quantizer: Quantizer, wanted: tuple[int, ...], request: TreatmentRequest, rng: np.random.Generator
) -> Plan:
    repaired = repair_file_alone(source, quantizer, wanted, request, rng)
    undo = undo_of(source, repaired.patched.arrays)
    levels = tuple(_level_plan(quantizer, repaired, level.index) for level in quantizer.levels)
    return Plan(
        request, quantizer, levels, {name: repaired.patched.arrays[name] for name in undo}, undo, warnings=repaired.warnings
    )


def _level_plan(quantizer: Quantizer, repaired: Repaired, index: int) -> LevelPlan:
    level, owner = quantizer.levels[index], quantizer.levels[index].shared_with
    made = repaired.books.get(index if owner is None else owner)
    if made is None:
        return LevelPlan(index, level.key, level.codes, np.zeros(0, np.int64), why="not asked for")
    rows = np.sort(made.rows)
    return LevelPlan(index, level.key, level.codes, rows, why=made.why, unreached=made.unreached, refused=made.refused)


def _previewed(
    source: TensorSource, quantizer: Quantizer, sample: FeatureSample, repaired: Repaired, request: TreatmentRequest,
    rng: np.random.Generator,
) -> Plan:  # fmt: skip
    judges = judges_of(sample)
    before, old = judged(source, quantizer, sample.rows, judges)
    after, new = judged(repaired.patched, quantizer, sample.rows, judges)
    survivals, foreseen = outlook(source, quantizer, sample.rows[judges], repaired, rng)
    levels = []
    for level in quantizer.levels:
        index, one = level.index, _level_plan(quantizer, repaired, level.index)
        ratio = repaired.books[index].kmeans_ratio if index in repaired.books else None
        levels.append(
            replace(
                one, before=before[index], after=after[index] | {"distortion.kmeans_ratio": ratio}, survival=survivals.get(index),
                flips=flips(old[judges, index], new[judges, index], one.rows_changed),
                id_map=id_map(old[:, index], new[:, index], level.codes),
            )
        )  # fmt: skip
    sizes = [level.codes for level in quantizer.levels]
    collisions: list[Metrics] = [collision_metrics(codes, sizes) if len(sizes) > 1 else {} for codes in (old, new)]
    undo = undo_of(source, repaired.patched.arrays)
    worse = _worse(quantizer, before, after)
    ids_changed = share_moved(old[judges], new[judges])
    return Plan(
        request, quantizer, tuple(levels), {name: repaired.patched.arrays[name] for name in undo}, undo,
        before=collisions[0], after=collisions[1], ids_changed=ids_changed,
        rows=len(sample.rows), fitted=int(sample.fitted.sum()), dropped=sample.dropped,
        warnings=(
            *sample.warnings, *repaired.warnings, *([worse] if worse else []), *foreseen,
            *_consequences(quantizer, repaired, ids_changed),
        ),
        recommendation=_better(quantizer, repaired, request), aftercare=aftercare(quantizer, survivals), worse=worse,
    )  # fmt: skip


def _worse(quantizer: Quantizer, before: list[Metrics], after: list[Metrics]) -> str | None:
    """A sentence where the whole quantiser serves rows that it has not seen worse than before."""

    def error(levels: list[Metrics]) -> float:
        errors = [one["distortion.mse"] for one in (levels if quantizer.structure == "product" else levels[-1:])]
        return sum(value for value in errors if isinstance(value, int | float))

    old, new = error(before), error(after)
    if new <= WORSE * old:
        return None
    return f"on rows held out the error grows from {old:.4g} to {new:.4g}: with these features this is no improvement."


def _consequences(quantizer: Quantizer, repaired: Repaired, ids_changed: float) -> list[str]:
    """What a repaired codebook means for what was trained on the old one, and for training on."""
    written = any(len(book.rows) for book in repaired.books.values())
    said = []
    if ids_changed > 0:
        said.append(ids_sentence(ids_changed))
    if written and quantizer.kmeans_start and all(level.flag is None for level in quantizer.levels):
        said.append(
            "the file has no initialised flag: if training goes on with a k-means start, its first batch overwrites this (VQ303)."
        )
    return said


def _better(quantizer: Quantizer, repaired: Repaired, request: TreatmentRequest) -> str | None:
    """--kmeans, where hardly any code is in use and the request would keep those few."""
    if not request.selective or request.method == "sanitize":
        return None
    few = [
        (index, made.live)
        for index, made in repaired.books.items()
        if made.live is not None and made.live < FEW_LIVE and len(made.rows)
    ]
    if not few:
        return None
    where, share = min(few, key=lambda one: one[1])
    level = f"level {where}" if len(quantizer.levels) > 1 else "the book"
    return (
        f"--kmeans: only {100 * share:.1f} % of the codes of {level} are in use. They were fitted to cells far larger than "
        "those that are wanted now, and a selective repair keeps them where they are."
    )

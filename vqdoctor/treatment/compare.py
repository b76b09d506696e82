"""Two checkpoints of one model side by side: which codes moved, died, came back or never changed. Numbers only; no features needed.

Whether a code is in use is what the files' own counters claim, under the family's own test, until someone who has seen rows says
better (`LevelComparison.by`); where neither tells, this is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from vqdoctor.layouts import codes, find_quantizers, flag, stored_rows
from vqdoctor.layouts.state import unwrapped
from vqdoctor.metrics import counts_from, row_norms
from vqdoctor.metrics.ema import resolved_threshold, uninformative
from vqdoctor.model import Codebook, Quantizer, TensorSource
from vqdoctor.model.report import Number
from vqdoctor.treatment.patched import differs
from vqdoctor.treatment.state import allowed_drift, drift, eps_of, running_counts

SCHEMA = "vqdoctor.compare/1"
SYNCED = 1e-4


@dataclass(frozen=True, slots=True)
class LevelComparison:
    """One level, `a` against `b`; (a, b) pairs where both have a value.

    Attributes:
        index, key: as in `b`. codes, dim: (a, b). The rest compares the rows that both have.
        frozen: rows that are bit for bit the same. moved: the others.
        movement: median relative distance that the moved rows went; norm_ratio: median norm in b over that in a. None without any.
        died, revived: codes active only in a, only in b; None where nothing tells. died_rows, revived_rows: which those are.
        basis: what tells: "running counts" of the files, or "real use"; None where nothing does.
        active: (a, b) codes active. broken: (a, b) rows with NaN or Inf. flag: (a, b) initialised flags.
        ema_inconsistent: (a, b) rows whose sums say something else than the code.
    """

    index: int
    key: str
    codes: tuple[int, int]
    dim: tuple[int, int]
    frozen: int
    moved: int
    movement: Number
    norm_ratio: Number
    died: Number
    revived: Number
    died_rows: tuple[int, ...]
    revived_rows: tuple[int, ...]
    active: tuple[Number, Number]
    broken: tuple[int, int]
    flag: tuple[Number, Number]
    ema_inconsistent: tuple[Number, Number]
    basis: str | None = None

    def by(self, basis: str | None, before: np.ndarray | None, after: np.ndarray | None) -> LevelComparison:
        """The same with the codes that died and came back by masks of the codes in use, (K,) bool each; None: unknown."""
        died, revived = _crossed(before, after)
        if died is None or revived is None:
            return self
        lost, found = tuple(died.tolist()), tuple(revived.tolist())
        return replace(self, died=len(lost), revived=len(found), died_rows=lost, revived_rows=found, basis=basis)


@dataclass(frozen=True, slots=True)
class QuantizerComparison:
    """One quantiser that both files hold. levels: those that both have; levels_changed: (a, b) how many each has, None if equal."""

    name: str
    layout: str
    levels: tuple[LevelComparison, ...]
    levels_changed: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two checkpoints. only_a, only_b: names of quantisers that the other lacks."""

    a: str
    b: str
    quantizers: tuple[QuantizerComparison, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    schema: str = field(default=SCHEMA)

    def values(self) -> Mapping[str, Any]:
        """Plain values, as `vqdoctor compare --format json` prints them."""
        return asdict(self)


def compare(a: TensorSource, b: TensorSource) -> Comparison:
    """Checkpoint `b` against `a`, which is the earlier one; quantisers are paired by name, or if each holds just one."""
    first, second = ([one for one in find_quantizers(source) if one.levels] for source in (a, b))
    by_name = {unwrapped(f"{one.name}.x"): one for one in second}
    pairs = [(one, by_name[unwrapped(f"{one.name}.x")]) for one in first if unwrapped(f"{one.name}.x") in by_name]
    if not pairs and len(first) == len(second) == 1:
        pairs = [(first[0], second[0])]
    return Comparison(
        a.path, b.path, tuple(_quantizers(a, b, one, other) for one, other in pairs),
        only_a=tuple(one.name for one in first if one.name not in {pair[0].name for pair in pairs}),
        only_b=tuple(one.name for one in second if one.name not in {pair[1].name for pair in pairs}),
    )  # fmt: skip


def _quantizers(a: TensorSource, b: TensorSource, one: Quantizer, other: Quantizer) -> QuantizerComparison:
    levels = tuple(_levels(a, b, one, other, index) for index in range(min(len(one.levels), len(other.levels))))
    changed = (len(one.levels), len(other.levels))
    return QuantizerComparison(other.name, other.layout, levels, None if changed[0] == changed[1] else changed)


def _levels(a: TensorSource, b: TensorSource, one: Quantizer, other: Quantizer, index: int) -> LevelComparison:
    sides = ((a, one, one.levels[index]), (b, other, other.levels[index]))
    left, right = (side[2] for side in sides)
    frozen, movement, ratio = _movement(a, b, one, other, index)
    active = [_active(*side) for side in sides]
    found = LevelComparison(
        index=index, key=right.key, codes=(left.codes, right.codes), dim=(left.dim, right.dim),
        frozen=frozen, moved=min(left.codes, right.codes) - frozen, movement=movement, norm_ratio=ratio,
        died=None, revived=None, died_rows=(), revived_rows=(),
        active=_pair([None if mask is None else int(mask.sum()) for mask in active]),
        broken=(_broken(a, left), _broken(b, right)), flag=_pair([flag(source, level) for source, _, level in sides]),
        ema_inconsistent=_pair([_inconsistent(*side) for side in sides]),
    )  # fmt: skip
    return found.by("running counts", *active)


def _movement(a: TensorSource, b: TensorSource, one: Quantizer, other: Quantizer, index: int) -> tuple[int, Number, Number]:
    """Rows that are the same, how far the others went, and by how much norms grew."""
    left, right = one.levels[index], other.levels[index]
    if left.dim != right.dim:
        return 0, None, None
    shared = min(left.codes, right.codes)
    old, new = codes(a, left, eps=eps_of(one))[:shared], codes(b, right, eps=eps_of(other))[:shared]
    same = ~differs(old, new).any(axis=1)
    norms, now = row_norms(old), row_norms(new)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (np.linalg.norm(new.astype(np.float64) - old, axis=1) / norms)[~same]
        growth = now / norms
    return int(same.sum()), _median(distance), _median(growth)


def _median(values: np.ndarray) -> Number:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else None


def _active(source: TensorSource, quantizer: Quantizer, level: Codebook) -> np.ndarray | None:
    """(K,) bool, codes that the counters call active; None where they say nothing."""
    if quantizer.ema is None or level.ema_count is None:
        return None
    try:
        counts = counts_from(level.ema_count.view(source.read(level.ema_count.name)), quantizer.ema, level.codes)
    except ValueError:
        return None
    return None if uninformative(counts, quantizer.ema) else np.asarray(counts >= resolved_threshold(counts, quantizer.ema))


def _crossed(before: np.ndarray | None, after: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    if before is None or after is None:
        return None, None
    shared = min(len(before), len(after))
    one, two = before[:shared], after[:shared]
    return np.flatnonzero(one & ~two), np.flatnonzero(~one & two)


def _inconsistent(source: TensorSource, quantizer: Quantizer, level: Codebook) -> Number:
    moved = drift(source, quantizer, level) if running_counts(source, quantizer, level) is not None else None
    return None if moved is None else int((~(moved <= allowed_drift(source, level, SYNCED))).sum())


def _broken(source: TensorSource, level: Codebook) -> int:
    return int((~np.isfinite(stored_rows(source, level)).all(axis=1)).sum())


def _pair(values: list[Any]) -> tuple[Any, Any]:
    return values[0], values[1]

"""What matters of a run, level by level: real use beside what the running counts claim, perplexity, entropy, dead codes.

A log may hold each of these several times: of a batch and of a whole evaluation, of the training and the validation rows. One is
chosen for each sign, by the same rule for every view: what was measured over a whole sample before what is of one batch, as long as
it is still being measured; else the newest. The choice is part of the sign, so that a view can say what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vqdoctor.model import Finding, Series
from vqdoctor.model.report import SEVERITIES

if TYPE_CHECKING:
    from vqdoctor.app.watching.view import RunView

SIGNS: Mapping[str, tuple[str, ...]] = {
    "real": ("usage.utilization", "usage.batch_utilization"),
    "ema": ("ema.utilization",),
    "perplexity": ("usage.perplexity", "usage.batch_perplexity", "ema.perplexity"),
    "entropy": ("usage.entropy_normalized", "usage.batch_entropy_normalized", "ema.entropy_normalized"),
    "used": ("usage.used", "usage.batch_used"),
    "unused": ("usage.dead", "usage.unseen"),
}
"""Our metrics for each sign, the better first."""
OF_IDS = (
    "collision.unique",
    "collision.items",
    "collision.rate",
    "collision.excess",
    "collision.max_group",
    "collision.floor_excess",
)
SCOPES = (None, "train", "validation", "test", "checkpoint", "last", "best")
"""Of equally new series, the one whose scope stands first here."""
PATIENCE = 3.0  # intervals of its own for which a series counts as going on

Place = tuple[str | None, int | None]


@dataclass(frozen=True, slots=True)
class LevelSigns:
    """One level of one quantiser; each sign is a series in our units, None where the log has none.

    Attributes:
        codes: K, None where nothing says it. findings: those about this level.
    """

    quantizer: str | None
    level: int | None
    codes: int | None
    real: Series | None
    ema: Series | None
    perplexity: Series | None
    entropy: Series | None
    used: Series | None
    unused: Series | None
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """ "quantizer[1]", "1" or "", whichever is known."""
        index = "" if self.level is None else f"[{self.level}]" if self.quantizer else str(self.level)
        return f"{self.quantizer or ''}{index}"

    @property
    def gap(self) -> float | None:
        """Claimed less real use, None where one of them is not known."""
        real, claimed = last(self.real), last(self.ema)
        return None if real is None or claimed is None else claimed - real

    @property
    def worst(self) -> Finding | None:
        """The gravest finding about this level that is more than a remark."""
        grave = [finding for finding in self.findings if finding.severity != "info"]
        return max(grave, key=lambda finding: SEVERITIES.index(finding.severity), default=None)


def level_signs(run: RunView) -> list[LevelSigns]:
    """A row a level, in the order of quantisers and levels; [] where the log has no signs of a codebook."""
    places: dict[Place, list[Series]] = {}
    wanted = {metric for metrics in SIGNS.values() for metric in metrics}
    for series in run.series:
        if series.meaning.metric in wanted and series.n:
            places.setdefault((series.meaning.quantizer, series.meaning.level), []).append(series)
    whole = places.pop((None, None), [])
    if whole and not places:
        places[None, None] = whole
    sizes = _sizes(run)
    return [_signs(run, place, found, sizes) for place, found in sorted(places.items(), key=lambda pair: _order(pair[0]))]


def id_signs(run: RunView) -> dict[str, Series]:
    """The newest of each collision metric that the log has."""
    return {metric: found for metric in OF_IDS if (found := chosen(run.series, (metric,))) is not None}


def scalar_signs(run: RunView) -> dict[str, Series]:
    """The terms of the loss and the learning rate, by our name."""
    names = dict.fromkeys(series.meaning.scalar for series in run.series if series.meaning.scalar and series.n)
    named = {name: [series for series in run.series if series.meaning.scalar == name and series.n] for name in names if name}
    return {name: _newest(found) for name, found in named.items()}


def unknown(run: RunView) -> list[Series]:
    """Series that the log has and we know no meaning of: shown, never judged."""
    return [series for series in run.series if series.meaning.metric is None and series.meaning.scalar is None and series.n]


def chosen(series: Iterable[Series], metrics: Sequence[str]) -> Series | None:
    """The series to show for one sign: see the module. metrics: the better first."""
    held = [one for one in series if one.meaning.metric in metrics and one.n]
    if not held:
        return None
    end = max(_end(one) for one in held)
    going_on = [one for one in held if _end(one) + PATIENCE * _interval(one) >= end]
    return min(going_on, key=lambda one: (metrics.index(one.meaning.metric or ""), _rank(one), -_end(one)))


def last(series: Series | None) -> float | None:
    """The newest value, None where there is no series."""
    return None if series is None else series.last


def of_batch(series: Series | None) -> bool:
    """Whether a sign is of one batch and not of a whole sample."""
    return series is not None and ".batch_" in (series.meaning.metric or "")


def onset(finding: Finding) -> float | None:
    """The step at which it began."""
    step = finding.evidence.get("onset_step")
    return float(step) if isinstance(step, int | float) else None


def _signs(run: RunView, place: Place, found: list[Series], sizes: Mapping[Place, int]) -> LevelSigns:
    signs: dict[str, Any] = {name: chosen(found, metrics) for name, metrics in SIGNS.items()}
    quantizer, level = place
    codes = sizes.get(place) or sizes.get((None, level)) or _size_by_use(found)
    title = LevelSigns(quantizer, level, None, *(None,) * 6, ()).title
    about = tuple(finding for finding in run.findings if finding.where and finding.where in (title, f"[{level}]"))
    return LevelSigns(quantizer, level, codes, findings=about, **signs)


def _sizes(run: RunView) -> dict[Place, int]:
    """K where the log says it: in counts of use, or in the configuration of our own trainer."""
    sizes: dict[Place, int] = {}
    table = run.config.get("quantizer")
    said = table.get("codes") if isinstance(table, Mapping) else None
    if isinstance(said, list) and all(type(k) is int for k in said):
        levels = table.get("levels") if isinstance(table, Mapping) else None
        count = levels if type(levels) is int and len(said) == 1 else len(said)
        sizes |= {(None, index): said[min(index, len(said) - 1)] for index in range(min(count, 64))}
    for event in run.usage:
        codes, level = event.detail.get("codes"), event.detail.get("level")
        if type(codes) is int:
            sizes[event.detail.get("quantizer"), level] = sizes[None, level] = codes
    return sizes


def _size_by_use(found: Sequence[Series]) -> int | None:
    """K from a count and a share of the same thing."""
    for count, share in (("ema.active", "ema.utilization"), ("usage.used", "usage.utilization")):
        one, other = last(chosen(found, (count,))), last(chosen(found, (share,)))
        if one and other:
            return round(one / other)
    return None


def _newest(found: Sequence[Series]) -> Series:
    return min(found, key=lambda one: (-_end(one), _rank(one)))


def _end(series: Series) -> float:
    return float("-inf") if series.last_step is None else series.last_step


def _rank(series: Series) -> int:
    scope = series.meaning.scope
    return SCOPES.index(scope) if scope in SCOPES else len(SCOPES)


def _interval(series: Series) -> float:
    """Steps between the points of a series, as a rule."""
    gaps = np.diff(series.steps[-64:])
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if gaps.size else 0.0


def _order(place: Place) -> tuple[str, int]:
    quantizer, level = place
    return quantizer or "", -1 if level is None else level

"""What matters of a run, level by level, for every face of a watch: real use beside what the running counts claim, and the rest.

A log may hold each sign several times: of a batch and of a whole sample, of training and of validation, as a share and as a count.
One series is chosen for each, here and nowhere else, so that no two views tell a run differently: what was measured over a whole
sample before what is of one batch, that before the running counts, as long as it is still being measured. Where the choice is not
quite what its column says (perplexity of a batch, of the EMA's counts), the reading names it. A log that states only entropies
tells perplexity all the same, as 2 to their power. Nothing is judged: states come from findings. How many codes a book has is asked
where the live rules ask it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vqdoctor.diagnosis.curves import MOST_BITS, book_size
from vqdoctor.errors import printable
from vqdoctor.model import Finding, Series
from vqdoctor.model.report import SEVERITIES

if TYPE_CHECKING:
    from vqdoctor.app.watching.view import RunView

ROLES: Mapping[str, tuple[str, ...]] = {
    "real": ("usage.utilization", "usage.used", "usage.batch_utilization", "usage.batch_used"),
    "ema": ("ema.utilization", "ema.active"),
    "batch": ("usage.batch_utilization", "usage.batch_used"),
    "perplexity": (
        "usage.perplexity",
        "usage.batch_perplexity",
        "usage.entropy_bits",
        "usage.entropy_normalized",
        "usage.batch_entropy_bits",
        "usage.batch_entropy_normalized",
        "ema.perplexity",
        "ema.entropy_bits",
        "ema.entropy_normalized",
    ),
    "ema perplexity": ("ema.perplexity", "ema.entropy_bits", "ema.entropy_normalized"),
    "batch perplexity": ("usage.batch_perplexity", "usage.batch_entropy_bits", "usage.batch_entropy_normalized"),
    "entropy": (
        "usage.entropy_normalized",
        "usage.entropy_bits",
        "usage.batch_entropy_normalized",
        "usage.batch_entropy_bits",
        "ema.entropy_normalized",
        "ema.entropy_bits",
    ),
    "ema entropy": ("ema.entropy_normalized", "ema.entropy_bits"),
    "batch entropy": ("usage.batch_entropy_normalized", "usage.batch_entropy_bits"),
    "dead": ("usage.dead", "usage.rare_or_dead"),
    "unseen": ("usage.unseen",),
    "ceiling": ("usage.ceiling",),
}
"""Our metrics for each sign, the better first."""
COUNTS = frozenset({"usage.used", "usage.batch_used", "ema.active"})
"""Numbers of codes; shares once K is known, and of no use to these signs before."""
OF_IDS = ("unique", "items", "rate", "excess", "max_group", "floor_excess")
SCOPES = (None, "train", "batch", "validation", "test", "checkpoint", "last", "best")
"""Of the same thing in several parts of a run, the one whose scope stands first here."""
POWER = "2^H"
"""What is said behind a perplexity that the log states as an entropy."""
PATIENCE = 3.0  # intervals of its own for which a series counts as going on
_LEVEL = re.compile(r"^(.*?)\[(\d{1,6})\]")
_PART = re.compile(r" \([^()]*\)$")

Place = tuple[str, int | None]
"""Quantiser, "" where the log names none, and level."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A series for a sign.

    Attributes:
        scale: what its values are multiplied by. of: "EMA", "batch", "rare or dead"; "" where it is plain.
        power: the sign is two to the power of that: perplexity, where the log states an entropy. Exact for the entropy of one count
            of codes; of a mean over batches it is at most the mean of their perplexities (Jensen).
    """

    series: Series
    scale: float = 1.0
    of: str = ""
    power: bool = False

    @property
    def last(self) -> float | None:
        """The newest value."""
        return None if self.series.last is None else float(self.shown(self.series.last))

    def shown(self, values: Any) -> Any:
        """Values of the series, a number or (n,) float64, as the sign shows them."""
        return np.exp2(values * self.scale) if self.power else values * self.scale


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One codebook of a run.

    Attributes:
        place: by which it is known in other runs. name: short, as the log spells it, not yet safe to print.
        readings: by sign; a sign that the log does not have is missing. codes: K, None where nothing tells it.
        findings: those about this level.
    """

    place: Place
    name: str
    readings: Mapping[str, Reading]
    codes: int | None
    findings: tuple[Finding, ...] = ()

    @property
    def title(self) -> str:
        """The name in a sentence: ``level 1``, ``vq[1]``, ``codebook``."""
        return f"level {self.name}" if self.name.isdecimal() else self.name

    def last(self, role: str) -> float | None:
        """The newest value of a sign, None where there is none."""
        reading = self.readings.get(role)
        return None if reading is None else reading.last

    def word(self, role: str) -> str:
        """What to say behind a figure that is not quite what its column says; once for a row whose figures all are of a batch."""
        reading, real = self.readings.get(role), self.readings.get("real")
        if reading is None:
            return ""
        said = role != "real" and reading.of == "batch" and real is not None and real.of == "batch"
        return f"{'' if said else reading.of} {POWER if reading.power else ''}".strip()


def levels(run: RunView) -> tuple[Level, ...]:
    """The codebooks of a run, in the order in which it logs them, levels ascending; () where the log has no figure of one."""
    groups: dict[Place, list[Series]] = defaultdict(list)
    for one in run.series:
        if (one.meaning.metric or "").startswith(("usage.", "ema.", "geometry.")) and one.n:
            groups[one.meaning.quantizer or "", one.meaning.level].append(one)
    _share_unlevelled(groups)
    names = list(dict.fromkeys(quantizer for quantizer, _ in groups))
    ordered = sorted(groups, key=lambda place: (names.index(place[0]), -1 if place[1] is None else place[1]))
    return tuple(_level(run, place, groups[place], groups) for place in ordered)


def _share_unlevelled(groups: dict[Place, list[Series]]) -> None:
    """Figures without a level belong to the level where there is only one: `commit=… util=…` beside a log of ours."""
    levelled = [place for place in groups if place[1] is not None]
    if len(levelled) == 1:
        for quantizer in {"", levelled[0][0]}:
            groups[levelled[0]] += groups.pop((quantizer, None), [])


def _level(run: RunView, place: Place, series: Sequence[Series], places: Iterable[Place]) -> Level:
    codes = _size(run, place, series)
    readings = {role: reading for role, metrics in ROLES.items() if (reading := _reading(series, metrics, codes)) is not None}
    findings = tuple(finding for finding in run.findings if is_about(finding, place, places))
    return Level(place, _name(place, places), readings, codes, findings)


def _name(place: Place, places: Iterable[Place]) -> str:
    """As short as it can be and still tell it from the others."""
    quantizer, level = place
    if level is None or len(list(places)) == 1:
        return quantizer or "codebook"
    return str(level) if len({name for name, _ in places}) == 1 else f"{quantizer or 'level'}[{level}]"


def _reading(series: Iterable[Series], metrics: Sequence[str], codes: int | None) -> Reading | None:
    perplexity = metrics[0].endswith("perplexity")
    found = chosen((one for one in series if _tells(one, perplexity, codes)), metrics)
    if found is None:
        return None
    metric = found.meaning.metric or ""
    of = "batch" if ".batch_" in metric else "rare or dead" if metric == "usage.rare_or_dead" else ""
    of = "EMA" if metric.startswith("ema.") and not metrics[0].startswith("ema.") else of
    return Reading(found, _scale(metric, perplexity, codes), of, power=perplexity and "entropy" in metric)


def _tells(one: Series, perplexity: bool, codes: int | None) -> bool:
    """Whether a series can tell a sign: some need K for it, and two to the power of what is no entropy in bits is no perplexity."""
    metric = one.meaning.metric or ""
    if "entropy" not in metric:
        return bool(codes) or metric not in COUNTS
    in_range = one.low is not None and one.high is not None and 0 <= one.low <= one.high <= MOST_BITS
    return ((codes or 0) > 1 or metric.endswith("bits") == perplexity) and (in_range or not perplexity)


def _scale(metric: str, perplexity: bool, codes: int | None) -> float:
    """What makes counts shares; and shares of the highest entropy bits for perplexity, else bits such shares."""
    if metric in COUNTS and codes:
        return 1 / codes
    if "entropy" in metric and codes and metric.endswith("bits") != perplexity:
        return math.log2(codes) if perplexity else 1 / math.log2(codes)
    return 1.0


def _size(run: RunView, place: Place, series: Iterable[Series]) -> int | None:
    """K, of two figures of the same part of the data where it is their ratio that tells it."""
    parts: dict[str | None, dict[str, Series]] = defaultdict(dict)
    for one in sorted(series, key=_rank):
        parts[one.meaning.scope].setdefault(one.meaning.metric or "", one)
    sizes = (book_size(metrics, run.events, run.usage, run.config, place[0] or None, place[1]) for metrics in parts.values())
    return next((size for size in sizes if size is not None), None)


def id_signs(run: RunView) -> dict[str, Series]:
    """Of each collision metric, by its short name, the one to show; {} where the log has none, or its codes are no IDs.

    The trainer counts collisions for one codebook as well, whose codes name no item: a run that says of itself that it has one
    level, and shows no second, has no IDs. A log that says neither and yet counts collisions is of IDs.
    """
    places = {(one.meaning.quantizer, one.meaning.level) for one in run.series if one.meaning.level is not None and one.n}
    table = run.config.get("quantizer")
    if len(places) < 2 and isinstance(table, Mapping) and table.get("levels") == 1:
        return {}
    return {name: found for name in OF_IDS if (found := of_run(run, f"collision.{name}")) is not None}


def scalar_signs(run: RunView) -> dict[str, Series]:
    """The terms of the loss and the learning rate, by our name."""
    names = dict.fromkeys(series.meaning.scalar for series in run.series if series.meaning.scalar)
    return {name: found for name in names if name and (found := of_run(run, name)) is not None}


def unknown(run: RunView) -> list[Series]:
    """Series that the log has and we know no meaning of: shown, never judged."""
    return [series for series in run.series if series.meaning.metric is None and series.meaning.scalar is None and series.n]


def of_run(run: RunView, name: str) -> Series | None:
    """The series of a metric or training term, whichever level it is of."""
    return chosen(run.series, (name,))


def chosen(series: Iterable[Series], names: Sequence[str]) -> Series | None:
    """The series to show for one sign: see the module. names: of metrics or training terms, the better first."""
    held = [one for one in series if _known(one) in names and one.n]
    end = max(map(_end, held), default=0.0)
    going_on = [one for one in held if _end(one) == end or _end(one) + PATIENCE * _interval(one) >= end]
    return min(going_on, key=lambda one: (names.index(_known(one)), _rank(one), -_end(one)), default=None)


def _known(series: Series) -> str:
    return series.meaning.metric or series.meaning.scalar or ""


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


def place_of(finding: Finding) -> Place | None:
    """The quantiser and level that a finding names, None where it names no level."""
    found = _LEVEL.match(finding.where)
    return (found[1], int(found[2])) if found else None


def is_about(finding: Finding, place: Place, places: Iterable[Place]) -> bool:
    """Whether a finding is of the level at `place`, one of `places`.

    It names that level; or it names no level and there is only one to be of; or it names a quantiser, and then is of the figures
    that this has without a level, else of each of its levels.
    """
    quantizer, level = place
    name = printable(quantizer or "codebook")
    where = place_of(finding)
    if where is not None:
        return where[1] == level and (not where[0] or not quantizer or where[0] == name)
    if len(every := list(places)) == 1:
        return True
    return _PART.sub("", finding.where) == name and (level is None or (quantizer, None) not in every)


def onset(finding: Finding) -> float | None:
    """The step at which it began, None where it does not say."""
    step = finding.evidence.get("onset_step")
    return float(step) if isinstance(step, int | float) and not isinstance(step, bool) and step == step else None


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """The one to show first."""
    return max(findings, key=lambda finding: SEVERITIES.index(finding.severity), default=None)

"""The vital signs in a run: which series is the real use of level 1, which the EMA's, how many codes, what was found.

Logs say the same thing under several metrics (use of a batch, use over all rows); the best that a run has is taken, and a figure
that is of something else than its column says (perplexity of the EMA's counts where no real one is logged) is named as such.
Nothing is judged here: states come from findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vqdoctor.app.watching.view import RunView
from vqdoctor.model import Finding, Series
from vqdoctor.model.report import SEVERITIES

ROLES: dict[str, tuple[str, ...]] = {  # best first
    "real": ("usage.utilization", "usage.batch_utilization", "usage.used", "usage.batch_used"),
    "ema": ("ema.utilization", "ema.active"),
    "batch": ("usage.batch_utilization", "usage.batch_used"),
    "batch perplexity": ("usage.batch_perplexity",),
    "batch entropy": ("usage.batch_entropy_normalized",),
    "perplexity": ("usage.perplexity", "usage.batch_perplexity", "ema.perplexity"),
    "ema perplexity": ("ema.perplexity",),
    "entropy": ("usage.entropy_normalized", "usage.batch_entropy_normalized", "ema.entropy_normalized"),
    "ema entropy": ("ema.entropy_normalized",),
    "dead": ("usage.dead", "usage.rare_or_dead"),
    "unseen": ("usage.unseen",),
    "ceiling": ("usage.ceiling",),
}
SHARES = {"usage.used", "usage.batch_used", "ema.active"}  # counts, shares once the number of codes is known
COUNTED = (("usage.used", "usage.utilization"), ("usage.batch_used", "usage.batch_utilization"), ("ema.active", "ema.utilization"))
SCOPES = (None, "train", "batch", "validation", "test", "last", "best")
COLLISIONS = ("rate", "excess", "unique", "items", "max_group", "floor_excess")
LOSSES = ("loss", "loss.reconstruction", "loss.commitment", "loss.codebook")
_LEVEL = re.compile(r"^(.*?)\[(\d{1,6})\]")
Place = tuple[str, int | None]  # quantiser, level


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A series in a role. scale: what its values are multiplied by. of: a word where it is not quite what its role says."""

    series: Series
    scale: float = 1.0
    of: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One codebook of a run. name: as the log spells it, not yet safe to print. codes: how many, None where nothing tells."""

    place: Place
    name: str
    readings: Mapping[str, Reading]
    codes: int | None
    findings: tuple[Finding, ...] = ()


def best(series: Iterable[Series]) -> Series | None:
    """Of the same thing in several parts of the data the first in the order of `SCOPES`."""
    ranked = sorted(series, key=lambda one: SCOPES.index(one.meaning.scope) if one.meaning.scope in SCOPES else len(SCOPES))
    return ranked[0] if ranked else None


def by_metric(run: RunView, metric: str) -> Series | None:
    """The series of a metric or training term of the whole run."""
    return best(one for one in run.series if metric in (one.meaning.metric, one.meaning.scalar) and one.n)


def levels(run: RunView) -> tuple[Level, ...]:
    """The codebooks of a run, in the order in which it logs them, levels ascending."""
    groups: dict[Place, list[Series]] = {}
    for one in run.series:
        metric = one.meaning.metric or ""
        if metric.startswith(("usage.", "ema.", "geometry.")) and one.n:
            groups.setdefault((one.meaning.quantizer or "", one.meaning.level), []).append(one)
    _share_unleveled(groups)
    names = list(dict.fromkeys(quantizer for quantizer, _ in groups))
    ordered = sorted(groups, key=lambda place: (names.index(place[0]), -1 if place[1] is None else place[1]))
    return tuple(_level(run, place, groups[place], several=len(ordered) > 1, alone=len(names) == 1) for place in ordered)


def _share_unleveled(groups: dict[Place, list[Series]]) -> None:
    """Figures without a level belong to the level where there is only one: `commit=… util=…` beside a log of ours."""
    leveled = [place for place in groups if place[1] is not None]
    if len(leveled) == 1 and ("", None) in groups:
        groups[leveled[0]] += groups.pop(("", None))


def _level(run: RunView, place: Place, series: Sequence[Series], several: bool, alone: bool) -> Level:
    codes = _codes(run, place, series)
    readings = {role: reading for role, metrics in ROLES.items() if (reading := _reading(series, metrics, role, codes))}
    quantizer, level = place
    name = quantizer or "codebook"
    if level is not None and several:
        name = str(level) if alone else f"{quantizer or 'level'}[{level}]"
    return Level(place, name, readings, codes, tuple(f for f in run.findings if at(f, place, several)))


def _reading(series: Sequence[Series], metrics: Sequence[str], role: str, codes: int | None) -> Reading | None:
    for metric in metrics:
        found = best(one for one in series if one.meaning.metric == metric)
        if found is not None and (metric not in SHARES or codes):
            of = "EMA" if role in ("perplexity", "entropy") and metric.startswith("ema.") else ""
            of = "rare or dead" if metric == "usage.rare_or_dead" else of
            return Reading(found, 1 / codes if metric in SHARES and codes else 1.0, of)
    return None


def _codes(run: RunView, place: Place, series: Sequence[Series]) -> int | None:
    """How many codes: said with the counts, or the ratio of a number of codes to the same as a share."""
    for event in reversed(run.usage):
        of = (event.detail.get("quantizer") or "", event.detail.get("level"))
        codes = event.detail.get("codes")
        if (of == place or of[1] == place[1]) and isinstance(codes, int) and codes > 0:
            return codes
    for used, share in COUNTED:
        one, other = (best(each for each in series if each.meaning.metric == metric) for metric in (used, share))
        if one is not None and other is not None and one.high and other.high and one.n == other.n:
            ratio = one.high / other.high
            if ratio >= 1 and abs(ratio - round(ratio)) < 1e-3 * ratio:
                return round(ratio)
    return None


def place_of(finding: Finding) -> Place | None:
    """The quantiser and level that a finding names, None where it is of the whole run."""
    found = _LEVEL.match(finding.where)
    return (found[1], int(found[2])) if found else None


def at(finding: Finding, place: Place, several: bool) -> bool:
    """Whether a finding is of a level: it names it, or there is only one to be of."""
    where = place_of(finding)
    if where is None:
        return not several or (bool(place[0]) and finding.where == place[0])
    return where[1] == place[1] and (not where[0] or not place[0] or where[0] == place[0])


def onset(finding: Finding) -> float | None:
    """The step at which it began, None where it does not say."""
    step = finding.evidence.get("onset_step")
    return float(step) if isinstance(step, int | float) and not isinstance(step, bool) and step == step else None


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """The one to show first."""
    return max(findings, key=lambda finding: SEVERITIES.index(finding.severity), default=None)

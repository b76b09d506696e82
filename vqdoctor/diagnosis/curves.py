"""The codebooks of a run as their use over steps: which of the many numbers of a log is looked at, in nats, on few enough points.

One curve a codebook: ln(perplexity), from the metric that tells it best. Perplexity before what can only be turned into one; the
number of used codes only where there is nothing else, since it saturates. Never from running counts: they lag behind real use by
hundreds of steps. A million points are pooled to about a thousand first, so that judging again after every poll stays cheap.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vqdoctor.diagnosis.case import finite
from vqdoctor.diagnosis.drift import pooled
from vqdoctor.errors import printable
from vqdoctor.model import Event, Series

MOST = 1000  # points of a curve
MOST_BITS = 64.0  # of entropy: no book has 2⁶⁴ codes, so that more is some other number
SIZED = frozenset({"usage", "book-size", "expanded", "kmeans-reinit", "kmeans-begin", "skipped"})
"""Kinds of events whose "codes" is K."""
POWER = 0.005
"""How near to a whole number log₂ K must come to be one: figures of a log have three or four digits."""
BREAKS = frozenset({"kmeans-reinit", "expanded"})
SUMMARIES = frozenset({"best", "last"})
"""Scopes that sum up a run; they are no curve of it."""

SOURCES = (
    ("usage.perplexity", "usage.batch_perplexity"),
    ("usage.entropy_bits", "usage.batch_entropy_bits"),
    ("usage.entropy_normalized", "usage.batch_entropy_normalized"),
    ("usage.used", "usage.batch_used"),
    ("usage.utilization", "usage.batch_utilization"),
)
"""Metrics that tell use, the best first; of a pair, the one with more points."""

SIZES = frozenset({"codes", "codebook_size", "codebook_sizes", "num_embeddings", "n_embeddings", "n_embed", "num_codes", "n_codes",
                   "n_e", "nb_code", "num_emb_list"})  # fmt: skip
"""Keys of configurations that hold K, or one K a level."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Use over steps.

    Attributes:
        metric: what it was made from. steps, values: (m,) float64, m ≤ about 1000; values are ln(perplexity) in nats, or ln of what
            stands for it, but for a constant.
        starts: (s,) int64, ascending, without 0: where something is known to begin anew. group: points of the log in one of these.
        absolute: False where K is needed for a perplexity and unknown, so that only falls can be told.
    """

    metric: str
    steps: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    group: int
    absolute: bool


@dataclass(frozen=True, slots=True, eq=False)
class LiveLevel:
    """One codebook of a run, in one part of the data.

    Attributes:
        quantizer, index, scope: as the log tells them. series: by our name of the metric. events: that speak of it.
        codes: K, None where the log does not tell it. rows: what a measurement saw at least, None unknown.
        curve: its use; None where the log tells none.
    """

    quantizer: str | None
    index: int | None
    scope: str | None
    series: Mapping[str, Series]
    events: tuple[Event, ...]
    codes: int | None
    rows: float | None
    curve: Curve | None

    @property
    def where(self) -> str:
        """ "vq[0]", "codebook (validation)"."""
        level = "" if self.index is None else f"[{self.index}]"
        part = "" if self.scope in (None, "train") else f" ({self.scope})"
        return f"{printable(self.quantizer or 'codebook')}{level}{part}"

    def latest(self, metric: str, until: float = math.inf) -> float | None:
        """The last value up to a step, None where there is none."""
        series = self.series.get(metric)
        if series is None or not len(series.values):
            return None
        known = np.flatnonzero(series.steps <= until)
        return float(series.values[known[-1]]) if len(known) else None


def levels_of(
    series: Iterable[Series], events: Sequence[Event], usage: Sequence[Event], config: Mapping[str, Any]
) -> tuple[LiveLevel, ...]:
    """The codebooks of a run, in the order in which the log first names them."""
    found: dict[tuple[str | None, int | None, str | None], dict[str, Series]] = defaultdict(dict)
    for one in series:
        meaning = one.meaning
        if meaning.metric and meaning.metric.startswith(("usage.", "ema.")) and meaning.scope not in SUMMARIES and len(one.values):
            found[(meaning.quantizer, meaning.level, meaning.scope)].setdefault(meaning.metric, one)
    return tuple(_level(*key, metrics, events, usage, config) for key, metrics in found.items())


def of_level(events: Iterable[Event], quantizer: str | None, index: int | None) -> tuple[Event, ...]:
    """The events that speak of this codebook, or of all."""
    return tuple(event for event in events if _speaks_of(event.detail, quantizer, index))


def _speaks_of(detail: Mapping[str, Any], quantizer: str | None, index: int | None) -> bool:
    named, level = detail.get("quantizer"), detail.get("level")
    return (named is None or quantizer is None or named == quantizer) and (level is None or index is None or level == index)


def _level(
    quantizer: str | None,
    index: int | None,
    scope: str | None,
    metrics: Mapping[str, Series],
    events: Sequence[Event],
    usage: Sequence[Event],
    config: Mapping[str, Any],
) -> LiveLevel:
    own = of_level(events, quantizer, index)
    codes = book_size(metrics, own, usage, config, quantizer, index)
    source = _source(metrics, codes)
    rows = None if source is None else _rows(metrics, source, config)
    curve = None if source is None else _curve(metrics[source], source, own, codes)
    return LiveLevel(quantizer, index, scope, metrics, own, codes, rows, curve)


def _source(metrics: Mapping[str, Series], codes: int | None) -> str | None:
    for pair in SOURCES:
        held = [name for name in pair if name in metrics and (codes or not name.endswith("normalized"))]
        if held:
            return max(held, key=lambda name: metrics[name].n)
    return None


def _rows(metrics: Mapping[str, Series], source: str, config: Mapping[str, Any]) -> float | None:
    """Rows behind a measurement: as logged, or a batch as configured, which may hold more than that."""
    if ".batch_" not in source and "usage.n" in metrics:
        return float(metrics["usage.n"].values[-1])
    return next((size for size in settings(config, {"batch_size"}) if isinstance(size, int) and size > 0), None)


def _curve(series: Series, metric: str, events: Sequence[Event], codes: int | None) -> Curve | None:
    nats = _in_nats(metric, series.values, codes)
    kept = np.isfinite(nats)
    if not kept.any():
        return None
    begins = np.zeros(len(nats) + 1, bool)
    begins[_begins(series, events)] = True
    if not kept.all():
        begins = np.append(_carried(begins[:-1], kept), False)
    steps, nats = series.steps[kept], nats[kept]
    starts = np.flatnonzero(begins[: len(nats)])
    starts = starts[starts > 0]
    group = 1
    while len(nats) / group > MOST:
        group *= 2
    values, firsts, starts = pooled(nats, starts, group)
    return Curve(metric, steps[firsts], values, starts, group, codes is not None)


def _in_nats(metric: str, values: np.ndarray, codes: int | None) -> np.ndarray:
    """ln(perplexity), or ln of the number of used codes; NaN where a value is none, as that of more codes than there can be."""
    if "entropy" in metric:
        scale = math.log(codes) if metric.endswith("normalized") and codes else math.log(2)
        nats = np.where((values >= 0) & (values <= MOST_BITS), values * scale, np.nan)
    else:
        factor = codes if metric.endswith("utilization") and codes else 1
        logs = np.full(len(values), np.nan)
        np.log(values, out=logs, where=values > 0)
        nats = logs + math.log(factor)
    return np.where(nats <= MOST_BITS * math.log(2), nats, np.nan)


def _begins(series: Series, events: Sequence[Event]) -> np.ndarray:
    """Points at which a step fell, or that are the first after a re-initialisation or a change of size, in any segment."""
    breaks = np.array([event.step for event in events if event.kind in BREAKS and event.step is not None], float)
    edges = [*series.starts.tolist(), len(series.steps)]
    found = [np.asarray(series.starts, dtype=np.int64)]
    for low, high in pairwise(edges):
        found.append(low + np.searchsorted(series.steps[low:high], breaks, side="right"))
    return np.unique(np.concatenate(found)).astype(np.int64)


def _carried(begins: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Starts among the points that were kept: one on a point that was dropped moves to the next."""
    new = np.cumsum(kept) - kept
    found = np.zeros(int(kept.sum()) + 1, bool)
    found[new[begins]] = True
    return found[:-1]


def book_size(
    metrics: Mapping[str, Series],
    events: Iterable[Event],
    usage: Iterable[Event],
    config: Mapping[str, Any],
    quantizer: str | None,
    index: int | None,
) -> int | None:
    """K of a codebook: as the newest event has it, or the configuration, or as the ratio of two figures; None where nothing tells.

    Args:
        metrics: what the log has of this codebook in one part of the data, by our name. events, usage, config: of the run.
    """
    about = of_level((*events, *usage), quantizer, index)
    told = [event for event in about if event.kind in SIZED and "codes" in event.detail]
    newest = max(told, key=lambda event: event.step or 0.0).detail["codes"] if told else None
    sizes = (newest, *_configured(config, index), _ratio(metrics))
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 1 <= size < 1 << 40), None)


def _configured(config: Mapping[str, Any], index: int | None) -> Iterator[Any]:
    for size in settings(config, SIZES):
        if isinstance(size, list | tuple):
            if size:
                yield size[index] if index is not None and index < len(size) else size[-1]
        else:
            yield size


def settings(config: Any, names: Iterable[str], depth: int = 0) -> Iterator[Any]:
    """The values of these keys, wherever they stand in a nested configuration."""
    if not isinstance(config, Mapping) or depth > 6:
        return
    wanted = frozenset(names)
    for name, value in config.items():
        if name in wanted:
            yield value
        elif isinstance(value, Mapping):
            yield from settings(value, wanted, depth + 1)


def _ratio(metrics: Mapping[str, Series]) -> int | None:
    """A number of codes over the same as a share, of the same step; else an entropy over the same as a share of log₂ K."""
    for count, share in (
        ("usage.used", "usage.utilization"),
        ("usage.batch_used", "usage.batch_utilization"),
        ("ema.active", "ema.utilization"),
    ):
        size = _quotient(metrics, count, share)
        if size is not None and size >= 1 and abs(size - round(size)) < 0.01 * max(1.0, size / 100):
            return round(size)
    told = (_by_entropy(metrics, name) for name in ("ema.entropy", "usage.entropy", "usage.batch_entropy"))
    return next(filter(None, told), None)


def _quotient(metrics: Mapping[str, Series], above: str, below: str) -> float | None:
    """One figure over another of the same step, None where either is missing or 0."""
    if above not in metrics or below not in metrics or metrics[above].last_step != metrics[below].last_step:
        return None
    one, other = finite(metrics[above].last), finite(metrics[below].last)
    return one / other if one and other else None


def _by_entropy(metrics: Mapping[str, Series], name: str) -> int | None:
    """K where two entropies of a log tell it: rounded figures tell a power of two, and others only as exactly as they are given."""
    bits = _quotient(metrics, f"{name}_bits", f"{name}_normalized")
    if bits is None or not 1 <= bits <= MOST_BITS / 2:
        return None
    size = 2**bits
    if abs(size - round(size)) < 1e-6 * size:
        return round(size)
    return 1 << round(bits) if abs(bits - round(bits)) < POWER else None

"""What the log of a run states of semantic IDs: items, distinct IDs, excess and rate, with what follows from them.

Beside the rules because a log says it in pieces (the number of items once, the excess of the last and of the best model under
headings of their own), and a rule should see one set of numbers for each quantiser.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from vqdoctor.diagnosis.case import finite
from vqdoctor.diagnosis.live import LiveRun
from vqdoctor.errors import printable
from vqdoctor.metrics.collisions import following
from vqdoctor.model import Series

SCOPES = ("last", "validation", "test", None, "train", "checkpoint")
"""Of which part of a run collisions count, first where a log states several. Those of one batch are no catalogue's."""
COUNTED = ("collision.rate", "collision.excess", "collision.unique")
"""Metrics that tell how many items collide; the number of items alone does not."""


@dataclass(frozen=True, slots=True, eq=False)
class StatedIds:
    """The IDs of one quantiser.

    Attributes:
        where: the quantiser. stated: the newest value by metric, and what follows from these. points: of the longest series.
        goes_on: more is to come: False for a run that is over or silent, for the summary at its end, and for a log without steps.
    """

    where: str
    stated: Mapping[str, float]
    points: int
    goes_on: bool
    series: Mapping[str, Series]

    @property
    def last_step(self) -> float | None:
        """Of any of its series."""
        return max((one.last_step for one in self.series.values() if one.last_step is not None), default=None)

    def since(self, limit: float) -> float | None:
        """The first step from which on the rate was over `limit`; None where the log has no steps."""
        items = self.stated.get("collision.items") or 1.0
        metric = next(metric for metric in COUNTED if metric in self.series)
        one = self.series[metric]
        rates = {"collision.rate": one.values, "collision.excess": one.values / items, "collision.unique": 1 - one.values / items}
        low = np.flatnonzero(rates[metric] <= limit)
        at = int(low[-1]) + 1 if len(low) else 0
        return float(one.steps[at]) if at < len(one.steps) else one.last_step


def ids_of(run: LiveRun) -> Iterator[StatedIds]:
    """The IDs of each quantiser of which the log counts collisions; none where the run says of itself that it has one level, whose
    codes name no item."""
    table = run.config.get("quantizer")
    if isinstance(table, Mapping) and table.get("levels") == 1:
        return
    over = run.state not in ("waiting", "live", "lagging") or not run.last_step
    for quantizer, scopes in _by_part(run).items():
        scope = next((scope for scope in SCOPES if scopes.get(scope, {}).keys() & set(COUNTED)), "")
        if scope in scopes:
            series = {**scopes.get(None, {}), **scopes[scope]}
            known = {metric: last for metric, one in series.items() if (last := finite(one.last)) is not None}
            points = max(one.n for one in series.values())
            goes_on = not over and scope != "last"
            yield StatedIds(printable(quantizer or "codebook"), known | following(known), points, goes_on, series)


def _by_part(run: LiveRun) -> Mapping[str | None, Mapping[str | None, dict[str, Series]]]:
    parts: dict[str | None, dict[str | None, dict[str, Series]]] = defaultdict(lambda: defaultdict(dict))
    for one in run.series:
        metric = one.meaning.metric or ""
        if metric.startswith("collision.") and one.n and len(one.values):
            parts[one.meaning.quantizer][one.meaning.scope].setdefault(metric, one)
    return parts

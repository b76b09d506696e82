"""The page of every metric by its name: one literal tuple a family, put together here."""

from __future__ import annotations

from vqdoctor.metrics.page import MetricPage
from vqdoctor.metrics.pages.ema import EMA
from vqdoctor.metrics.pages.fit import FIT
from vqdoctor.metrics.pages.geometry import GEOMETRY
from vqdoctor.metrics.pages.ids import IDS
from vqdoctor.metrics.pages.usage import USAGE

METRICS: tuple[MetricPage, ...] = USAGE + EMA + GEOMETRY + FIT + IDS
"""All pages, in the order of the contract."""

_BY_NAME = {page.name: page for page in METRICS}


def metrics() -> tuple[str, ...]:
    """The names of all metrics."""
    return tuple(_BY_NAME)


def metric(name: str) -> MetricPage:
    """The page of a metric.

    Raises:
        KeyError: no metric has this name.
    """
    return _BY_NAME[name]

"""``[{"name", "unit", "value"}]``, what github-action-benchmark and its kin take: every measured number of every codebook.

A metric without a value is left out, since a gap in a chart is honest and a 0 is not. Names are stable from run to run: the source,
the place, the metric.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vqdoctor.diagnosis.case import finite
from vqdoctor.metrics.registry import METRICS
from vqdoctor.model.gate import GateResult
from vqdoctor.model.report import MetricValue, Report
from vqdoctor.render.screen import Screen
from vqdoctor.render.to_json import plain

UNITS = {page.name: page.unit or "1" for page in METRICS}


def render(reports: Sequence[Report], screen: Screen, gate: GateResult | None = None) -> str:
    """A JSON array, a line a number; a gate adds nothing to what was measured."""
    rows = (json.dumps(row, allow_nan=False) for report in reports for row in _rows(report, screen))
    return "[" + ",\n ".join(rows) + "]\n"


def _rows(report: Report, screen: Screen) -> Iterator[dict[str, Any]]:
    path = screen.path(report.source.path)
    for quantizer in report.quantizers:
        for level in quantizer.levels:
            yield from _measured(f"{path} {quantizer.name}[{level.index}]", level.metrics)
        yield from _measured(f"{path} {quantizer.name}", quantizer.metrics)


def _measured(where: str, metrics: Mapping[str, MetricValue]) -> Iterator[dict[str, Any]]:
    """A row a number; of a list, one a level."""
    for name, value in metrics.items():
        many = isinstance(value, list)
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            number = finite(plain(each))
            if number is not None:
                place = f"[{index}]" if many else ""
                yield {"name": f"{where} {name}{place}", "unit": UNITS.get(name, "1"), "value": number}

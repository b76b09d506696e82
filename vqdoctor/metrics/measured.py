"""What every measure returns: numbers under contract names, and what they rest on."""

from __future__ import annotations

from typing import Any, NamedTuple

from vqdoctor.model.report import MetricValue


class Measured(NamedTuple):
    """Numbers and their evidence.

    Attributes:
        metrics: contract name → number, list of numbers, or None where the quantity is undefined; never NaN or infinite.
        facts: row numbers, per-code arrays, thresholds tried, reasons: what rules and views need beyond the numbers.
    """

    metrics: dict[str, MetricValue]
    facts: dict[str, Any]

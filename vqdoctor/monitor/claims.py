"""What a live quantiser's own running counts claim: ema.*, read at a report and measured as in a checkpoint."""

from __future__ import annotations

from vqdoctor.layouts import ema_counts
from vqdoctor.metrics.ema import counts_from, measure_ema
from vqdoctor.model.report import MetricValue
from vqdoctor.monitor.sites import Site

NAMES = (
    "ema.total", "ema.threshold", "ema.active", "ema.utilization", "ema.entropy_bits", "ema.entropy_normalized", "ema.perplexity",
)  # fmt: skip


def claims(site: Site) -> list[dict[str, MetricValue]]:
    """ema.* of each level, None where it keeps no counts or they say nothing; waits for the device."""
    site = site.again()
    if site.quantizer is None or not site.quantizer.levels:
        return [dict.fromkeys(NAMES) for _ in site.sizes]
    found = []
    for level in site.quantizer.levels:
        measured: dict[str, MetricValue] = {}
        stored = ema_counts(site.source, level)
        if stored is not None and site.quantizer.ema is not None:
            try:
                measured = measure_ema(counts_from(stored, site.quantizer.ema, level.codes), ema=site.quantizer.ema).metrics
            except ValueError:  # a counter of another shape than the book says nothing about it
                measured = {}
        found.append({name: measured.get(name) for name in NAMES})
    return found + [dict.fromkeys(NAMES) for _ in site.sizes[len(found) :]]

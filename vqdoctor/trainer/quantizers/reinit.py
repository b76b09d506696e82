"""k-means on codebooks: the start, level by level on residuals, and re-estimation from a reservoir, of all codes or of those that
starve.

With no more rows than codes k-means would reproduce every row, leave residuals of zero and kill all deeper levels; so it is
skipped, with the reason. Sources: TencentARC/VQFR quantizer_arch.py (full re-estimation); Zeghidour et al. 2021 (k-means start).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqdoctor.kmeans import Assign, fit
from vqdoctor.trainer.distributed import from_first, rank
from vqdoctor.trainer.quantizers.on_device import search_on
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.quantizers.vq import VectorQuantizer
from vqdoctor.trainer.settings import ReinitSettings


def due(settings: ReinitSettings, step: int) -> bool:
    """Whether a re-estimation comes after `step` steps: at the warm-up's end, every interval, and at the stop step inclusive."""
    if settings.reinit_interval is None or step < max(1, settings.warmup_steps, settings.reinit_start):
        return False
    if settings.reinit_stop is not None and step >= settings.reinit_stop:
        return step == settings.reinit_stop
    return step % settings.reinit_interval == 0 or step == settings.warmup_steps


def start(quantizer: ResidualQuantizer, rows: Tensor, settings: ReinitSettings, rng: np.random.Generator) -> list[dict[str, Any]]:
    """k-means start of every book from rows (N, D), each level on what the levels before it leave over; a shared book is started
    once.

    Returns:
        a report a level, see `reestimate`.
    """
    reports = []
    done: set[VectorQuantizer] = set()
    for level, residuals in quantizer.residuals(rows):
        if level not in done:
            reports.append(_fill(level, residuals, None, settings, rng))
            done.add(level)
    return reports


def reestimate(
    quantizer: ResidualQuantizer, rows: Tensor, settings: ReinitSettings, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Re-estimate every book on rows (N, D): all codes, or with `reinit_threshold` those that get less than this share of the
    uniform rate.

    Returns:
        a report a level: {"samples", "codes", "changed", "before", "after"} with min, max, mean, std of the book, or with "reason"
        instead where it was skipped.
    """
    reports = []
    done: set[VectorQuantizer] = set()
    for level, residuals in quantizer.residuals(rows) if len(rows) else ((level, rows) for level in quantizer.books()):
        if level not in done:
            reports.append(_fill(level, residuals, settings.reinit_threshold, settings, rng))
            done.add(level)
    return reports


@torch.no_grad()
def _fill(
    level: VectorQuantizer, rows: Tensor, threshold: float | None, settings: ReinitSettings, rng: np.random.Generator
) -> dict[str, Any]:
    size = len(level.codebook)
    report: dict[str, Any] = {"samples": len(rows), "codes": size}
    if len(rows) <= size:
        return report | {"changed": 0, "reason": f"too few samples ({len(rows)} < {size + 1})"}
    scaled = level.scaled(rows.float())
    chosen = _starved(level, rows, threshold)
    if not len(chosen):
        return report | {"changed": 0, "reason": "no code is under the threshold"}
    before = _spread(level.codebook)
    centres = torch.zeros(len(chosen), rows.shape[1], device=rows.device)
    if rank() == 0:
        live = np.delete(level.book().cpu().numpy(), chosen.cpu().numpy(), axis=0)
        points, steps, search = scaled.cpu().numpy(), settings.kmeans_iters, search_on(scaled.device)
        found = (
            _beside(points, live, len(chosen), steps, rng, search)
            if len(live)
            else fit(points, size, rng=rng, assign=search, iterations=steps).centres
        )
        centres.copy_(torch.as_tensor(found))
    _write(level, scaled, chosen, from_first(centres), settings)
    return report | {"changed": len(chosen), "before": before, "after": _spread(level.codebook)}


def _starved(level: VectorQuantizer, rows: Tensor, threshold: float | None) -> Tensor:
    """Codes that are to be replaced: all, or those with fewer than threshold·N/K of the rows."""
    size = len(level.codebook)
    if threshold is None:
        return torch.arange(size, device=rows.device)
    hits = torch.bincount(level.distances(rows).argmin(1), minlength=size)
    return (hits < threshold * len(rows) / size).nonzero().flatten()


def _write(level: VectorQuantizer, rows: Tensor, codes: Tensor, centres: Tensor, settings: ReinitSettings) -> None:
    if settings.centroid_sum == "consistent":
        level.write(codes, centres)
        return
    # encodec's slip: the sum is the centroid itself beside a count of n, so the next update divides the code by n (theory §2.5)
    bins = torch.bincount(torch.cdist(rows, centres).argmin(1), minlength=len(centres)).float()
    level.write(codes, centres, mass=bins, sums=centres)


def _spread(book: Tensor) -> dict[str, float]:
    values = book.float()
    return {"min": float(values.min()), "max": float(values.max()), "mean": float(values.mean()), "std": float(values.std())}


def _beside(rows: np.ndarray, live: np.ndarray, size: int, iterations: int, rng: np.random.Generator, search: Assign) -> np.ndarray:
    """`size` centres (size, D) for what the live codes (k, D) serve badly: Lloyd's iterations in which those don't move.

    They start at rows drawn ∝ squared distance to the live codes, capped at its 99th percentile so that outliers don't take them
    all; a centre that no row chooses starts again at the row that is served worst (theory §7.1).
    """
    squared = search(rows, live)[1].astype(np.float64)
    badness = np.minimum(squared, np.quantile(squared, 0.99)) + 1e-12
    centres = rows[rng.choice(len(rows), size, replace=False, p=badness / badness.sum())]
    for _ in range(iterations):
        labels, squared = search(rows, np.concatenate([live, centres]))
        hits = np.bincount(labels, minlength=len(live) + size)[len(live) :]
        sums = np.zeros((size, rows.shape[1]))
        np.add.at(sums, labels[labels >= len(live)] - len(live), rows[labels >= len(live)])
        moved = np.where(hits[:, None] > 0, sums / np.maximum(hits, 1)[:, None], centres)
        moved[hits == 0] = rows[np.argsort(-squared, kind="stable")[: int((hits == 0).sum())]]
        if np.allclose(moved, centres, rtol=0, atol=1e-7):
            break
        centres = moved.astype(np.float32)
    return centres

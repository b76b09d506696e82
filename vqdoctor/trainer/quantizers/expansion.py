"""Doubling a codebook: each code gets a twin a little aside, and the optimiser's memory grows with it.

Off by default, and refused while few of the codes are used: a larger book cures no collapse (the third finding of the
improved-VQ-VAE seed).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqdoctor.metrics.usage import counts_of, measure_usage
from vqdoctor.trainer.distributed import from_first
from vqdoctor.trainer.quantizers.vq import VectorQuantizer
from vqdoctor.trainer.settings import ExpansionSettings

NOISE = 0.01  # of a twin, in standard deviations of the book


@torch.no_grad()
def double(level: VectorQuantizer, rows: Tensor, settings: ExpansionSettings, rng: np.random.Generator) -> dict[str, Any]:
    """Double the book of `level` unless real use on `rows` (N, D) forbids it.

    Returns:
        {"codes_before", "codes", "utilization"}, with "reason" where it was refused and nothing changed.
    """
    before = len(level.codebook)
    counts, _ = counts_of(level.distances(rows).argmin(1).cpu().numpy(), before)
    use = measure_usage(counts).metrics["usage.utilization"]
    report: dict[str, Any] = {"codes_before": before, "codes": before, "utilization": use}
    if 2 * before > settings.expansion_limit:
        return report | {"reason": f"{2 * before} codes would pass the limit of {settings.expansion_limit}"}
    if isinstance(use, float) and use < settings.expansion_minimum and not settings.expansion_force:
        return report | {"reason": f"only {use:.1%} of the codes are used, under {settings.expansion_minimum:.0%}"}
    noise = NOISE * level.codebook.float().std() * torch.as_tensor(rng.normal(size=tuple(level.codebook.shape)), device=rows.device)
    resize(level, from_first(torch.cat([level.codebook.float(), level.codebook.float() + noise.float()])))
    return report | {"codes": 2 * before}


@torch.no_grad()
def resize(level: VectorQuantizer, book: Tensor) -> None:
    """Give `level` a book (K', D) that begins with its own codes; each twin takes half of its code's count."""
    grown = len(book) // len(level.codebook)
    share = level.ema_count / grown
    counts = share.repeat(grown)
    if level.learns:
        level.codebook.data = book
    else:
        level.codebook = book.to(level.codebook.dtype)
        level.ema_sum = (book * counts.float()[:, None]).to(level.ema_sum.dtype)
    level.ema_count = counts
    level.after_resize()

"""Dead codes back to life: codes that starve are moved onto rows of the current batch.

Sources: Dhariwal et al. 2020 (Jukebox, random restarts); Défossez et al. 2022 (encodec, threshold 2 hits a step, absolute);
Défossez et al. 2024 (moshi, 0.1 × the mean count). A consistent revival writes codes, counts and sums together; encodec's writes
the codes alone, and the same step undoes it (theory §2.6).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vqdoctor.trainer.distributed import from_first
from vqdoctor.trainer.quantizers.vq import VectorQuantizer
from vqdoctor.trainer.settings import RevivalSettings


def starving(level: VectorQuantizer, settings: RevivalSettings) -> Tensor:
    """Codes whose running count is under the threshold, ascending; none without a threshold."""
    if settings.reset_threshold is None:
        return torch.zeros(0, dtype=torch.int64)
    counts = level.ema_count.float()
    unit = counts.mean() if settings.reset_unit == "uniform" else 1.0
    return (counts < settings.reset_threshold * unit).nonzero().flatten()


def lowest(level: VectorQuantizer, share: float) -> Tensor:
    """The least used `share` of the codes by running count, (⌊share·K⌋,)."""
    return level.ema_count.float().argsort(stable=True)[: int(share * len(level.ema_count))]


@torch.no_grad()
def revive(level: VectorQuantizer, codes: Tensor, rows: Tensor, rng: np.random.Generator, *, undone: bool = False) -> int:
    """Move `codes` onto rows drawn from `rows` (N, D), different ones while they last; every rank takes the first rank's.

    Args:
        undone: write what encodec's code leaves behind, which is nothing: it replaces the codes before the same step recomputes
            them from sums that still describe the old ones.

    Returns:
        how many codes were written.
    """
    if not len(codes) or not len(rows):
        return 0
    picked = torch.as_tensor(rng.choice(len(rows), len(codes), replace=len(codes) > len(rows)), device=rows.device)
    values = from_first(level.scaled(rows[picked].float()).contiguous())
    if not undone:
        level.write(codes, values)
    return len(codes)

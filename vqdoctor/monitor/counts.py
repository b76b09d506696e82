"""Hits of codes, counted where the codes are: nothing here waits for the device but `take`.

A step costs a dozen small operations for all levels together. Indices are added up with `index_add_`, which torch also offers in
deterministic mode; `bincount` would ask the device for the largest index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vqdoctor.metrics.entropy import normalized
from vqdoctor.metrics.usage import measure_usage
from vqdoctor.model.report import MetricValue
from vqdoctor.monitor.ranks import summed

POOLED = (
    "usage.n", "usage.used", "usage.utilization", "usage.ceiling", "usage.adjusted", "usage.reachable",
    "usage.entropy_bits", "usage.entropy_normalized", "usage.perplexity", "usage.max_share",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """One level between two reports.

    Attributes:
        hits: (K,) int64, of all ranks.
        batches: forwards counted; used, bits, perplexity: sums over them, each batch for itself.
    """

    hits: np.ndarray
    batches: int
    used: float
    bits: float
    perplexity: float

    def metrics(self) -> dict[str, MetricValue]:
        """usage.batch_* as means over the window's batches, and usage.* pooled over it; None where nothing was counted."""
        size = len(self.hits)
        used, bits, effective = (
            total / self.batches if self.batches else None for total in (self.used, self.bits, self.perplexity)
        )
        pooled = measure_usage(self.hits).metrics
        return {
            "usage.batch_used": used,
            "usage.batch_utilization": None if used is None else used / size,
            "usage.batch_entropy_bits": bits,
            "usage.batch_entropy_normalized": normalized(bits, size),
            "usage.batch_perplexity": effective,
            **{name: pooled[name] for name in POOLED},
        }


class Counts:
    """Hits of each code at each level since the last `take`, on one device.

    Args:
        sizes: K of each level.
    """

    def __init__(self, sizes: Sequence[int], device: torch.device) -> None:
        self.sizes = tuple(sizes)
        self.device = device
        self._columns = max(sizes) + 1  # the last one takes what has no code
        self._hits = torch.zeros(len(sizes) * self._columns, dtype=torch.int64, device=device)
        self._sums = torch.zeros((4, len(sizes)), device=device)
        self._limits = torch.tensor(self.sizes, device=device)[:, None]
        self._starts = torch.arange(len(sizes), device=device)[:, None] * self._columns
        self._one = torch.ones((), dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, codes: Tensor) -> None:
        """One batch: (L', n) indices, L' ≤ L; −1 and what lies outside a book count nowhere."""
        codes = codes.to(torch.int64)
        outside = (codes < 0) | (codes >= self._limits[: len(codes)])
        places = codes.masked_fill(outside, self._columns - 1) + self._starts[: len(codes)]
        fresh = torch.zeros_like(self._hits).index_add_(0, places.reshape(-1), self._one.expand(places.numel()))
        self._hits += fresh
        hits = fresh.view(len(self.sizes), -1)[:, :-1].float()
        n = hits.sum(1)
        counted = (n > 0).float()
        n = n.clamp_min(1)
        bits = ((n.log() - torch.xlogy(hits, hits).sum(1) / n) / math.log(2)).clamp_min(0)
        self._sums += torch.stack([counted, (hits > 0).sum(1).float(), bits * counted, bits.exp2() * counted])

    def take(self, together: bool = True) -> list[Window]:
        """What was counted since the last time, level by level, and start over; waits for the device.

        Args:
            together: add up over ranks, each of which must then call this.
        """
        hits, sums = (summed(counted) if together else counted for counted in (self._hits, self._sums))
        table = hits.view(len(self.sizes), -1).cpu().numpy().copy()
        batches, used, bits, perplexities = sums.cpu().double().numpy().copy()
        self._hits.zero_()
        self._sums.zero_()
        return [
            Window(table[i, :size], int(batches[i]), float(used[i]), float(bits[i]), float(perplexities[i]))
            for i, size in enumerate(self.sizes)
        ]

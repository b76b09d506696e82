"""Levels of codebooks, each quantising what the ones before it left over; one level is a plain vector quantiser.

Source: Zeghidour et al. 2021 (SoundStream, arXiv 2107.03312); Lee et al. 2022 (RQ-VAE, arXiv 2203.01941).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vqdoctor.trainer.quantizers.vq import Quantized, VectorQuantizer, rotated
from vqdoctor.trainer.settings import QuantizerSettings


class ResidualQuantizer(nn.Module):
    """L levels; `layers` repeats one module where the book is shared, so that every level's keys are in the state dict."""

    def __init__(self, sizes: tuple[int, ...], dim: int, settings: QuantizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.seen: list[tuple[VectorQuantizer, Tensor]] = []  # each book with the rows that the last training step gave it
        epsilons = settings.sinkhorn_epsilons or (0.0,) * len(sizes)
        levels = [VectorQuantizer(k, dim, settings, sinkhorn_epsilon=e) for k, e in zip(sizes, epsilons, strict=True)]
        self.layers = nn.ModuleList([levels[0]] * len(levels) if settings.shared else levels)

    @property
    def levels(self) -> list[VectorQuantizer]:
        """The codebook of each level (one repeated where shared)."""
        return [layer for layer in self.layers if isinstance(layer, VectorQuantizer)]

    def books(self) -> list[VectorQuantizer]:
        """The distinct codebooks in level order."""
        return list(dict.fromkeys(self.levels))

    def forward(self, rows: Tensor) -> Quantized:
        """Quantise rows (N, D): values with the straight-through gradient, codes (N, L), losses summed over levels.

        In training the statistics move once, after all levels have looked up: a shared book is the same book at every level.
        """
        residual, values = rows, torch.zeros_like(rows)
        codes, losses, seen = [], dict[str, Tensor](), list[tuple[VectorQuantizer, Tensor, Tensor]]()
        for level in self.levels:
            one = level(residual)
            seen.append((level, residual.detach(), one.codes))
            residual, values = residual - one.values.detach(), values + one.values
            codes.append(one.codes)
            losses = {name: losses.get(name, 0) + loss for name, loss in one.losses.items()}
        if self.training:
            self._update(seen)
        return Quantized(self._pass_gradient(rows, values), torch.stack(codes, 1), losses)

    def residuals(self, rows: Tensor) -> Iterator[tuple[VectorQuantizer, Tensor]]:
        """Each level with the rows it is given, (N, D); later levels see what the caller has done to earlier books meanwhile."""
        for level in self.levels:
            yield level, rows
            rows = rows - level.book()[level.distances(rows).argmin(1)]

    def _pass_gradient(self, rows: Tensor, values: Tensor) -> Tensor:
        if not self.settings.straight_through:
            return values
        if self.settings.rotation:
            return rotated(rows, values)
        return rows + (values - rows).detach()

    def _update(self, seen: list[tuple[VectorQuantizer, Tensor, Tensor]]) -> None:
        self.seen = []
        for book in self.books():
            own = [(rows, codes) for level, rows, codes in seen if level is book]
            rows = torch.cat([rows for rows, _ in own])
            book.update(rows, torch.cat([codes for _, codes in own]))
            self.seen.append((book, rows))

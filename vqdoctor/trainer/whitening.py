"""Inputs in which every direction counts alike: fixed layers around a network, fitted once on the training rows.

A few strong directions (the brightness of a patch, the commonest topic) otherwise fill the latents, and rows that differ in the
weak ones alone share their codes. The layers are part of the model, so that its checkpoint encodes new rows as it did the old ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR = 1e-3  # added to each variance, as a share of the mean one: directions that hold only rounding are not blown up


class Whitening(nn.Module):
    """Rows (N, D) along their principal axes at unit variance, then each at length √D; as they are until `fit`."""

    mean: Tensor
    axes: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.eye(width))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take mean and axes from rows (N, D)."""
        exact = rows.double()
        variances, axes = torch.linalg.eigh(torch.cov(exact.T, correction=0))
        variances = variances.clamp_min(0)
        variances = (variances + FLOOR * variances.mean()).clamp_min(torch.finfo(torch.float32).tiny)
        self.mean.copy_(exact.mean(0))
        self.axes.copy_(axes / variances.sqrt())

    def forward(self, rows: Tensor) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):  # weak directions are differences of large numbers
            return F.normalize((rows.float() - self.mean) @ self.axes, dim=1) * len(self.mean) ** 0.5


class Restoring(nn.Module):
    """A decoder's outputs (N, D), of about unit size, at the place and size of the training rows."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take mean and size from rows (N, D)."""
        exact = rows.double()
        self.mean.copy_(exact.mean(0))
        self.scale.copy_((exact - exact.mean(0)).square().mean().sqrt())

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.float() * self.scale + self.mean

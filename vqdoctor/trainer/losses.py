"""What is minimised: reconstruction, commitment, codebook, entropy and uniformity terms, each with its weight.

The names are those of the log. Which term β weighs differs between codes: see `LossSettings.beta_on_codebook`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vqdoctor.trainer.settings import Config, LossSettings

MOST_PAIRED = 2048  # rows of a step whose pairs are looked at: the table grows with the square


def commitment_now(settings: LossSettings, epoch: float) -> float:
    """β at a (fractional) epoch: from 0 to its weight over the warm-up."""
    grown = epoch / settings.commitment_warmup_epochs if settings.commitment_warmup_epochs > 0 else 1.0
    return settings.commitment_weight * min(1.0, grown)


def reconstruction(config: Config, outputs: Tensor, inputs: Tensor) -> Tensor:
    """Mean squared or absolute error over all values, whatever the scale it is trained at: runs can be compared by it."""
    measure = F.l1_loss if config.model.loss_type == "l1" else F.mse_loss
    return measure(outputs, inputs)


def uniformity(latents: Tensor, sharpness: float) -> Tensor:
    """log mean exp(−sharpness·d²/mean d²) over pairs of different rows (N, D): large where rows crowd, whatever the latents' size.

    It spreads latents until near neighbours fall into different cells. Source: Wang, Isola 2020 (arXiv 2005.10242), there on the
    unit sphere; 0 for fewer than two rows.
    """
    rows = latents[:MOST_PAIRED]
    pairs = len(rows) * (len(rows) - 1)
    if not pairs:
        return latents.new_zeros(())
    energy = rows.square().sum(1)
    squared = (energy[:, None] + energy - 2 * rows @ rows.T).clamp_min(0)
    squared = squared.masked_fill(torch.eye(len(rows), dtype=torch.bool, device=rows.device), 0.0)
    closeness = (-sharpness * squared / (squared.sum() / pairs).clamp_min(1e-12)).exp()
    return ((closeness.sum() - len(rows)) / pairs).clamp_min(1e-12).log()


def total(config: Config, terms: dict[str, Tensor], *, beta: float, values: int, width: int, usual: float = 1.0) -> Tensor:
    """The weighted sum of `terms` ("reconstruction" and what the quantiser gave).

    Args:
        beta: the commitment weight now. values: of an input, width: of a latent; what a summed scale multiplies by.
        usual: error of always answering the mean row; what a relative scale divides by.
    """
    weights = config.loss
    on_commitment, on_codebook = (1.0, beta) if weights.beta_on_codebook else (beta, 1.0)
    scale = {"mean": 1.0, "sum": values, "relative": 1 / usual}[weights.reconstruction_scale]
    loss = weights.reconstruction_weight * scale * terms["reconstruction"]
    if "uniformity" in terms:
        loss = loss + weights.uniformity_weight * terms["uniformity"]
    if "commitment" in terms:
        scale = width if weights.quantization_scale == "sum" else 1
        quantised = on_commitment * terms["commitment"] + weights.codebook_weight * on_codebook * terms["codebook"]
        loss = loss + weights.quantization_weight * (quantised * scale + weights.entropy_weight * terms["entropy"])
    return loss

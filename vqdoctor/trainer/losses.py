"""What is minimised: reconstruction, commitment, codebook and entropy terms, each with its weight.

The names are those of the log. Which term β weighs differs between codes: see `LossSettings.beta_on_codebook`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from vqdoctor.trainer.settings import Config, LossSettings


def commitment_now(settings: LossSettings, epoch: float) -> float:
    """β at a (fractional) epoch: from 0 to its weight over the warm-up."""
    grown = epoch / settings.commitment_warmup_epochs if settings.commitment_warmup_epochs > 0 else 1.0
    return settings.commitment_weight * min(1.0, grown)


def reconstruction(config: Config, outputs: Tensor, inputs: Tensor) -> Tensor:
    """Mean squared or absolute error over all values, whatever the scale it is trained at: runs can be compared by it."""
    measure = F.l1_loss if config.model.loss_type == "l1" else F.mse_loss
    return measure(outputs, inputs)


def total(config: Config, terms: dict[str, Tensor], *, beta: float, values: int, width: int) -> Tensor:
    """The weighted sum of `terms` ("reconstruction" and what the quantiser gave).

    Args:
        beta: the commitment weight now. values: of an input, width: of a latent; what a summed scale multiplies by.
    """
    weights = config.loss
    on_commitment, on_codebook = (1.0, beta) if weights.beta_on_codebook else (beta, 1.0)
    scale = values if weights.reconstruction_scale == "sum" else 1
    loss = weights.reconstruction_weight * scale * terms["reconstruction"]
    if "commitment" in terms:
        scale = width if weights.quantization_scale == "sum" else 1
        quantised = on_commitment * terms["commitment"] + weights.codebook_weight * on_codebook * terms["codebook"]
        loss = loss + weights.quantization_weight * (quantised * scale + weights.entropy_weight * terms["entropy"])
    return loss

"""Optimisers by name, and the learning rate over a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from vqdoctor.errors import UsageError
from vqdoctor.trainer.settings import OptimizerSettings

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
}


def make_optimizer(settings: OptimizerSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that `settings` names.

    Raises:
        UsageError: there is none of that name.
    """
    kind = OPTIMIZERS.get(settings.optimizer.lower())
    if kind is None:
        raise UsageError(f"there is no optimizer {settings.optimizer!r}", hint=f"There are {', '.join(OPTIMIZERS)}.")
    moving = [one for one in parameters if one.requires_grad] or [nn.Parameter(torch.zeros(1))]  # k-means alone trains nothing
    return kind(moving, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def rate(settings: OptimizerSettings, epoch: float, epochs: int) -> float:
    """Learning rate at a fractional epoch: up from 0 over the warm-up, then constant or linearly down to final_rate."""
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * epoch / settings.warmup_epochs
    if settings.schedule == "constant":
        return settings.learning_rate
    left = 1 - (epoch - settings.warmup_epochs) / max(epochs - settings.warmup_epochs, 1e-9)
    return settings.final_rate + (settings.learning_rate - settings.final_rate) * max(0.0, left)


def forget_rows(optimizer: torch.optim.Optimizer, parameter: Tensor, rows: Tensor) -> None:
    """Drop what the optimiser remembers of `rows` of a codebook that was written: momentum to 0, variance to the median of the
    others.

    Zero variance beside a large step count would make Adam's next update (1−β1)/√(1−β2) ≈ 3.16 times the learning rate (theory
    §7.2).
    """
    for name, value in optimizer.state.get(parameter, {}).items():
        if not isinstance(value, Tensor) or value.shape != parameter.shape:
            continue
        squared = name in {"exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum"}
        kept = torch.ones(len(value), dtype=torch.bool)
        kept[rows] = False
        live = value[kept.to(value.device)]
        live = live[live.abs().sum(1) > 0]
        value[rows] = live.median() if squared and len(live) else 0.0


def grow_rows(optimizer: torch.optim.Optimizer, parameter: Tensor) -> None:
    """Give a codebook that became longer moments of its new length: each new row starts with those of the row it was split from."""
    for name, value in optimizer.state.get(parameter, {}).items():
        if isinstance(value, Tensor) and value.dim() == parameter.dim() and len(value) < len(parameter):
            optimizer.state[parameter][name] = value.repeat(len(parameter) // len(value), 1)

"""Auto-encoders small enough to read: an MLP for embeddings, a convolution for images, and RQ-Kmeans+'s residual encoder.

Each is an encoder to latents (M, D), the quantiser, and a decoder; M is N rows, or N·h·w positions of an image. Linear layers
start at N(0, 0.02) as the RQ-VAE seed says. Sources: LC-Rec index/models/layers.py (MLP with dropout and batch norm); MiniOneRec
rq/rqkmeans_plus.py (Z = X + MLP(X), last Linear zeroed).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vqdoctor.checkpoint import open_source
from vqdoctor.errors import CorruptInput, MissingInput, UsageError, printable
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.quantizers.vq import VectorQuantizer
from vqdoctor.trainer.settings import Config, ModelSettings
from vqdoctor.trainer.whitening import Restoring, Whitening


class Autoencoder(nn.Module):
    """encoder, quantizer, decoder. `shape` is that of one input: (width,) or (channels, height, width)."""

    def __init__(self, encoder: nn.Module, quantizer: ResidualQuantizer, decoder: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder
        self.shape = shape

    def encode(self, inputs: Tensor) -> Tensor:
        """Inputs (N, *shape) to latents (M, D)."""
        latents = self.encoder(inputs)
        return latents if latents.dim() == 2 else latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])

    def decode(self, values: Tensor) -> Tensor:
        """Quantised latents (M, D) to outputs (N, *shape)."""
        if len(self.shape) == 3:
            high, wide = self.shape[1] // 4, self.shape[2] // 4
            values = values.reshape(-1, high, wide, values.shape[1]).permute(0, 3, 1, 2)
        return self.decoder(values)

    def fit_inputs(self, rows: Tensor) -> None:
        """Fit what the model takes from its training rows (N, *shape) before the first step: the whitening, where it has one."""
        for module in self.modules():
            if isinstance(module, (Whitening, Restoring)):
                module.fit(rows)


class ResidualEncoder(nn.Module):
    """Z = X + MLP(X): the identity at step 0, so that codebooks fitted on X fit Z."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.mlp = mlp
        last = next((module for module in reversed(list(mlp.modules())) if isinstance(module, nn.Linear)), None)
        if last is None:
            raise UsageError("the residual encoder has no Linear layer to zero", hint="Give hidden_dim at least one width.")
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.mlp(inputs)


def build(config: Config, shape: tuple[int, ...]) -> Autoencoder:
    """The model that `config` describes for inputs of `shape`.

    Raises:
        UsageError: the network does not suit the data's shape, or code_dim not the residual encoder.
    """
    width = int(np.prod(shape))
    settings = config.model if config.model.code_dim else replace(config.model, code_dim=width)
    if (settings.network == "conv") != (len(shape) == 3):
        kind = "images" if len(shape) == 3 else f"rows of width {width}"
        raise UsageError(f"network {settings.network!r} cannot take {kind}", hint="Use network conv for images, mlp for rows.")
    if settings.network in {"residual", "none"} and settings.code_dim != width:
        raise UsageError(
            f"code_dim is {settings.code_dim} and the rows have {width} columns; network {settings.network!r} needs them equal",
            hint=f"Use --set code_dim={width}.",
        )
    if settings.whiten and settings.network != "mlp":
        raise UsageError(f"whiten goes with network mlp, not {settings.network!r}", hint="Use --set whiten=false.")
    quantizer = ResidualQuantizer(config.sizes, settings.code_dim, config.quantizer)
    encoder, decoder = _ends(settings, shape, width)
    return Autoencoder(encoder, quantizer, decoder, shape)


def _ends(settings: ModelSettings, shape: tuple[int, ...], width: int) -> tuple[nn.Module, nn.Module]:
    if settings.network == "none":
        return nn.Identity(), nn.Identity()
    if settings.network == "conv":
        return _started(conv_encoder(shape[0], settings), settings), _started(conv_decoder(shape[0], settings), settings)
    down = [width, *settings.hidden_dim, settings.code_dim]
    encoder = _started(mlp(down, settings), settings)
    decoder = _started(mlp(down[::-1], settings), settings)
    if settings.whiten:
        return nn.Sequential(Whitening(width), encoder), nn.Sequential(decoder, Restoring(width))
    return (ResidualEncoder(encoder) if settings.network == "residual" else encoder), decoder


def mlp(widths: Sequence[int], settings: ModelSettings) -> nn.Sequential:
    """Dropout, Linear, batch norm, ReLU for each pair of widths; the last has neither norm nor ReLU."""
    layers: list[nn.Module] = []
    for i, (into, out) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Dropout(settings.dropout)] if settings.dropout else []
        layers.append(nn.Linear(into, out))
        if i < len(widths) - 2:
            layers += [nn.BatchNorm1d(out)] if settings.batch_norm else []
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def conv_encoder(channels: int, settings: ModelSettings) -> nn.Sequential:
    """Images (N, C, H, W) to latents (N, D, H/4, W/4)."""
    hidden = settings.hidden_dim[0]
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, settings.code_dim, 1),
    )


def conv_decoder(channels: int, settings: ModelSettings) -> nn.Sequential:
    """Latents (N, D, H/4, W/4) to images (N, C, H, W)."""
    hidden = settings.hidden_dim[0]
    return nn.Sequential(
        nn.Conv2d(settings.code_dim, hidden, 1), nn.ReLU(), nn.ConvTranspose2d(hidden, hidden, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(hidden, channels, 4, 2, 1),
    )  # fmt: skip


def _started(module: nn.Module, settings: ModelSettings) -> nn.Module:
    """Linear weights from N(0, 0.02), biases 0; "torch" keeps the framework's own start."""
    if settings.weight_start == "normal":
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                nn.init.zeros_(layer.bias)
    return module


def load_books(path: str, quantizer: ResidualQuantizer) -> None:
    """Write the codebooks of an ``.npz`` (keys ``level_0`` … or ``codebook_0`` …) into the quantiser's levels.

    Raises:
        InputError: no such file, it cannot be read, or lacks a level. UsageError: a book has the wrong shape.
    """
    if not Path(path).is_file():
        raise MissingInput("there is no such file", where=path, hint="Run the recipe rq-kmeans first; it writes codebooks.npz.")
    with open_source(path) as stored:
        for i, level in enumerate(quantizer.levels):
            name = next((key for key in (f"level_{i}", f"codebook_{i}", str(i)) if key in stored.specs), None)
            if name is None:
                keys = ", ".join(printable(key, 40) for key in sorted(stored.specs)[:16])
                raise CorruptInput(
                    f"it has no codebook for level {i} (its keys: {keys or 'none'})", where=path,
                    hint=f"It needs level_0 to level_{len(quantizer.levels) - 1}, or set levels to what it holds.",
                )  # fmt: skip
            _refuse_other_shape(path, name, stored.specs[name].shape, level)
            level.write(torch.arange(stored.specs[name].shape[0]), torch.as_tensor(stored.read(name), dtype=torch.float32))


def _refuse_other_shape(path: str, name: str, shape: tuple[int, ...], level: VectorQuantizer) -> None:
    if shape != tuple(level.codebook.shape):
        raise UsageError(
            f"{name} has shape {shape} and the quantiser's book is {tuple(level.codebook.shape)}", where=path,
            hint="The width must be code_dim and the length the number of codes.",
        )  # fmt: skip

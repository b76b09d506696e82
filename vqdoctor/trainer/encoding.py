"""Raw inputs through the encoder of a checkpoint that the trainer wrote: for `encode --data` and `inspect --data`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vqdoctor.errors import SampleError
from vqdoctor.samples import ArrayRows, StoredArray
from vqdoctor.trainer import checkpoints, data, models, vitals
from vqdoctor.trainer.config import apply
from vqdoctor.trainer.quantizers import expansion
from vqdoctor.trainer.settings import Config


def latents(checkpoint: str, inputs: str) -> ArrayRows:
    """The encoder's outputs (M, D) float32 for all rows of `inputs`: a file of embeddings, or the name of a built-in set.

    Raises:
        InputError: one of the two cannot be read, or the checkpoint is not the trainer's.
        SampleError: the inputs are not what this encoder takes, or hold rows with NaN or Inf.
    """
    content = checkpoints.load(Path(checkpoint))
    config, _ = apply(Config(), content["config"])
    dataset = data.load(config.but(data=inputs, rows=None).data)
    if dataset.dropped:
        listed = ", ".join(map(str, dataset.dropped_rows[:5]))
        raise SampleError(
            f"{dataset.dropped} rows hold NaN or Inf (rows {listed}, …).", where=inputs, hint="Mend or remove them first."
        )
    model = models.build(config, dataset.shape)
    state = content["model"]
    for i, level in enumerate(model.quantizer.levels):
        book = state[f"quantizer.layers.{i}.codebook"]
        if len(book) != len(level.codebook):  # it was expanded
            expansion.resize(level, book)
    _check_width(model, state, dataset, inputs)
    model.load_state_dict(state)
    model.eval()
    rows = np.ascontiguousarray(vitals.encode_all(model, torch.as_tensor(dataset.rows))[0].cpu().numpy(), dtype=np.float32)
    return ArrayRows(StoredArray(inputs, "", rows.shape, "float32", lambda start, stop: rows[start:stop]))


def _check_width(model: models.Autoencoder, state: Mapping[str, Tensor], dataset: data.Dataset, inputs: str) -> None:
    """Raises where the stored encoder takes rows of another width; latents given by mistake are told from inputs."""
    fresh = model.state_dict()
    odd = next((name for name, value in state.items() if name in fresh and fresh[name].shape != value.shape), None)
    if odd is None:
        return
    width, taken = dataset.shape[-1], state[odd].shape[-1]
    latent = state["quantizer.layers.0.codebook"].shape[1]
    hint = (
        "These look like latents: give them as --features."
        if width == latent
        else "Give the data that it was trained on, or alike."
    )
    raise SampleError(f"its rows have {width} columns, the encoder takes {taken}.", where=inputs, hint=hint)

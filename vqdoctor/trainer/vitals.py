"""The numbers of a run: the seeds' six every few steps, everything at an evaluation. All are measured by the room `metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.metrics.collisions import measure_collisions
from vqdoctor.metrics.ema import measure_ema
from vqdoctor.metrics.levels import measure_levels
from vqdoctor.metrics.usage import counts_of, measure_usage
from vqdoctor.model import EmaFacts
from vqdoctor.trainer.models import Autoencoder
from vqdoctor.trainer.quantizers.vq import EPSILON, VectorQuantizer
from vqdoctor.trainer.settings import Config

BATCH = 1024  # rows in a batch for usage.batch_*, as `inspect` has it


def ema_facts(config: Config) -> EmaFacts:
    """What the running counts of a book mean, in the words of the room `model`."""
    revival, learns = config.revival, config.quantizer.update == "gradient"
    return EmaFacts(
        relation="none" if learns else "laplace", counts="ema", decay=config.quantizer.decay, eps=EPSILON, start_mass=1.0,
        threshold=revival.reset_threshold, threshold_unit=revival.reset_unit, basis="stated",
        revival="none" if revival.reset_threshold is None else "undone" if revival.revival == "undone" else "resets",
    )  # fmt: skip


def of_step(level: VectorQuantizer, codes: Tensor, config: Config) -> dict[str, Any]:
    """Vital signs of one level at one step: use and entropy of the batch's codes (n,), and what the running counts claim."""
    counts, _ = counts_of(codes.cpu().numpy(), len(level.codebook))
    batch = BatchMeans(len(counts), max(1, len(codes)))
    batch.add(counts)
    return batch.metrics() | of_counts(level, config)


def of_counts(level: VectorQuantizer, config: Config) -> dict[str, Any]:
    """ema.*: what the running counts of one level claim."""
    claims = measure_ema(level.ema_count.float().cpu().numpy(), ema=ema_facts(config)).metrics
    return {name: value for name, value in claims.items() if name != "ema.inconsistent_rows"}


def of_codes(codes: np.ndarray, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """usage.* of each level from the codes (n, L) of a sample."""
    found = []
    for column, size in zip(codes.T, sizes, strict=True):
        batches = BatchMeans(size, BATCH)
        batches.feed(column)
        found.append(measure_usage(counts_of(column, size)[0], batches=batches).metrics)
    return found


@torch.no_grad()
def encode_all(model: Autoencoder, rows: Tensor, batch: int = 4096) -> tuple[Tensor, Tensor]:
    """Latents (M, D) float32 and nearest codes (M, L) of all rows, in order, with dropout and drawing off."""
    was, latents, codes = model.training, [], []
    model.eval()
    for part in rows.split(batch):
        latents.append(model.encode(part))
        codes.append(model.quantizer(latents[-1]).codes)
    model.train(was)
    return torch.cat(latents), torch.cat(codes)


def of_identifiers(codes: np.ndarray, sizes: tuple[int, ...], distinct_rows: int) -> dict[str, Any]:
    """collision.* and levels.* of the codes (N, L) of all rows as semantic IDs. distinct_rows: different rows among them."""
    identifiers, items = np.unique(codes, axis=0, return_counts=True)
    found = measure_collisions(items, sizes=sizes, distinct_inputs=distinct_rows).metrics
    return found | measure_levels(identifiers, items, sizes=sizes).metrics


def worst(levels: list[dict[str, Any]]) -> dict[str, Any]:
    """Each metric at the level with the lowest real use: one level speaks for a residual quantiser, and it is the sickest."""
    return dict(min(levels, key=lambda values: (values["usage.utilization"] or 0.0, values["usage.entropy_normalized"] or 0.0)))

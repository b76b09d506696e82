"""Checkpoints of a run: what resuming needs and what `inspect` reads, and which of them to keep.

A file is {"model", "optimizer", "config", "step", "epoch", "vqdoctor", "resume"}, tensors and plain values only, so that
``torch.load(weights_only=True)`` opens it. Beside it lie the latents of every row, as `<stem>.features.npy` with a small JSON
that binds them to the checkpoint by its hash.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

from vqdoctor.errors import CorruptInput, MissingInput
from vqdoctor.safe_write import write_atomically, writing
from vqdoctor.samples.sidecar import checkpoint_facts, write_sidecar
from vqdoctor.trainer.settings import Config

VERSION = 1


def about(config: Config, recipe: str) -> dict[str, Any]:
    """What the running statistics mean, so that nobody has to guess it from their values."""
    quantizer, revival = config.quantizer, config.revival
    return {
        "recipe": recipe,
        "version": VERSION,
        "quantizer": {
            "metric": quantizer.metric, "update": quantizer.update, "decay": quantizer.decay, "start_mass": 1.0,
            "threshold": revival.reset_threshold, "threshold_unit": revival.reset_unit, "init": quantizer.codebook_init,
            "revival": "none" if revival.reset_threshold is None else revival.revival,
            "centroid_sum": config.reinit.centroid_sum, "kmeans": config.reinit.kmeans_epoch is not None,
        },
    }  # fmt: skip


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves the old file or the new one, never half of one."""
    with writing(path) as file:
        torch.save(dict(content), file)


def load(path: Path) -> dict[str, Any]:
    """A checkpoint that `save` wrote, on the CPU.

    Raises:
        MissingInput: no such file. CorruptInput: it is not one of ours.
    """
    if not path.is_file():
        raise MissingInput("there is no such checkpoint", where=str(path), hint="Resuming needs a folder with last.pt in it.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever it meets
        raise CorruptInput("it cannot be read as a checkpoint of the trainer", where=str(path)) from error
    if not isinstance(content, dict) or not {"model", "optimizer", "config", "resume"} <= content.keys():
        raise CorruptInput(
            "it is not a checkpoint of the trainer", where=str(path), hint="Give the folder that `train --out` wrote."
        )
    return content


def save_features(checkpoint: Path, latents: np.ndarray, *, data: str, dropped: tuple[int, ...]) -> Path:
    """Write latents (M, D) as float16 beside `checkpoint`, with the JSON that names its hash and the dropped rows' numbers."""
    facts = {**checkpoint_facts(checkpoint), "data": data, "dropped": list(dropped), "population": True}
    return write_sidecar(checkpoint.with_suffix(""), latents.astype(np.float16), facts)


def publish(source: Path, target: Path) -> None:
    """Copy a checkpoint and its features to `target`, the note naming the new file."""
    for suffix in ("", ".features.npy"):
        old, new = (path.with_suffix(suffix or path.suffix) for path in (source, target))
        with old.open("rb") as content, writing(new) as file:
            shutil.copyfileobj(content, file)
    note = orjson.loads(source.with_suffix(".features.json").read_bytes()) | {"checkpoint": target.name}
    write_atomically(target.with_suffix(".features.json"), orjson.dumps(note, option=orjson.OPT_INDENT_2))


def companions(checkpoint: Path) -> tuple[Path, ...]:
    """The checkpoint and the files that belong to it."""
    return checkpoint, checkpoint.with_suffix(".features.npy"), checkpoint.with_suffix(".features.json")


def pruned(folder: Path, scores: dict[str, tuple[int, float]], keep: int) -> dict[str, tuple[int, float]]:
    """`scores` without the checkpoints that are neither among the `keep` most recent nor the `keep` best; their files are removed.

    Args:
        scores: file name → (epoch, score), smaller is better.
    """
    recent = sorted(scores, key=lambda name: scores[name][0], reverse=True)[:keep]
    best = sorted(scores, key=lambda name: scores[name][1])[:keep]
    stay = {*recent, *best}
    for name in scores.keys() - stay:
        for file in companions(folder / name):
            file.unlink(missing_ok=True)
    return {name: score for name, score in scores.items() if name in stay}

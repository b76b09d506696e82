"""Checkpoint names that carry metrics: `epoch_12_collision_0.0412_model.pth`, `epoch=3-val_loss=0.12.ckpt`. The names of a folder
are a log of their own, often the only one left."""

from __future__ import annotations

import re

import numpy as np

from vqdoctor.logs.numbers import PLAIN
from vqdoctor.logs.rows import COARSE, FINE
from vqdoctor.model import Points, SeriesKey

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
_PAIR = re.compile(rf"([A-Za-z][A-Za-z/_.]*?)[=_-]?(\d+\.\d+|(?<=[=_-])\d+|{PLAIN}(?![\w.]))(?=[-_.]|$)")


def read_file_name(name: str, *, time: float = float("nan")) -> list[Points]:
    """The metrics that a checkpoint's name carries, one point each at its step (or epoch); [] where it carries none.

    Args:
        name: without its folder. time: of the file, seconds since the epoch.

    Example:
        >>> [points] = read_file_name("epoch_12_collision_0.0412_model.pth")
        >>> points.key.name, points.steps.tolist(), points.values.tolist()
        ('collision', [12.0], [0.0412])
    """
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if suffix is None or len(name) > 255:
        return []
    pairs = {found[1].strip("_-./"): float(found[2]) for found in _PAIR.finditer(name.removesuffix(suffix))}
    step = next((pairs[key] for names in (FINE, COARSE) for key in pairs if key.lower() in names), None)
    metrics = {key: value for key, value in pairs.items() if key.lower() not in FINE + COARSE}
    if step is None:
        return []
    return [Points(SeriesKey(key), np.array([step]), np.array([value]), np.array([time])) for key, value in metrics.items() if key]

"""Nearest centres where the rows are: k-means of rows on an accelerator searches there; the rest, little work, stays in numpy.

The border is `kmeans.fit`'s search, which its caller gives it: the one thing of it that grows with rows × centres.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from vqdoctor.kmeans import Assign
from vqdoctor.nearest import assign

SCORES = 1 << 24  # rows × centres worked on at a time, 64 MiB


def search_on(device: torch.device) -> Assign:
    """The search for k-means of rows that lie on `device`: exact on the host, elsewhere :func:`assign_on`."""
    return assign if device.type == "cpu" else partial(assign_on, device=device)


@torch.no_grad()
def assign_on(rows: np.ndarray, centres: np.ndarray, *, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `centres` (k, D) for each of `rows` (n, D) float32, by products on `device`.

    Returns:
        indices (n,) int32 and squared distances (n,) float32. Of centres that are equally near to what the device's products round
        away (float32; less where torch was told to allow TF32) either may be chosen; the distance is that to the chosen one.
    """
    places = torch.from_numpy(np.ascontiguousarray(centres, np.float32)).to(device)
    halves = places.square().sum(1) / 2
    labels, squared = [], []
    for part in torch.from_numpy(np.ascontiguousarray(rows, np.float32)).split(max(1, SCORES // len(places))):
        here: Tensor = part.to(device)
        chosen = torch.addmm(-halves, here, places.T).argmax(1)
        labels.append(chosen.int().cpu().numpy())
        squared.append((here - places[chosen]).square().sum(1).cpu().numpy())
    return np.concatenate(labels), np.concatenate(squared)

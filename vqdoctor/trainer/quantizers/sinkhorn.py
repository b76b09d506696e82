"""Balanced assignment: each code gets its share of a batch, so none can starve while it trains.

Source: LC-Rec index/models/layers.py `sinkhorn_algorithm` and vq.py `center_distance_for_constraint`. The codes then depend on
the batch and not on the row alone (theory §5), which is why evaluation always takes the nearest.
"""

from __future__ import annotations

import torch
from torch import Tensor


def balanced(distances: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Codes (N,) int64 from squared distances (N, K).

    Distances are centred and scaled to [−1, 1] first, so that `epsilon` (0.003 in LC-Rec) means the same at any scale. The plan
    is normalised in logarithms: exp(−1/0.003) is zero in any float.
    """
    middle = (distances.max() + distances.min()) / 2
    reach = (distances.max() - middle).clamp_min(1e-5)
    plan = -((distances - middle) / reach).double() / epsilon
    for _ in range(iterations):
        plan = plan - plan.logsumexp(0, keepdim=True)
        plan = plan - plan.logsumexp(1, keepdim=True)
    return plan.argmax(1).to(torch.int64)

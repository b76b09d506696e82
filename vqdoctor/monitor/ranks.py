"""Ranks that train one model, as far as watching them needs: who is who, sums, and whether their books are the same bits.

Without a process group every function is the identity of one process. Source: torch.distributed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """This process's place, from 0."""
    return dist.get_rank() if _together() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _together() else 1


def summed(tensor: Tensor) -> Tensor:
    """The sum over ranks, in place."""
    if world() > 1:
        dist.all_reduce(tensor)
    return tensor


def digest(tensor: Tensor) -> str:
    """Sixteen hex digits of the tensor's bytes: two ranks with equal digests hold equal books."""
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()[:16]


def digests(tensor: Tensor) -> list[str]:
    """The digest of each rank's copy, in rank order."""
    own = digest(tensor)
    if world() == 1:
        return [own]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, own)
    return found


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()

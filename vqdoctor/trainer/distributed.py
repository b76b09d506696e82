"""Ranks that train one model: every one ends each step with the same bits.

Sums over ranks give the same result on each, and what draws random numbers is done by the first and sent to the others. Without a
process group every function here is the identity, so the loop has one path. Source: torch.distributed; gloo on CPU, nccl on GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from vqdoctor.monitor.ranks import digest, digests, rank, summed, world

__all__ = ["average_gradients", "decided", "digest", "digests", "from_first", "gathered", "rank", "ranks", "summed", "world"]


@contextmanager
def ranks(device: str) -> Iterator[None]:
    """Join the process group that `torchrun` announces in the environment, and leave it at the end; nothing without one."""
    if dist.is_initialized() or not dist.is_torchelastic_launched():
        yield
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    if device.startswith("cuda"):
        torch.cuda.set_device(dist.get_rank() % torch.cuda.device_count())
    try:
        yield
        dist.barrier()  # a rank that leaves early tears down what the others still use
    finally:
        dist.destroy_process_group()


def from_first(tensor: Tensor) -> Tensor:
    """The first rank's values, in place."""
    if world() > 1:
        dist.broadcast(tensor, 0)
    return tensor


def decided(value: Any) -> Any:
    """The first rank's value of anything that pickles between our own processes."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, 0)
    return box[0]


def gathered(rows: Tensor) -> Tensor:
    """Rows (n, D) of all ranks in rank order, (Σn, D); ranks may hold different n."""
    if world() == 1:
        return rows
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    largest = int(max(int(size) for size in sizes))
    padded = rows.new_zeros((largest, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(world())]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(size)] for part, size in zip(parts, sizes, strict=True)])


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Each gradient becomes its mean over ranks; a rank without one takes part with zeros."""
    if world() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
        parameter.grad /= world()

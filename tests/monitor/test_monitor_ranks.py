"""Two processes: counts are those of both, one writes, and books that drift apart show."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch.nn.parallel import DistributedDataParallel
from vector_quantize_pytorch import VectorQuantize
from watched_models import Net, lines

import vqdoctor


def _one_rank(rank: int, folder: str, port: int, diverge: bool) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        _train(rank, Path(folder), diverge)
        gc.collect()  # a DDP model that outlives its process group can hang in its destructor
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _train(rank: int, folder: Path, diverge: bool) -> None:
    """Three steps; the ranks see other rows, and rank 1 more of them."""
    torch.manual_seed(0)
    net = Net(VectorQuantize(dim=8, codebook_size=16, sync_codebook=not diverge))
    model = DistributedDataParallel(net, broadcast_buffers=False) if diverge else DistributedDataParallel(net)
    codes = []
    with vqdoctor.Monitor(model, folder / "logs", every=2) as monitor:
        for step in range(3):
            rows = torch.randn(2, 5 + rank, 8, generator=torch.Generator().manual_seed(10 * step + rank))
            values, found, losses = model(rows)
            (values.square().mean() + losses.sum()).backward()
            codes.append(found.numpy().ravel())
            monitor.step(loss=losses.sum())
    np.save(folder / f"codes_{rank}.npy", np.concatenate(codes[:2]))


def _run(folder: Path, *, diverge: bool) -> list[dict]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # autograd has threads by the time that other tests have run, which a fork would break
    processes.start_processes(_one_rank, (str(folder), port, diverge), nprocs=2, start_method="spawn")
    return lines(folder / "logs" / "log.jsonl")


def test_counts_are_summed_and_one_rank_writes(tmp_path) -> None:
    found = _run(tmp_path, diverge=False)
    assert sum(line["kind"] == "run" for line in found) == 1 and found[-1]["event"] == "end"
    metrics = [line for line in found if line["kind"] == "metrics"]
    assert [(line["step"], line["values"]["usage.n"]) for line in metrics] == [(2, 44), (3, 22)]
    both = np.concatenate([np.load(tmp_path / f"codes_{rank}.npy") for rank in (0, 1)])
    hits = np.bincount(both, minlength=16)
    usage = next(line for line in found if line["kind"] == "usage")
    assert usage["counts"] == [[code, hits[code]] for code in range(16) if hits[code]]
    digests = [line["detail"] for line in found if line.get("event") == "digest" and line["step"] == 2]
    assert [one["rank"] for one in digests] == [0, 1] and len({one["hash"] for one in digests}) == 1


def test_books_that_drift_apart_have_other_digests(tmp_path) -> None:
    digests = [line["detail"] for line in _run(tmp_path, diverge=True) if line.get("event") == "digest" and line["step"] == 2]
    assert len({one["hash"] for one in digests}) == 2

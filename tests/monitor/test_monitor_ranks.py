"""Two processes: counts are those of both, one writes, and books that drift apart show."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch.nn.parallel import DistributedDataParallel
from vector_quantize_pytorch import VectorQuantize
from watched_models import Net, lines

import vqdoctor


def _one_rank(rank: int, folder: str, port: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        _train(rank, Path(folder) / "together", pooled=True)
        _train(rank, Path(folder) / "apart", pooled=False)
        gc.collect()  # a DDP model that outlives its process group can hang in its destructor
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _train(rank: int, folder: Path, *, pooled: bool) -> None:
    """Three steps; the ranks see other rows, and rank 1 more of them. pooled: statistics are summed over ranks, so books agree."""
    torch.manual_seed(0)
    net = Net(VectorQuantize(dim=8, codebook_size=16, sync_codebook=pooled))
    model = DistributedDataParallel(net) if pooled else DistributedDataParallel(net, broadcast_buffers=False)
    codes = []
    with vqdoctor.Monitor(model, folder, every=2) as monitor:
        for step in range(3):
            rows = torch.randn(2, 5 + rank, 8, generator=torch.Generator().manual_seed(10 * step + rank))
            values, found, losses = model(rows)
            (values.square().mean() + losses.sum()).backward()
            codes.append(found.numpy().ravel())
            monitor.step(loss=losses.sum())
    folder.mkdir(exist_ok=True)
    np.save(folder / f"codes_{rank}.npy", np.concatenate(codes[:2]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """The folder with both runs."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # autograd has threads by the time that other tests have run, which a fork would break
    processes.start_processes(_one_rank, (str(folder), port), nprocs=2, start_method="spawn")
    return folder


def test_counts_are_summed_and_one_rank_writes(runs: Path) -> None:
    found = lines(runs / "together" / "log.jsonl")
    assert sum(line["kind"] == "run" for line in found) == 1 and found[-1]["event"] == "end"
    metrics = [line for line in found if line["kind"] == "metrics"]
    assert [(line["step"], line["values"]["usage.n"]) for line in metrics] == [(2, 44), (3, 22)]
    both = np.concatenate([np.load(runs / "together" / f"codes_{rank}.npy") for rank in (0, 1)])
    hits = np.bincount(both, minlength=16)
    usage = next(line for line in found if line["kind"] == "usage")
    assert usage["counts"] == [[code, hits[code]] for code in range(16) if hits[code]]


@pytest.mark.parametrize(("run", "books"), [("together", 1), ("apart", 2)])
def test_books_that_drift_apart_have_other_digests(runs: Path, run: str, books: int) -> None:
    found = [line["detail"] for line in lines(runs / run / "log.jsonl", "event") if line["event"] == "digest" and line["step"] == 2]
    assert [one["rank"] for one in found] == [0, 1]
    assert len({one["hash"] for one in found}) == books

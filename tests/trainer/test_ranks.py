"""Two and three processes: every rank ends with the same book, and the switch that lets them diverge shows in the log."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from judged_logs import fired, known

from vqdoctor.trainer import distributed
from vqdoctor.trainer.loop import train_plan
from vqdoctor.trainer.plan import plan

QUICK = (
    "rows=300", "epochs=2", "batch_size=32", "kmeans_rows=200", "hidden_dim=32", "code_dim=8", "codes=16", "eval_interval=1",
    "reinit_interval=3",
)  # fmt: skip


def _one_rank(rank: int, ranks: int, folder: str, recipe: str, sets: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=ranks)
    try:
        train_plan(plan(recipe, sets=sets), out=Path(folder) / "run", clock=lambda: 0.0)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _hashes(out: Path) -> dict[tuple[int, int], list[str]]:
    """(step, level) → the digest of each rank's book."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "run" for line in lines) == 1
    found: dict[tuple[int, int], list[str]] = {}
    for event in lines:
        if event.get("event") == "digest":
            found.setdefault((event["step"], event["detail"]["level"]), []).append(event["detail"]["hash"])
    return found


def _train(ranks: int, folder: Path, recipe: str, *sets: str) -> dict[tuple[int, int], list[str]]:
    processes.start_processes(_one_rank, (ranks, str(folder), recipe, sets), nprocs=ranks, start_method="fork")
    return _hashes(folder / "run")


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize(
    "sets", [("update=gradient", "reset_threshold=0.5"), ("temperature=0.5", "lowest_share=0.3", "expansion_interval=1")]
)
def test_every_rank_ends_with_the_same_book(tmp_path, ranks: int, sets: tuple[str, ...]) -> None:
    hashes = _train(ranks, tmp_path, "rq-tuned", *QUICK, *sets)
    assert len(hashes) == 2 * 3
    assert all(len(copies) == ranks and len(set(copies)) == 1 for copies in hashes.values())
    book = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["model"]["quantizer.layers.0.codebook"]
    assert distributed.digest(book) == hashes[max(hashes)[0], 0][0]


def test_ranks_that_do_not_talk_diverge_and_the_log_shows_it(tmp_path) -> None:
    hashes = _train(2, tmp_path, "sick-diverging-ranks", "epochs=2")
    assert len(set(hashes[max(hashes)])) == 2
    assert not known("VQ510") or "VQ510" in fired(tmp_path / "run")


def test_torchrun_starts_the_module(tmp_path) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vqdoctor.trainer",
        "rq-tuned",
        "--out", str(tmp_path / "run"), *(part for pair in QUICK for part in ("--set", pair)),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(len(copies) == 2 and len(set(copies)) == 1 for copies in _hashes(tmp_path / "run").values())


def test_alone_there_is_nothing_to_agree_on() -> None:
    rows = torch.randn(5, 3)
    assert (distributed.rank(), distributed.world()) == (0, 1)
    assert distributed.gathered(rows) is rows
    assert torch.equal(distributed.summed(rows.clone()), rows)
    assert distributed.digests(rows) == [distributed.digest(rows)]
    assert distributed.digest(rows) != distributed.digest(rows + 1)

"""Looking into a checkpoint, as whole processes in turn: ours against torch's and safetensors' own way in.

`python benchmarks/opening.py [--quick] [--json FILE]`. The file holds an 8192 × 256 codebook among 600 other weights, from 100 MB
on with Adam's state (2404 tensors): 20 MB and 4 GB (`--quick`: 20 and 400 MB), written to a temporary folder and deleted. "list"
is `inspect --list`, which names the codebooks, "inspect" the whole command with all that it measures. The peers only open:
`torch.load(mmap=True, weights_only=True)`, without mmap for the old format, which has none, and `safe_open(framework="pt")` with
its keys. Warm page cache; medians, of peaks the largest; CPU is user and system time of all threads. Bars: list 0.15, inspect 0.40
of the peer's wall time, peak 150 MiB at any size; `--help` 100 ms of CPU over a bare interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from record import record, record_limit

MB = 10**6
SIZES, QUICK_SIZES = (20 * MB, 4000 * MB), (20 * MB, 400 * MB)
ROUNDS, QUICK_ROUNDS = 7, 3
CODES, WIDTH, OTHERS, LEAST_WITH_ADAM = 8192, 256, 600, 100 * MB
BOOK = "quantize.embedding.weight"

TORCH = "import sys, torch; torch.load(sys.argv[1], mmap=True, weights_only=True)"
TORCH_WHOLE = "import sys, torch; torch.load(sys.argv[1], weights_only=True)"
SAFETENSORS = """
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="pt") as file:
    list(file.keys())
"""

# As installed: a package whose bytecode may not be kept would be compiled anew in every run.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Cost(NamedTuple):
    """Of one process: seconds on the wall, seconds of CPU, peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def shapes(size: int) -> dict[str, tuple[int, int]]:
    """The weights of a checkpoint of `size` bytes."""
    copies = 3 if size >= LEAST_WITH_ADAM else 1
    rows = max(1, (size // 4 // copies - CODES * WIDTH) // OTHERS // WIDTH)
    return {BOOK: (CODES, WIDTH)} | {f"decoder.blocks.{i}.weight": (rows, WIDTH) for i in range(OTHERS)}


def write_torch(path: Path, size: int, zipped: bool = True) -> None:
    """A checkpoint as Lightning lays it out. Zeros that nobody has touched take no memory while they are written."""
    import torch

    weights = {name: torch.zeros(shape) for name, shape in shapes(size).items()}
    weights[BOOK].normal_(generator=torch.Generator().manual_seed(0))
    checkpoint = {"state_dict": weights, "epoch": 12, "global_step": 123456}
    if size >= LEAST_WITH_ADAM:
        moments = {
            i: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(weight.shape), "exp_avg_sq": torch.zeros(weight.shape)}
            for i, weight in enumerate(weights.values())
        }
        checkpoint["optimizer_states"] = [{"state": moments, "param_groups": [{"lr": 1e-4, "params": list(moments)}]}]
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)


def write_legacy(path: Path, size: int) -> None:
    """The same in the format of before torch 1.6."""
    write_torch(path, size, zipped=False)


def write_safetensors(path: Path, size: int) -> None:
    """The same tensors; all but the codebook are a hole in the file."""
    import numpy as np

    tensors = dict(shapes(size))
    if size >= LEAST_WITH_ADAM:
        tensors |= {f"optimizer.{name}.{part}": shape for name, shape in shapes(size).items() for part in ("exp_avg", "exp_avg_sq")}
    header, end = {}, 0
    for name, (rows, width) in tensors.items():
        begin, end = end, end + 4 * rows * width
        header[name] = {"dtype": "F32", "shape": [rows, width], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(np.random.default_rng(0).standard_normal((CODES, WIDTH), dtype=np.float32).tobytes())
        file.truncate(8 + len(text) + end)


def cost(*arguments: str) -> Cost:
    """Runs the interpreter with `arguments` to its end."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def in_turn(runs: dict[str, tuple[str, ...]], rounds: int) -> dict[str, list[Cost]]:
    """The cost of each run in each of `rounds` interleaved rounds, after one that is not counted."""
    costs = [{name: cost(*arguments) for name, arguments in runs.items()} for _ in range(rounds + 1)]
    return {name: [each[name] for each in costs[1:]] for name in runs}


def median(costs: list[Cost]) -> Cost:
    """Each figure's median; of the peaks the largest."""
    wall, cpu = (statistics.median(getattr(each, figure) for each in costs) for figure in ("wall", "cpu"))
    return Cost(wall, cpu, max(each.peak for each in costs))


def ratio(ours: list[Cost], theirs: list[Cost], figure: str) -> float:
    """The median over rounds of ours over theirs."""
    return statistics.median(getattr(one, figure) / getattr(other, figure) for one, other in zip(ours, theirs, strict=True))


def compare(path: Path, peer: str, code: str, rounds: int, kept: str | None) -> None:
    """Prints a line for each of our works on `path`, beside the peer's cost."""
    ours = ("-m", "vqdoctor", "inspect", str(path))
    runs = {"list": (*ours, "--list"), "inspect": ours, peer: ("-c", code, str(path))}
    costs = in_turn(runs, rounds)
    theirs = median(costs[peer])
    for work, bar in (("list", 0.15), ("inspect", 0.40)):
        own, label = median(costs[work]), f"{work}, {path.name}"
        wall, cpu = (ratio(costs[work], costs[peer], figure) for figure in ("wall", "cpu"))
        print(
            f"{label:28} {own.wall * 1e3:6.0f} {own.cpu * 1e3:6.0f} {own.peak:6.0f}   {peer:22}"
            f" {theirs.wall * 1e3:6.0f} {theirs.cpu * 1e3:6.0f} {theirs.peak:6.0f}   {wall:6.3f} {cpu:6.3f}   {bar:.2f}",
            flush=True,
        )
        figures = {"seconds": own.wall, "memory_mib": own.peak, "peer_memory_mib": theirs.peak}
        record(kept, table="opening", work=label, peer=peer, ratio=wall, cpu_ratio=cpu, bar=bar, **figures)
        record_limit(kept, table="opening", work=f"peak, {label}", value=own.peak, unit="MiB", limit=150)


def start(rounds: int, kept: str | None) -> None:
    """Prints what `vqdoctor --help` takes beyond a bare interpreter."""
    costs = in_turn({"help": ("-m", "vqdoctor", "--help"), "bare": ("-c", "pass")}, 3 * rounds)
    more = (median(costs["help"]).cpu - median(costs["bare"]).cpu) * 1e3
    print(f"{'--help':28} {more:.0f} ms of CPU over a bare interpreter (bar 100)")
    record_limit(kept, table="opening", work="--help, CPU over a bare interpreter", value=more, unit="ms", limit=100)


def main() -> None:
    """Prints a table, a line a work and file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="400 MB for the large file, fewer rounds")
    parser.add_argument("--json", help="add the results to this file, a JSON object a line")
    given = parser.parse_args()
    quick = given.quick
    rounds = QUICK_ROUNDS if quick else ROUNDS
    figures = f"{'ms':>6} {'CPU':>6} {'MiB':>6}"
    print(f"{'work':28} {figures}   {'peer':22} {figures}   {'÷ wall':>6} {'÷ CPU':>6}   bar")
    spawn = get_context("spawn")  # apart: whatever this process holds counts into the peaks of those that it starts
    with tempfile.TemporaryDirectory() as folder:
        for size in QUICK_SIZES if quick else SIZES:
            for suffix, write, peer, code in (
                (".pt", write_torch, "torch.load(mmap)", TORCH),
                ("-legacy.pt", write_legacy, "torch.load", TORCH_WHOLE),
                (".safetensors", write_safetensors, "safe_open(pt)", SAFETENSORS),
            ):
                path = Path(folder, f"{size // MB}-MB{suffix}")
                writer = spawn.Process(target=write, args=(path, size))
                writer.start()
                writer.join()
                compare(path, peer, code, rounds, given.json)
                path.unlink()
    start(rounds, given.json)


if __name__ == "__main__":
    main()

"""What watching costs a training step, against that step and against the one-hot perplexity that many repositories compute.

`python benchmarks/monitor.py [--quick]`. The step is 4096 vectors of width 64 through vector-quantize-pytorch's VectorQuantize with
1024 codes, encoder, decoder and Adam included. Whole loops with and without a hook drown in noise, so each part is timed by itself,
in turn, in one process. "watching" is what a hundred forwards and their report add, over a hundred. Bar: 2 % of the step.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from vqdoctor.monitor.monitor import Monitor

ROWS, WIDTH, CODES, EVERY = 4096, 64, 1024, 100
ROUNDS, QUICK_ROUNDS = 30, 8


class Autoencoder(nn.Module):
    """The usual small model around a quantiser."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(WIDTH, 256), nn.ReLU(), nn.Linear(256, WIDTH))
        self.quantizer = VectorQuantize(dim=WIDTH, codebook_size=CODES)
        self.decoder = nn.Linear(WIDTH, WIDTH)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs, codes, commitment loss."""
        values, codes, commitment = self.quantizer(self.encoder(rows))
        return self.decoder(values), codes, commitment


def training_step(model: Autoencoder, rows: Tensor) -> Callable[[], object]:
    """One optimiser step."""
    optimizer = torch.optim.Adam(model.parameters())

    def run() -> None:
        outputs, _, commitment = model(rows)
        loss = (outputs - rows).square().mean() + commitment.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def one_hot_perplexity(codes: Tensor) -> float:
    """As trackers usually have it."""
    shares = nn.functional.one_hot(codes.reshape(-1), CODES).float().mean(0)
    return torch.exp(-(shares * (shares + 1e-10).log()).sum()).item()


def in_turn(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each, the least of `rounds` interleaved runs after one to warm up."""
    least = dict.fromkeys(runs, float("inf"))
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if round_:
                least[name] = min(least[name], time.perf_counter() - begin)
    return least


def main() -> None:
    """Prints milliseconds and shares of the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK_ROUNDS if parser.parse_args().quick else ROUNDS
    torch.manual_seed(0)
    bare, watched, rows = Autoencoder(), Autoencoder(), torch.randn(1, ROWS, WIDTH)
    with tempfile.TemporaryDirectory() as folder, Monitor(watched, Path(folder), every=EVERY) as monitor:
        latents = watched.encoder(rows).detach()
        returned = watched.quantizer(latents)
        (hook,) = monitor._listeners

        def watching() -> None:
            for _ in range(EVERY):
                hook(watched.quantizer, (latents,), {}, returned)
            monitor.report()

        runs = {
            "training step": training_step(bare, rows),
            "watching": watching,
            "one-hot perplexity": lambda: one_hot_perplexity(returned[1]),
        }
        seconds = in_turn(runs, rounds)
    seconds["watching"] /= EVERY
    step, watched_step, rival = seconds["training step"], seconds["watching"], seconds["one-hot perplexity"]
    for name, time_taken in seconds.items():
        print(f"{name:20} {time_taken * 1e3:9.3f} ms {time_taken / step:8.2%} of the step")
    print(f"watching (counts, reservoir, a report every {EVERY} steps): {watched_step / step:.2%} of the step, bar 2 %;")
    print(f"    {watched_step / rival:.3f} × one-hot perplexity")


if __name__ == "__main__":
    main()

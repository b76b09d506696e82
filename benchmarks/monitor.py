"""What watching costs a training step, against that step and against the one-hot perplexity that many repositories compute.

`python benchmarks/monitor.py [--quick] [--json FILE]`. The step is 4096 vectors of width 64 through vector-quantize-pytorch's
VectorQuantize with 1024 codes, encoder, decoder and Adam included. Whole loops with and without a hook drown in noise, so each part
is timed by itself, in turn, in one process. "watching" is what a hundred forwards and their report add, over a hundred. Memory:
what a monitor and its first hundred forwards take. Bar: 1 % of the step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from measure import Spent, extra_mib, in_turn, median, ratios
from record import command_line, record
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from vqdoctor.monitor.monitor import Monitor

ROWS, WIDTH, CODES, EVERY = 4096, 64, 1024, 100
ROUNDS, QUICK_ROUNDS = 30, 8
STEP, ONE_HOT, BAR = "training step", "one-hot perplexity", 0.01


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


def compare(rounds: int, file: str | None) -> None:
    """Prints milliseconds and shares of the step."""
    torch.manual_seed(0)
    bare, watched, rows = Autoencoder(), Autoencoder(), torch.randn(1, ROWS, WIDTH)
    latents = watched.encoder(rows).detach()
    returned = watched.quantizer(latents)
    with tempfile.TemporaryDirectory() as folder, Monitor(watched, Path(folder), every=EVERY) as monitor:
        (hook,) = monitor._listeners

        def watching() -> None:
            for _ in range(EVERY):
                hook(watched.quantizer, (latents,), {}, returned)
            monitor.report()

        mib = extra_mib(watching)
        step, one_hot = training_step(bare, rows), lambda: one_hot_perplexity(returned[1])
        spent = in_turn({STEP: step, "watching": watching, ONE_HOT: one_hot}, rounds)
    spent["watching"] = [Spent(each.wall / EVERY, each.cpu / EVERY) for each in spent["watching"]]
    for name, each in spent.items():
        share = ratios(each, spent[STEP])
        print(f"{name:20} {median(each).wall * 1e3:9.3f} ms {share['ratio']:8.2%} of the step, {share['cpu_ratio']:.2%} of its CPU")
    print(f"watching: counts, reservoir, a report every {EVERY} steps; bar {BAR:.0%}; {'–' if mib is None else round(mib)} MiB")
    for peer in (STEP, ONE_HOT):
        figures = ratios(spent["watching"], spent[peer]) | {"seconds": median(spent["watching"]).wall, "memory_mib": mib}
        record(file, table="monitor", work="watching a step", peer=peer, bar=BAR if peer == STEP else None, **figures)


def main() -> None:
    """Prints the table."""
    parser = command_line(__doc__, quick="fewer rounds")
    given = parser.parse_args()
    compare(QUICK_ROUNDS if given.quick else ROUNDS, given.json)


if __name__ == "__main__":
    main()

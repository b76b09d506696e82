"""What a gate costs beyond looking: `vqdoctor gate` beside `vqdoctor inspect` on the same checkpoint, as whole processes in turn.

`python benchmarks/gate.py [--quick] [--json FILE]`. The file is the one of `opening.py`: an 8192 × 256 codebook among 600 other
weights with Adam's state, 4 GB (`--quick`: 400 MB), written to a temporary folder and deleted. Warm page cache; medians of rounds.
Bar: 1.1 of inspect in wall time and in CPU time.
"""

from __future__ import annotations

import tempfile
from multiprocessing import get_context
from pathlib import Path

from opening import MB, QUICK_ROUNDS, QUICK_SIZES, ROUNDS, SIZES, cost, median, ratio, write_torch
from record import command_line, record

BAR = 1.1
CHECKS = ("--rule", "VQ201=error", "--max", "geometry.zero_rows=0", "--min", "geometry.effective_rank=10")


def main() -> None:
    """Prints a line a way to gate."""
    parser = command_line(__doc__, quick="400 MB, fewer rounds")
    given = parser.parse_args()
    quick = given.quick
    size = (QUICK_SIZES if quick else SIZES)[-1]
    rounds = 2 * (QUICK_ROUNDS if quick else ROUNDS) + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{size // MB}-MB.pt")
        writer = get_context("spawn").Process(target=write_torch, args=(path, size))  # apart: its memory counts into no peak
        writer.start()
        writer.join()
        runs = {
            "inspect": ("-m", "vqdoctor", "inspect", str(path)),
            "gate": ("-m", "vqdoctor", "gate", str(path), "--fail-on", "never"),
            "gate, three checks": ("-m", "vqdoctor", "gate", str(path), "--fail-on", "never", *CHECKS),
        }
        turns = [{name: cost(*arguments) for name, arguments in runs.items()} for _ in range(rounds + 1)][1:]
    costs = {name: [turn[name] for turn in turns] for name in runs}
    print(f"{'on ' + path.name:22} {'ms':>6} {'CPU':>6} {'MiB':>6}   {'÷ wall':>6} {'÷ CPU':>6}   bar")
    for name, each in costs.items():
        own, ratios = median(each), [ratio(each, costs["inspect"], figure) for figure in ("wall", "cpu")]
        print(
            f"{name:22} {own.wall * 1e3:6.0f} {own.cpu * 1e3:6.0f} {own.peak:6.0f}   {ratios[0]:6.3f} {ratios[1]:6.3f}   {BAR}",
            flush=True,
        )
        if name != "inspect":
            record(
                given.json, table="gate", work=f"{name}, {path.name}", peer="inspect", bar=BAR,
                ratio=ratios[0], cpu_ratio=ratios[1], seconds=own.wall, memory_mib=own.peak, met=max(ratios) <= BAR,
            )  # fmt: skip


if __name__ == "__main__":
    main()

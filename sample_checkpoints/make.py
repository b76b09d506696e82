"""Train the bundled samples from their recipes: ``python sample_checkpoints/make.py``, about a minute on one core.

Each is a checkpoint with the features of every row, and the log of its run. What `inspect` finds in them is in README.md here.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import torch

from vqdoctor.trainer.checkpoints import publish
from vqdoctor.trainer.loop import train_plan
from vqdoctor.trainer.plan import plan

HERE = Path(__file__).parent

SAMPLES = {  # name: recipe, and what is made smaller than the recipe has it
    "ema-illusion": ("vq-ema-illusion", ()),
    "healthy-vq": ("vq-improved", ()),
    "revived-by-kmeans": ("vq-kmeans-gradient", ()),
    "collapsed-rq": ("rq-collapse", ("hidden_dim=64", "code_dim=16", "epochs=40")),
    "hourglass": ("sick-hourglass", ()),
}


def main() -> None:
    """Train every sample and put it here."""
    torch.set_num_threads(1)
    for name, (recipe, sets) in SAMPLES.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            summary = train_plan(plan(recipe, sets=sets), out=out, clock=time.time)
            publish(out / "last.pt", HERE / f"{name}.pt")
            shutil.copyfile(out / "log.jsonl", HERE / f"{name}.log.jsonl")
            size = sum(file.stat().st_size for file in HERE.glob(f"{name}.*")) / 1e3
            print(f"{name}: {recipe}, {summary.seconds:.0f} s, {size:.0f} kB, use {summary.last['usage.utilization']:.1%}")


if __name__ == "__main__":
    main()

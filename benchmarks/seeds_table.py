"""The seed documents' tables, reproduced and beaten: `python benchmarks/seeds_table.py [--data EMBEDDINGS.npy] [RECIPE …]`.

Runs each recipe of the bundled trainer from scratch and prints what it reached beside the document's own figures and the bar. The
semantic-ID recipes run on `--data` (the first 3883 rows, the size of the document's catalogue) or, without it, on scikit-learn's
digits. About four minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from vqdoctor.trainer.loop import train_plan
from vqdoctor.trainer.plan import plan
from vqdoctor.trainer.recipes import RECIPES, Recipe
from vqdoctor.trainer.summary import Summary

CATALOGUE = 3883
SHOWN = ("collision.rate", "usage.utilization", "usage.batch_utilization", "usage.entropy_normalized", "ema.utilization")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="some of them; all unless named")
    parser.add_argument("--data", help="embeddings (N, D) for the rq-* recipes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    print(f"{'recipe':<20} {'seconds':>7}  {'reached (last | best)':<74} {'the document':<58} bar")
    for recipe in RECIPES:
        if not given.recipes or recipe.name in given.recipes:
            print(row(recipe, run(recipe, given.data)), flush=True)
    print(f"{time.perf_counter() - began:.0f} s in all")


def run(recipe: Recipe, data: str | None) -> Summary:
    """One run in a folder that is thrown away."""
    embeddings = data if recipe.name.startswith("rq") else None
    planned = plan(recipe.name, data=embeddings, overrides={"rows": CATALOGUE} if embeddings else None)
    with tempfile.TemporaryDirectory() as folder:
        return train_plan(planned, out=Path(folder) / "run", clock=time.time)


def row(recipe: Recipe, summary: Summary) -> str:
    """A line of the table."""
    names = [name for name in dict.fromkeys([*recipe.expected, *SHOWN]) if name in summary.last][:3]
    reached = ", ".join(
        f"{name.split('.', 1)[1]} {figure(summary.last[name])} | {figure(summary.best.get(name))}" for name in names
    )
    bars = ", ".join(
        f"{name} {'≥' if which == 'min' else '≤'} {value:g}"
        for name, bounds in recipe.expected.items()
        for which, value in bounds.items()
    )
    missed = "" if summary.ok else "   NOT REACHED"
    return f"{recipe.name:<20} {summary.seconds:>7.1f}  {reached:<74} {recipe.quoted:<58} {bars}{missed}"


def figure(value: object) -> str:
    """A share in percent."""
    return f"{value:.2%}" if isinstance(value, int | float) else "–"


if __name__ == "__main__":
    main()

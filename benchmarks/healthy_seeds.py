"""False alarms: healthy recipes trained with many seeds, each last checkpoint judged by every rule on its own features.

`python benchmarks/healthy_seeds.py [--recipe NAME]… [--seeds 20] [--keep FOLDER]`. A finding of severity error is one too many;
warnings are counted as the share of checkpoints that have any. Bars: 0 errors, at most 5 % warnings. With --keep the checkpoints
stay in FOLDER/RECIPE-SEED and are not trained again, so that a changed rule is tried on the same runs. About 15 s a run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vqdoctor.app.inspect import inspect
from vqdoctor.model import Report

RECIPES = ("vq-improved",)
WARNINGS_BAR = 0.05


def trained(recipe: str, seed: int, folder: Path) -> Path:
    """The last checkpoint of a run, trained unless it is there."""
    import torch

    from vqdoctor.trainer.loop import train_plan
    from vqdoctor.trainer.plan import plan

    out = folder / f"{recipe}-{seed}"
    if not (out / "summary.json").exists():
        torch.set_num_threads(1)
        train_plan(plan(recipe, overrides={"seed": seed}), out=out, clock=time.time)
    return out / "last.pt"


def judged(recipe: str, seeds: int, folder: Path) -> Iterator[Report]:
    """A report for each seed, its findings printed as it comes."""
    for seed in range(seeds):
        report = inspect([str(trained(recipe, seed, folder))])[0]
        found = ", ".join(f"{each.severity} {each.rule} {each.where}" for each in report.findings) or "nothing"
        metrics = report.quantizers[0].levels[0].metrics
        use, even = metrics["usage.utilization"], metrics["usage.entropy_normalized"]
        print(f"{recipe} seed {seed:2}: {report.verdict:8} use {use:.3f} entropy {even:.3f}   {found}", flush=True)
        yield report


def main() -> int:
    """Prints a line a run and the two shares; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", dest="recipes")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        reports = [each for recipe in options.recipes or RECIPES for each in judged(recipe, options.seeds, folder)]
    graves = Counter(severity for report in reports for severity in {finding.severity for finding in report.findings})
    errors, warnings = (graves[severity] / len(reports) for severity in ("error", "warning"))
    print(f"{len(reports)} checkpoints: {errors:.1%} with an error (bar 0 %), {warnings:.1%} with a warning (bar 5 %)")
    return int(errors > 0 or warnings > WARNINGS_BAR)


if __name__ == "__main__":
    sys.exit(main())

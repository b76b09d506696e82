"""`vqdoctor train`: the bundled reference trainer. A recipe, a progress line with the vital signs, a summary."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_setting
from vqdoctor.cli.options import color_option
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from vqdoctor.trainer.run import Progress
    from vqdoctor.trainer.summary import Summary

EXAMPLES = (
    ("What there is to run, and what each shows", "vqdoctor train --list"),
    ("A codebook that collapses while its statistics say 100 %", "vqdoctor train vq-ema-illusion --out runs/illusion"),
    ("Semantic IDs for your own embeddings, rows (N, D)", "vqdoctor train rq-tuned --data items.npy --out runs/items"),
    ("Another size, another seed", "vqdoctor train rq-tuned --data items.npy --set codes=256,256,256 --seed 1"),
    ("Go on where Ctrl-C stopped it", "vqdoctor train rq-tuned --resume runs/items"),
    ("As a test: exit with 1 unless the recipe's figures are reached", "vqdoctor train vq-improved --check"),
)
RUN, WHAT = "The run", "What is trained"
TOLD = (
    "epoch",
    "loss",
    "usage.utilization",
    "usage.batch_utilization",
    "usage.perplexity",
    "usage.entropy_normalized",
    "ema.utilization",
    "collision.unique",
    "collision.excess",
    "collision.rate",
    "collision.max_group",
)
"""Figures that the summary shows; summary.json holds all."""
VITALS = ("loss", "usage.batch_utilization", "ema.utilization", "usage.batch_entropy_normalized")


def complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Recipes that start so."""
    from vqdoctor.trainer.recipes import RECIPES

    return [CompletionItem(one.name, help=one.seed) for one in RECIPES if one.name.startswith(incomplete)]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@option("--list", "listing", is_flag=True, help="The recipes, with what each shows.")
@option("--data", metavar="FILE", group=WHAT, help="Embeddings (N, D): .npy .npz .parquet; or the name of a built-in set.")
@option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True, group=WHAT, shell_complete=complete_setting,
    help="One setting; repeatable.",
)  # fmt: skip
@option("--config", metavar="FILE", group=WHAT, help="Settings from TOML, YAML or JSON with comments.")
@option("--scale", type=click.Choice(["demo", "seed"]), group=WHAT, help="The document's own schedule, or a twentieth of it.")
@option("--epochs", type=click.IntRange(min=0), group=WHAT, help="Passes over the data.")
@option("--seed", type=int, group=WHAT, help="Of everything that is drawn.")
@option("--out", metavar="DIR", group=RUN, help="Folder for log, checkpoints, features and summary [default: runs/RECIPE].")
@option("--resume", metavar="DIR", group=RUN, help="Go on with the run in this folder.")
@option("--keep", type=click.IntRange(min=0), group=RUN, help="Also keep N recent and N best checkpoints.")
@option("--device", group=RUN, help="cpu, cuda, cuda:1, …")
@option("--check", is_flag=True, group=RUN, help="Exit with 1 unless the recipe's expected figures are reached.")
@option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, group=RUN, help="Of the summary."
)
@option("--quiet", is_flag=True, group=RUN, help="No progress on standard error.")
@option("--debug", is_flag=True, expose_value=False, group=RUN, help="Show the traceback of an error.")
@color_option
def command(
    recipe: str | None,
    listing: bool,
    out: str | None,
    resume: str | None,
    check: bool,
    form: str,
    quiet: bool,
    color: str,
    **asked: Any,
) -> int:
    """Train RECIPE: each disease of a codebook and each cure, small enough for a laptop, logged and saved as real runs are."""
    from vqdoctor.trainer.plan import plan

    if listing:
        write_out(_listing())
        return int(ExitCode.OK)
    if recipe is None:
        raise UsageError("Name a recipe.", hint="`vqdoctor train --list` shows them.")
    overrides = {"epochs": asked["epochs"], "seed": asked["seed"], "device": asked["device"], "keep": asked["keep"]}
    planned = plan(
        recipe, data=asked["data"], config_path=asked["config"], sets=asked["sets"], scale=asked["scale"], overrides=overrides,
        resumed=Path(resume) if resume else None,
    )  # fmt: skip
    folder = Path(resume or out or free_folder(Path("runs") / planned.recipe.name))
    stop = _Stop()
    summary = _run(planned, folder, resume is not None, _shown(quiet, color), stop)
    write_out(_as_json(summary) if form == "json" else summary_text(summary, folder))
    if summary.interrupted:
        sys.stderr.write(
            f"vqdoctor: stopped and saved. Go on with: vqdoctor train {planned.recipe.name} --resume {printable(folder)}\n"
        )
        return int(ExitCode.TERMINATED if stop.by == signal.SIGTERM else ExitCode.INTERRUPTED)
    return int(ExitCode.FINDINGS if check and not summary.ok else ExitCode.OK)


def free_folder(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, … that holds no run yet."""
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}") for number in count(1))
    return next(folder for folder in names if not (folder / "log.jsonl").exists())


def _run(planned: Any, folder: Path, resume: bool, shown: AbstractContextManager[Any], stop: _Stop) -> Summary:
    import time

    from vqdoctor.trainer.loop import train_plan

    with stop, shown as show:
        return train_plan(planned, out=folder, clock=time.time, progress=show, resume=resume, stop=stop)


class _Stop:
    """Whether the user asked to stop: the first Ctrl-C or SIGTERM lets the step end and saves the run, a second ends it at once.

    Attributes:
        by: the signal that asked, 0 before.
    """

    def __init__(self) -> None:
        self.by = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.by != 0

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.by:
            self.__exit__()
            signal.raise_signal(number)
        self.by = number


@contextmanager
def _shown(quiet: bool, color: str) -> Iterator[Callable[[Progress], None]]:
    """A bar with the vital signs where a person watches, else nothing."""
    if quiet or not sys.stderr.isatty():
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[vitals]}"),
    )
    with Bars(*columns, console=Console(stderr=True, no_color=color == "never" or None), transient=True) as bars:
        task = bars.add_task("", total=None, epoch=0, vitals="")

        def show(now: Progress) -> None:
            bars.update(task, completed=now.step, total=now.steps, epoch=now.epoch, vitals=vital_signs(now.values))

        yield show


def vital_signs(values: Any) -> str:
    """ "loss 0.0312 · real use 47 % · EMA 98 % · entropy 0.69"."""
    words = {
        "loss": "loss",
        "usage.batch_utilization": "real use",
        "ema.utilization": "EMA",
        "usage.batch_entropy_normalized": "entropy",
    }
    parts = []
    for name in VITALS:
        value = values.get(name)
        if isinstance(value, int | float):
            parts.append(f"{words[name]} {100 * value:.0f} %" if "utilization" in name else f"{words[name]} {value:.3g}")
    return " · ".join(parts)


def summary_text(summary: Summary, folder: Path) -> str:
    """Both models' figures, what was expected, and what to type next."""
    names = [name for name in dict.fromkeys([*summary.expected, *TOLD]) if name in summary.last or name in summary.best]
    width = max(map(len, names), default=0)
    lines = [
        f"{summary.recipe} on {printable(summary.data)}, seed {summary.seed}, scale {summary.scale}: {summary.seconds:.1f} s",
        "",
    ]
    lines.append(f"  {'':<{width}}  {'last':>10}  {'best':>10}  expected ({summary.judged})")
    for name in names:
        bounds = summary.expected.get(name, {})
        wanted = " and ".join(f"{'≥' if which == 'min' else '≤'} {value:g}" for which, value in bounds.items())
        lines.append(
            f"  {name:<{width}}  {_figure(summary.last.get(name)):>10}  {_figure(summary.best.get(name)):>10}  {wanted}".rstrip()
        )
    lines += ["", *(f"  note: {printable(note, 400)}" for note in summary.notes)]
    verdict = "as expected" if summary.ok else "NOT as expected"
    lines.append(f"  {verdict}; in {printable(folder)}: log.jsonl, last.pt, best.pt, their features, config.toml, summary.json")
    lines.append(f"  next: vqdoctor inspect {printable(folder / 'last.pt')}")
    return "\n".join(lines) + "\n"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "–"


def _as_json(summary: Summary) -> str:
    import orjson

    return orjson.dumps(summary.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n"


def _listing() -> str:
    import textwrap

    from vqdoctor.trainer.recipes import RECIPES

    def shows(text: str) -> str:
        return textwrap.fill(text, 100, initial_indent="    ", subsequent_indent="    ")

    entries = [f"{one.name}   (after document {one.seed})\n{shows(one.shows)}" for one in RECIPES]
    return "\n".join(entries) + "\n\nvqdoctor explain RECIPE: its encoder, schedule, split, settings and expected figures.\n"

"""`vqdoctor inspect`: the options of the contract to an `InspectRequest`, its reports to views and an exit status."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_engine, complete_path, complete_quantizer, complete_tensor
from vqdoctor.cli.options import Output, deliver, exit_status, refuse_overwriting, reporting, require_terminal, write_targets
from vqdoctor.cli.streams import working_folder
from vqdoctor.errors import UsageError, VqdoctorError, printable
from vqdoctor.remote import is_url

if TYPE_CHECKING:
    from vqdoctor.app.request import InspectRequest
    from vqdoctor.model.report import Report
    from vqdoctor.render import Screen

EXAMPLES = (
    ("Which codebooks are in this file, and what does the file alone say?", "vqdoctor inspect model.ckpt"),
    ("Only which codebooks there are: their family, K and D", "vqdoctor inspect --list model.ckpt"),
    ("Judge by real use: rows from the encoder, before quantisation", "vqdoctor inspect model.ckpt --features latents.npy"),
    ("Semantic IDs: collisions, and how the levels are used", "vqdoctor inspect items.index.json --sizes 256,256,256"),
    ("One run for a person, a program and an issue", "vqdoctor inspect model.ckpt --report json=r.json -o markdown=r.md"),
    ("A page to send: one file, opens anywhere", "vqdoctor inspect model.ckpt --features latents.npy -o html=report.html"),
    ("Fail a script on any error found", "vqdoctor inspect model.ckpt --features latents.npy --fail-on error"),
    ("In a bucket: only the parts that are needed are fetched", "vqdoctor inspect s3://bucket/model.safetensors"),
    ("A folder of checkpoints: one line each, newest last", "vqdoctor inspect runs/"),
    (
        "Walk through codes, map, levels and collisions; repair from there",
        "vqdoctor inspect model.ckpt --features latents.npy --tui",
    ),
)
FEATURES = (
    "Encoder outputs before quantisation, rows (N, D): .npy .npz .pt .safetensors .parquet, a folder of shards, or a URL. "
    "NAME: the quantiser that they are for."
)
ROWS, MEANING, MORE = "What real use is judged by", "How the file is read", "More to see"


class Finite(click.FloatRange):
    """A number in a range, and neither NaN nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Sizes(click.ParamType[tuple[int, ...]]):
    """``256,256,256``: K of each level."""

    name = "K,K,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The sizes."""
        parts = str(value).split(",")
        if not all(part.strip().isascii() and part.strip().isdigit() and int(part[:12]) > 0 for part in parts):
            self.fail("expected whole numbers with commas between, one for each level, for example 256,256,256.", param, ctx)
        return tuple(int(part) for part in parts)


def split_features(given: str) -> tuple[str | None, str]:
    """``NAME=F`` as (name, path); a path that exists, or a URL, may hold "=" itself."""
    name, equals, path = given.partition("=")
    if not (path if equals else name):
        raise UsageError("--features needs a file.", hint="--features F, or --features NAME=F.")
    return (name, path) if equals and name and not (os.path.exists(given) or is_url(given)) else (None, given)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=complete_path)
@option(
    "--features",
    metavar="[NAME=]F",
    multiple=True,
    group=ROWS,
    help=FEATURES,
)
@option("--codes", metavar="F", group=ROWS, help="Assigned codes, (N,) or (N, levels): an array, or IDs as `encode` writes them.")
@option("--data", metavar="F", group=ROWS, help="Raw inputs, put through the encoder of a checkpoint of the bundled trainer.")
@option("--population/--sample", default=None, group=ROWS, help="The rows are all there are, or a sample of more.")
@option(
    "--batch",
    metavar="N",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    group=ROWS,
    help="Rows in a batch of usage.batch_*.",
)
@option("--quantizer", metavar="NAME", group=MEANING, shell_complete=complete_quantizer, help="Look at this quantiser only.")
@option(
    "--metric",
    type=click.Choice(["l2", "cosine", "dot"]),
    group=MEANING,
    help="How the model looks codes up, if the file cannot say.",
)
@option(
    "--select",
    metavar="REGEX",
    group=MEANING,
    shell_complete=complete_tensor,
    help="Name a codebook by hand: tensors whose key matches.",
)
@option("--axis", type=click.Choice(["kd", "dk"]), group=MEANING, help="With --select: codes are rows (kd) or columns (dk).")
@option("--sizes", type=Sizes(), group=MEANING, help="Semantic IDs: K of each level.")
@option("--checkpoint", metavar="CKPT", group=MEANING, help="Semantic IDs: take K of each level from this checkpoint.")
@option(
    "--suffix",
    type=click.Choice(["yes", "no"]),
    group=MEANING,
    help="Semantic IDs: is the last token one that only tells equal IDs apart?",
)
@option(
    "--ema-threshold",
    metavar="COUNT",
    type=Finite(min=0),
    group=MEANING,
    help="A code whose EMA count is below is dead to the trainer.",
)
@option("--ema-decay", metavar="SHARE", type=Finite(0, 1, max_open=True), group=MEANING, help="Decay of the EMA counts.")
@option("--list", "listed", is_flag=True, group=MORE, help="Only name the codebooks: family, levels, K x D; nothing is measured.")
@option(
    "--engine",
    metavar="NAME",
    default="local",
    show_default=True,
    group=MORE,
    shell_complete=complete_engine,
    help="Where features are encoded and counted: here, or by a plugin on a cluster (see: vqdoctor plugins engines).",
)
@option(
    "--spill",
    metavar="DIR",
    group=MORE,
    help="Where IDs go that 64 MiB of memory do not hold; named again after an interruption, counting goes on.",
)
@option("--temperature", metavar="T", type=Finite(0, min_open=True), group=MORE, help="Also use under softmax(-d^2/T).")
@option("--fit", is_flag=True, group=MORE, help="Also fit a reference k-means: how far is the book from the best of its size?")
@option(
    "--translate",
    is_flag=True,
    group=MORE,
    help="What LlamaGen, VAR, Moshi, DAC, GRID, LC-Rec, … would report.",
)
@option("--plot", is_flag=True, group=MORE, help="Charts in the terminal, below the text.")
@option("--details", metavar="FILE", group=MORE, help="One row a code, as .csv, .json or .parquet.")
@option("--tui", is_flag=True, group=MORE, help="Walk through it on the terminal: codes, map, levels, collisions, repair.")
@reporting
def command(paths: tuple[str, ...], output: Output, listed: bool, plot: bool, details: str | None, tui: bool, **asked: Any) -> int:
    """Open any checkpoint without running it, find its codebooks, measure them, and say what is wrong and what to do.

    PATH is a checkpoint (torch of any suffix, safetensors, npz, npy, a sharded index), also behind a URL (s3://, gs://, hf://,
    https://), a folder of them, or a file of semantic IDs (.index.json, .json, .jsonl, .csv, .parquet, .npy). Without rows to judge
    by, only what the file itself says is reported.
    """
    if listed:
        from vqdoctor.cli.listing import list_files

        return list_files(paths, output, warn_of(output.quiet), asked)
    from vqdoctor.app.inspect import inspect
    from vqdoctor.cli.progress import progress_for

    if plot and output.format != "text":
        raise UsageError("--plot draws below the text view; leave --format away.")
    if tui:
        _refuse_beside_tui(output, plot)
    features = tuple(map(split_features, asked.pop("features")))
    inputs = [*paths, *(path for _, path in features), *(asked[name] for name in ("codes", "data", "checkpoint") if asked[name])]
    refuse_overwriting(inputs, [path for _, path in output.targets] + ([details] if details else []))
    write_details = details_writer(details) if details else None
    wanted = plot or tui or details is not None or output.wants("html")
    request = request_of(features, wanted, views=tui, **asked)
    if tui:
        reports = _browse(paths, request, output)
    else:
        progress = progress_for(output.quiet, output.color)
        try:
            reports = inspect(paths, request, progress, warn_of(output.quiet))
        finally:
            progress.stop()
    if write_details:
        write_details(reports)
    write_targets(reports, output) if tui else deliver(reports, output, more=_charts(reports) if plot else None)
    return exit_status(reports, output.fail_on)


def _refuse_beside_tui(output: Output, plot: bool) -> None:
    """The dashboard takes the whole terminal, and needs one.

    Raises:
        UsageError: there is none, or something else was asked for on standard output.
    """
    if plot or output.format != "text":
        raise UsageError(
            "--tui takes the whole terminal; leave --plot and --format away.", hint="-o FORMAT=PATH still writes files."
        )
    require_terminal("--tui")


def _browse(paths: tuple[str, ...], request: InspectRequest, output: Output) -> list[Report]:
    """On the terminal, until the user leaves."""
    from vqdoctor.tui.inspecting.app import show  # 0.2 s, and only where a person looks

    screen = output.screen(sys.stdout)
    return show(paths, request, warn_of(output.quiet), no_color=not screen.color, unicode=screen.unicode)


def details_writer(path: str) -> Callable[[list[Report]], None]:
    """What writes the table of codes to `path`. A path of another kind than it can write is refused now, not after the work."""
    from vqdoctor.render.details import code_columns, details_encoder
    from vqdoctor.safe_write import write_atomically

    encode = details_encoder(path)
    return lambda reports: write_atomically(path, encode(code_columns(reports)))


def warn_of(quiet: bool) -> Callable[[VqdoctorError], None]:
    """Says on standard error which file of a folder was left out, and why."""

    def warn(error: VqdoctorError) -> None:
        if not quiet:
            sys.stderr.write(f"vqdoctor: warning: left out: {printable(error.where, 1000)}: {printable(error.what, 1000)}\n")

    return warn


def request_of(features: tuple[tuple[str | None, str], ...], details: bool, suffix: str | None, **asked: Any) -> InspectRequest:
    """The options as the use case wants them, with the project's thresholds."""
    from vqdoctor.app.request import InspectRequest
    from vqdoctor.cli.config import project_rules

    rules = project_rules(Path(working_folder()))
    return InspectRequest(
        features=features, suffix=None if suffix is None else suffix == "yes", details=details, rules=rules, **asked
    )


def _charts(reports: list[Report]) -> Callable[[Screen], str]:
    from vqdoctor.render.plot import render

    return lambda screen: "\n" + render(reports, screen)

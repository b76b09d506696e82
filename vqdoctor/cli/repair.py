"""`vqdoctor repair`: options to a treatment, a preview to read, a proven copy, and the way back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_path, complete_quantizer
from vqdoctor.cli.inspect import Finite, split_features
from vqdoctor.cli.options import color_option, require_terminal, screen_of
from vqdoctor.cli.streams import working_folder, write_out
from vqdoctor.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from vqdoctor.app.repair import RepairRequest

EXAMPLES = (
    ("What would k-means do? Nothing is written", "vqdoctor repair vq.ckpt --kmeans --features latents.npy --dry-run"),
    (
        "Re-estimate all codes; IDs stay near their old meaning",
        "vqdoctor repair vq.ckpt --kmeans --features latents.npy -o repaired.ckpt",
    ),
    (
        "Move dead codes only; live rows stay bit for bit",
        "vqdoctor repair vq.ckpt --reset-dead --features latents.npy -o repaired.ckpt",
    ),
    ("What the diagnosis prescribes, and why", "vqdoctor repair vq.ckpt --auto -o repaired.ckpt"),
    ("Sums that disagree with their codes: no features needed", "vqdoctor repair vq.ckpt --sync-ema -o repaired.ckpt"),
    ("Take it back, bit for bit", "vqdoctor repair --undo repaired.ckpt.repair.json -o original.ckpt"),
)
WHAT, WHICH, WHERE = "What to do (one of)", "On what", "Where it goes"
METHODS = ("kmeans", "reset_dead", "split", "sanitize", "sync_ema", "freeze_init", "auto")


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint", metavar="CKPT", required=False, shell_complete=complete_path)
@option("--kmeans", is_flag=True, group=WHAT, help="Re-estimate the codes by k-means on features.")
@option("--reset-dead", is_flag=True, group=WHAT, help="Move dead codes onto the rows served worst; live ones stay.")
@option("--split", is_flag=True, group=WHAT, help="Dead codes share the cells of the largest distortion (LBG).")
@option("--sanitize", is_flag=True, group=WHAT, help="Replace rows with NaN or Inf, zero rows and exact copies.")
@option("--sync-ema", is_flag=True, group=WHAT, help="Make running sums agree with codes and counts.")
@option("--freeze-init", is_flag=True, group=WHAT, help="Set the initialised flag.")
@option(
    "--auto",
    is_flag=True,
    group=WHAT,
    help="What the diagnosis prescribes, by your thresholds; what its preview finds worse gives way to the next remedy.",
)
@option("--undo", metavar="NOTE", group=WHAT, help="Restore what OUT.repair.json tells of.")
@option(
    "--features", metavar="[NAME=]F", multiple=True, group=WHICH, help="Encoder outputs, rows (N, D) [default: those beside CKPT]."
)
@option(
    "--quantizer", metavar="NAME", group=WHICH, shell_complete=complete_quantizer, help="Which one, where the file holds several."
)
@option("--level", "levels", type=click.IntRange(min=0), multiple=True, group=WHICH, help="Only this level; repeatable.")
@option("--only-dead", is_flag=True, group=WHICH, help="With --kmeans: move dead codes only.")
@option("--threshold", type=Finite(0, min_open=True), group=WHICH, help="Also codes under this share of the uniform rate.")
@option("--threshold-count", type=Finite(0, min_open=True), group=WHICH, help="Also codes with fewer hits than this.")
@option("--match-ids/--no-match-ids", default=None, group=WHICH, help="Number new codes as the old ones near them.")
@option("--keep-optimizer", is_flag=True, group=WHICH, help="Leave the optimiser's memory of changed rows.")
@option(
    "--metric", type=click.Choice(["l2", "cosine"]), group=WHICH, help="How the model looks codes up, where the file cannot say."
)
@option("--seed", type=click.IntRange(min=0), default=0, show_default=True, group=WHICH, help="Of every draw.")
@option("-o", "--out", metavar="OUT", group=WHERE, help="The repaired copy.")
@option("--in-place", is_flag=True, group=WHERE, help="CKPT itself; the original stays as CKPT.bak.")
@option("--no-backup", is_flag=True, group=WHERE, help="With --in-place: do not keep CKPT.bak.")
@option("--dry-run", is_flag=True, group=WHERE, help="Only show the plan.")
@option("--tui", is_flag=True, group=WHERE, help="Choose, preview and decide on the terminal; nothing else to give but --features.")
@option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    group=WHERE,
    help="Of what is shown.",
)
@option("--quiet", is_flag=True, group=WHERE, help="No progress on standard error.")
@color_option
@option("--debug", is_flag=True, expose_value=False, group=WHERE, help="Show the traceback of an error.")
def command(checkpoint: str | None, undo: str | None, form: str, color: str, quiet: bool, **asked: Any) -> int:
    """Treat the codebooks of CKPT in a copy: plan, preview on rows held out, write, prove, and keep the way back.

    Exit status: 0 also where there is nothing to repair, which is said; 2 where what was asked for cannot be done.
    """
    if undo is not None:
        return _undo(undo, asked)
    if checkpoint is None:
        raise UsageError("Name the checkpoint to repair.")
    if asked["tui"]:
        return _choose(checkpoint, asked, color)
    out = _target(checkpoint, asked)
    return _repair(checkpoint, out, _request(asked), asked, form, color, quiet)


def _choose(checkpoint: str, asked: dict[str, Any], color: str) -> int:
    """On the terminal, until the user leaves."""
    chosen = [
        name for name in (*METHODS, "only_dead", "in_place", "dry_run", "out", "quantizer", "levels", "threshold") if asked[name]
    ]
    if chosen:
        raise UsageError(f"--tui asks for everything on the terminal; leave {_options(chosen)} away.")
    require_terminal("--tui")
    features = [split_features(given) for given in asked["features"]]
    if len(features) > 1 or any(name for name, _ in features):
        raise UsageError("--tui takes one file of --features, without a name.")
    from vqdoctor.cli.config import project_rules
    from vqdoctor.tui.repair_app import show  # 0.2 s, and only where a person looks

    screen, rules = screen_of(sys.stdout, color), project_rules(Path(working_folder()))
    return show(checkpoint, features[0][1] if features else None, no_color=not screen.color, unicode=screen.unicode, rules=rules)


def _undo(note: str, asked: dict[str, Any]) -> int:
    from vqdoctor.app.repair import undo

    beside = [name for name in (*METHODS, "dry_run", "in_place", "tui") if asked[name]]
    if beside:
        raise UsageError(f"--undo only restores; leave {_options(beside)} away.")
    if asked["out"] is None:
        raise UsageError("--undo needs a place for the restored file.", hint="Give -o RESTORED.")
    written = undo(note, _file(asked["out"]))
    write_out(f"{printable(written.path)}: as it was before the repair, bit for bit (sha256 {written.sha256[:12]}…)\n")
    return int(ExitCode.OK)


def _target(checkpoint: str, asked: dict[str, Any]) -> str | None:
    """Where the copy goes, None for a dry run."""
    if asked["dry_run"]:
        return None
    if asked["in_place"]:
        if asked["out"] is not None:
            raise UsageError("--in-place and -o name two places.", hint="Leave one away.")
        return checkpoint
    if asked["out"] is None:
        raise UsageError(
            "Say where the repaired copy goes: -o OUT.", hint="--dry-run only shows the plan; --in-place changes CKPT."
        )
    return _file(asked["out"])


def _file(out: str) -> str:
    if out == "-":
        raise UsageError("a checkpoint does not go to standard output.", hint="Name a file: -o OUT.")
    return out


def _options(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _request(asked: dict[str, Any]) -> RepairRequest:
    """The treatment that the options name.

    Raises:
        UsageError: none, or more than one.
    """
    from vqdoctor.app.repair import RepairRequest
    from vqdoctor.cli.config import project_rules
    from vqdoctor.treatment import TreatmentRequest

    named = [method for method in METHODS if asked[method]]
    selective = asked["only_dead"] or asked["threshold"] is not None or asked["threshold_count"] is not None
    if len(named) != 1:
        raise UsageError(f"Name one thing to do, of {_options(METHODS)}.", hint="vqdoctor inspect says what helps.")
    if selective and named[0] not in ("kmeans", "reset_dead", "split"):
        raise UsageError("--only-dead and --threshold go with --kmeans, --reset-dead or --split.")
    treatment = TreatmentRequest(
        named[0].replace("_", "-"), only_dead=asked["only_dead"], threshold=asked["threshold"],
        threshold_count=asked["threshold_count"], match_ids=asked["match_ids"], levels=asked["levels"] or None,
        keep_optimizer=asked["keep_optimizer"], seed=asked["seed"],
    )  # fmt: skip
    features = tuple(split_features(given) for given in asked["features"])
    rules = project_rules(Path(working_folder())) if asked["auto"] else {}  # nobody judges what was asked for by name
    return RepairRequest(treatment, features, asked["quantizer"], asked["metric"], rules)


def _repair(
    checkpoint: str, out: str | None, request: RepairRequest, asked: dict[str, Any], form: str, color: str, quiet: bool
) -> int:
    from vqdoctor.app.repair import RepairPlan, RepairResult, describe, plan_repair, repair
    from vqdoctor.cli.progress import progress_for
    from vqdoctor.render.repair_text import show_repair
    from vqdoctor.render.to_json import pretty

    progress = progress_for(quiet, color)
    done: RepairPlan | RepairResult
    try:
        if out is None:
            done = plan_repair(checkpoint, request, progress)
        else:
            done = repair(checkpoint, out, request, in_place=asked["in_place"], backup=not asked["no_backup"], progress=progress)
    finally:
        progress.stop()
    note = done.note if isinstance(done, RepairResult) else describe(done)
    nothing = not note["tensors"]
    if form == "json":
        write_out(pretty(note))
    else:
        write_out(show_repair(note, screen_of(sys.stdout, color), nothing=nothing))
    return int(ExitCode.OK)

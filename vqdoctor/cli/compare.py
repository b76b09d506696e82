"""`vqdoctor compare`: what happened to the codes between two checkpoints, or along a folder of them."""

from __future__ import annotations

import os
import sys

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_path, complete_rule_name
from vqdoctor.cli.options import color_option, screen_of
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import ExitCode, UsageError

EXAMPLES = (
    ("Which codes moved, died, came back, never changed?", "vqdoctor compare epoch1.ckpt epoch9.ckpt"),
    ("Along a run: one line a checkpoint, oldest first", "vqdoctor compare runs/vq/"),
    ("Where did it go wrong? By bisection", "vqdoctor compare runs/vq/ --first-bad VQ101"),
    ("For programs", "vqdoctor compare a.ckpt b.ckpt --format json"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("paths", metavar="A [B]", nargs=-1, required=True, shell_complete=complete_path)
@option(
    "--first-bad",
    metavar="RULE",
    shell_complete=complete_rule_name,
    help="With one folder: the first checkpoint in which this rule fires.",
)
@option("--scan", is_flag=True, help="With --first-bad: look at every checkpoint, not by bisection.")
@option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What standard output gets."
)
@color_option
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(paths: tuple[str, ...], first_bad: str | None, scan: bool, form: str, color: str) -> int:
    """Compare checkpoint B with the earlier A, or the checkpoints of one folder in turn."""
    from vqdoctor.app.compare import compare_checkpoints, find_first_bad, time_line
    from vqdoctor.render.compare_text import show_comparison, show_first_bad, show_time_line
    from vqdoctor.render.to_json import pretty

    if len(paths) > 2 or (len(paths) == 1 and not os.path.isdir(paths[0])) or (first_bad and len(paths) == 2):
        raise UsageError("Give two checkpoints, or one folder of them.", hint="--first-bad goes with one folder.")
    if len(paths) == 2:
        found, show = compare_checkpoints(*paths), show_comparison
    elif first_bad is not None and not scan:
        found, show = find_first_bad(paths[0], first_bad), show_first_bad
    else:
        found, show = time_line(paths[0], first_bad), show_time_line
    write_out(pretty(found) if form == "json" else show(found, screen_of(sys.stdout, color)))
    return int(ExitCode.OK)

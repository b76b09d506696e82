"""`vqdoctor compare`: what happened to the codes between two checkpoints, or along a folder of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_path, complete_rule_name
from vqdoctor.cli.options import LEVELS, color_option, complete_view, refuse_overwriting, screen_of, standard_output
from vqdoctor.cli.streams import working_folder, write_out
from vqdoctor.errors import ExitCode, UsageError
from vqdoctor.render import Screen

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXAMPLES = (
    ("Which codes moved, died, came back, never changed?", "vqdoctor compare epoch1.ckpt epoch9.ckpt"),
    ("Which of two runs ended better, and in what?", "vqdoctor compare a/log.jsonl b/metrics.csv"),
    ("Along a run: one line a checkpoint, oldest first", "vqdoctor compare runs/vq/"),
    ("Where did it go wrong? By bisection", "vqdoctor compare runs/vq/ --first-bad VQ101"),
    ("For programs", "vqdoctor compare a.ckpt b.ckpt --format json"),
    ("For a person and a program in one run", "vqdoctor compare a.ckpt b.ckpt -o json=changes.json"),
    ("For a pull request", "vqdoctor compare runs/vq/ --format markdown"),
)

FORMATS = ("text", "json", "jsonl", "markdown")
"""Views of a comparison; the other formats tell of findings, and `inspect` has those of each checkpoint."""


class View(click.ParamType[tuple[str, str]]):
    """``FORMAT=PATH``."""

    name = "FORMAT=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The format and the path."""
        form, _, path = str(value).partition("=")
        if form not in FORMATS or not path:
            words = f"expected FORMAT=PATH with a format of {', '.join(FORMATS)}, for example json=changes.json."
            self.fail(f"{words} vqdoctor inspect has the other formats.", param, ctx)
        return form, path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The formats; a path comes after."""
        return complete_view(FORMATS, incomplete)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("paths", metavar="A [B]", nargs=-1, required=True, shell_complete=complete_path)
@option(
    "--first-bad",
    metavar="RULE",
    shell_complete=complete_rule_name,
    help="With one folder: the first checkpoint in which this rule fires.",
)
@option("--scan", is_flag=True, help="With --first-bad: look at every checkpoint, not by bisection.")
@option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="What standard output gets.")
@option(
    "-o",
    "--report",
    "targets",
    type=View(),
    multiple=True,
    help="Write this view to a file as well (-: standard output); repeatable.",
)
@color_option
@option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="never",
    show_default=True,
    help="Exit with 1 where the later one has a finding this grave; with --first-bad: where the rule fires at all.",
)
@option("--quiet", is_flag=True, help="No progress on standard error.")
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(
    paths: tuple[str, ...], first_bad: str | None, scan: bool, form: str, targets: tuple[tuple[str, str], ...], color: str,
    fail_on: str, quiet: bool,
) -> int:  # fmt: skip
    """Compare checkpoint B with the earlier A, two runs by their logs, or the checkpoints of one folder in turn."""
    from vqdoctor.app.compare import find_first_bad, time_line
    from vqdoctor.app.compare_runs import compare_two
    from vqdoctor.cli.config import project_rules
    from vqdoctor.cli.progress import progress_for
    from vqdoctor.render.compare_text import show_comparison, show_first_bad, show_time_line
    from vqdoctor.safe_write import write_atomically

    if len(paths) > 2 or (len(paths) == 1 and not os.path.isdir(paths[0])) or (first_bad and len(paths) == 2):
        raise UsageError("Give two checkpoints, two logs, or one folder of checkpoints.", hint="--first-bad goes with one folder.")
    form, targets = standard_output(form, targets)
    refuse_overwriting(paths, [path for _, path in targets])
    progress, rules = progress_for(quiet), project_rules(Path(working_folder()))
    try:
        if len(paths) == 2:
            found, show = compare_two(*paths, progress, rules), show_comparison
        elif first_bad is not None and not scan:
            found, show = find_first_bad(paths[0], first_bad, progress, rules), show_first_bad
        else:
            found, show = time_line(paths[0], first_bad, progress, rules), show_time_line
    finally:
        progress.stop()

    def view(form: str, screen: Screen) -> str:
        return show(found, screen) if form == "text" else _written(found, form)

    for each, path in targets:
        write_atomically(path, view(each, Screen()).encode("utf-8", errors="backslashreplace"))
    write_out(view(form, screen_of(sys.stdout, color)))
    return int(ExitCode.FINDINGS if _is_grave(found, fail_on) else ExitCode.OK)


def _written(found: Mapping[str, Any], form: str) -> str:
    """For a program (indented, or on one line) or for a pull request."""
    if form == "markdown":
        from vqdoctor.render.compare_markdown import show_markdown

        return show_markdown(found)
    from vqdoctor.render.to_json import pretty

    return (json.dumps(found, ensure_ascii=True, allow_nan=False) if form == "jsonl" else pretty(found)) + "\n"


def _is_grave(found: Mapping[str, Any], fail_on: str) -> bool:
    """Whether the later of two, the last of a time line, or with a rule any checkpoint has a finding as grave as `fail_on` says."""
    if "gravest" in found:
        severity = found["gravest"][-1]
    elif found.get("rule") is not None:
        return fail_on != "never" and found["first_bad"] is not None
    else:
        severity = found["timeline"][-1]["gravest"]
    return fail_on != "never" and severity is not None and LEVELS.index(severity) >= LEVELS.index(fail_on)

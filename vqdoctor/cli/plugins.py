"""`vqdoctor plugins`: what is built in and what is installed beside it, where it is from, and whether it works."""

from __future__ import annotations

import sys

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.options import color_option, screen_of
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import ExitCode

SEAMS = ("layouts", "log_readers", "rules", "engines", "metrics")
EXAMPLES = (
    ("What is installed beside the built-in parts, and does it work?", "vqdoctor plugins"),
    ("Every family of checkpoints that is known", "vqdoctor plugins layouts"),
    ("For a program", "vqdoctor plugins --format json"),
    ("Run without any plugin", "VQDOCTOR_PLUGINS=none vqdoctor inspect model.ckpt"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("seam", required=False, type=click.Choice(SEAMS))
@option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people or programs.")
@color_option
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(seam: str | None, form: str, color: str) -> int:
    """List layouts, log readers, rules, engines and metrics: built in and installed, with origin, version and state.

    SEAM lists one kind in full. Exit status 1 where an installed plugin is broken.
    """
    from vqdoctor.app.extensions import extensions
    from vqdoctor.plugins import POINTS
    from vqdoctor.render.extensions import as_json, as_text

    found = [one for one in extensions() if seam in (None, one.seam) or one.seam == POINTS]  # they may have been of this kind
    write_out(as_json(found) if form == "json" else as_text(found, screen_of(sys.stdout, color), whole=seam is not None))
    return ExitCode.FINDINGS if any(one.state == "broken" for one in found) else ExitCode.OK

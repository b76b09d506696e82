"""`vqdoctor inspect --list`: names the codebooks. What only measuring needs is refused, not ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from vqdoctor.app.listing import list_codebooks
from vqdoctor.app.request import InspectRequest
from vqdoctor.cli.options import Output, deliver, refuse_overwriting, warn_about
from vqdoctor.errors import ExitCode, UsageError, VqdoctorError
from vqdoctor.render.listing import as_json, as_text

READING = ("quantizer", "metric", "select", "axis")
SERVES = (*READING, "paths", "listed", "form", "targets", "color", "quiet", "debug")
FORMATS = ("text", "json")


def list_files(paths: Sequence[str], output: Output, warn: Callable[[VqdoctorError], None], asked: Mapping[str, Any]) -> int:
    """Prints what the files hold. asked: the options of `inspect`, by name.

    Raises:
        UsageError: an option was given that needs measures, or a format that lists have not.
    """
    refuse_measuring(click.get_current_context())
    for form in (output.format, *(form for form, _ in output.targets)):
        if form not in FORMATS:
            raise UsageError(f"--list is written as {' or '.join(FORMATS)}, not as {form}.")
    refuse_overwriting(paths, [path for _, path in output.targets])
    listings = list_codebooks(paths, InspectRequest(**{name: asked[name] for name in READING}), warn)
    if not output.quiet:
        warn_about(listings)
    deliver((), output, own={"text": lambda screen: as_text(listings, screen), "json": lambda screen: as_json(listings)})
    return ExitCode.OK


def refuse_measuring(context: click.Context) -> None:
    """Raises:
    UsageError: an option of the line has no meaning for a list.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in SERVES and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--list measures nothing; leave {parameter.opts[-1]} away.")

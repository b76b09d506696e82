"""The options that every reporting command shares, and what comes of them: which views, where to, and the exit status."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import click
from click.core import ParameterSource

from vqdoctor.cli.command import option
from vqdoctor.cli.streams import working_folder, write_out
from vqdoctor.errors import ExitCode, UsageError, printable
from vqdoctor.render import RENDERERS, Screen, renderer

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from vqdoctor.model import Listing
    from vqdoctor.model.gate import GateResult
    from vqdoctor.model.report import Finding, Report

FORMATS = tuple(each.name for each in RENDERERS)
LEVELS = ("never", "info", "warning", "error")
NARROW, WIDE, UNSEEN = 80, 200, 120  # columns: least, most, and where nobody looks
GROUP = "Output"


class ReportTarget(click.ParamType[tuple[str, str]]):
    """``FORMAT=PATH``."""

    name = "FORMAT=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The format and the path."""
        form, _, path = str(value).partition("=")
        if form not in FORMATS or not path:
            self.fail(f"expected FORMAT=PATH with a format of {', '.join(FORMATS)}, for example json=report.json.", param, ctx)
        return form, path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The formats; a path comes after."""
        return complete_view(FORMATS, incomplete)


def complete_view(formats: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """``json=`` and its like."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(f"{form}=") for form in formats if form.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class Output:
    """What the shared options say. targets: (format, path) of the reports to write beside standard output."""

    format: str
    targets: tuple[tuple[str, str], ...]
    color: str
    fail_on: str
    quiet: bool

    def wants(self, form: str) -> bool:
        """True where standard output or a file is to be of this format."""
        return form in (self.format, *(each for each, _ in self.targets))

    def screen(self, stream: TextIO) -> Screen:
        """What `stream` can show."""
        return screen_of(stream, self.color)


def reporting(command: Callable[..., Any], fail_on_default: str = "never") -> Callable[..., Any]:
    """Adds the shared options; the command gets them as one argument, `output`."""

    @wraps(command)
    def wrapped(
        *args: Any, form: str, targets: tuple[tuple[str, str], ...], color: str, fail_on: str, quiet: bool, **kwargs: Any
    ) -> Any:
        form, targets = standard_output(form, targets)
        return command(*args, output=Output(form, targets, color, fail_on, quiet), **kwargs)

    for add in reversed((*OPTIONS, fail_on_option(fail_on_default))):
        wrapped = add(wrapped)
    return wrapped


def standard_output(form: str, targets: tuple[tuple[str, str], ...]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The view that standard output gets, and the views that go to files: ``-o json=-`` is ``--format json``.

    Raises:
        UsageError: standard output is to get two views.
    """
    asked = dict.fromkeys(each for each, path in targets if path == "-")
    if click.get_current_context().get_parameter_source("form") is ParameterSource.COMMANDLINE:
        asked |= {form: None}
    if len(asked) > 1:
        raise UsageError(f"standard output takes one view, not {' and '.join(asked)}.", hint="Write the others to files.")
    return next(iter(asked), form), tuple((each, path) for each, path in targets if path != "-")


color_option = option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    group=GROUP,
    help="auto: on a terminal, or with FORCE_COLOR; never with NO_COLOR.",
)
OPTIONS = (
    option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        group=GROUP,
        help="What standard output gets.",
    ),
    option(
        "-o",
        "--report",
        "targets",
        type=ReportTarget(),
        multiple=True,
        group=GROUP,
        help="Write this view to a file as well (-: standard output); repeatable.",
    ),
    color_option,
    option("--quiet", is_flag=True, group=GROUP, help="No progress and no warnings on standard error."),
    option("--debug", is_flag=True, expose_value=False, group=GROUP, help="Show the traceback of an error."),
)


def fail_on_option(default: str) -> Callable[..., Any]:
    """``--fail-on``, whose default is the command's own (contract §2)."""
    words = "Exit with 1 on a finding this grave."
    return option("--fail-on", type=click.Choice(LEVELS), default=default, show_default=True, group=GROUP, help=words)


def screen_of(stream: TextIO, color: str) -> Screen:
    """Width, colour and characters of `stream`: the only place that looks at the terminal and its environment."""
    seen = stream.isatty()
    columns = shutil.get_terminal_size((UNSEEN, 24)).columns if seen or "COLUMNS" in os.environ else UNSEEN
    told = os.environ.get("FORCE_COLOR", "") not in ("", "0")
    wanted = not os.environ.get("NO_COLOR") and (told or (seen and os.environ.get("TERM") != "dumb"))
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Screen(
        width=max(NARROW, min(WIDE, columns)),
        color=color == "always" or (color == "auto" and wanted),
        unicode=encoding.startswith("utf"),
        folder=working_folder(),
    )


def has_terminal() -> bool:
    """Whether a dashboard can be drawn and steered: a person sits at a terminal that can do more than print lines."""
    streams = (sys.stdin, sys.stdout, sys.__stderr__)  # Textual draws on the last one
    return all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def require_terminal(option: str) -> None:
    """A dashboard without a terminal would wait for keys for ever.

    Raises:
        UsageError: keys cannot be read, or nobody could see it.
    """
    if not has_terminal():
        raise UsageError(
            f"{option} needs a terminal to draw on and to read keys from; there is none here.", hint=f"Leave {option} away."
        )


OwnViews = Mapping[str, Callable[[Screen], str]]
"""Views of a command's own, by format."""


def write_targets(reports: Sequence[Report], output: Output, gate: GateResult | None = None, own: OwnViews | None = None) -> None:
    """Write the files that -o names, and the summary of a GitHub job; see `deliver`."""
    from vqdoctor.safe_write import write_atomically

    for form, path in output.targets:
        written = _view(form, Screen(folder=working_folder()), reports, gate, own)
        write_atomically(path, written.encode("utf-8", errors="backslashreplace"))
    if output.wants("github"):
        add_job_summary(reports, gate)


def deliver(
    reports: Sequence[Report],
    output: Output,
    more: Callable[[Screen], str] | None = None,
    gate: GateResult | None = None,
    own: OwnViews | None = None,
) -> None:
    """Write the files, then standard output, so that a closed pipe costs nobody a file.

    Args:
        more: what follows the text view. gate: the outcome of a gate over these reports.
        own: views of the command's own, by format.
    """
    write_targets(reports, output, gate, own)
    screen = output.screen(sys.stdout)
    if output.format != "text" and not output.quiet:
        warn_about(reports)
    write_out(_view(output.format, screen, reports, gate, own) + (more(screen) if more else ""))


def _view(form: str, screen: Screen, reports: Sequence[Report], gate: GateResult | None, own: OwnViews | None) -> str:
    if own is not None and form in own:
        return own[form](screen)
    return renderer(form).render(reports, screen, gate)


def add_job_summary(reports: Sequence[Report], gate: GateResult | None = None) -> None:
    """Add to the summary of a GitHub job, where one runs: after what other commands of its step wrote, and within its limit."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from vqdoctor.render.to_github import ROOM, summary

    taken = os.path.getsize(path) if os.path.exists(path) else 0
    words = summary(reports, gate, room=max(0, ROOM - taken))
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(words)


def warn_about(looked_at: Iterable[Report | Listing]) -> None:
    """Formats for programs carry warnings as data; a person who runs them should see them too."""
    for report in looked_at:
        for warning in report.source.warnings:
            sys.stderr.write(f"vqdoctor: warning: {printable(report.source.path)}: {printable(warning, 1000)}\n")


class Judged(Protocol):
    """Something with findings: a report, a run."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found."""
        ...


def exit_status(reports: Iterable[Judged], fail_on: str) -> int:
    """1 where a finding is at or above `fail_on`."""
    grave = LEVELS[LEVELS.index(fail_on) :] if fail_on != "never" else ()
    found = any(finding.severity in grave for report in reports for finding in report.findings)
    return int(ExitCode.FINDINGS if found else ExitCode.OK)


def refuse_overwriting(inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """No report may replace a file that is being looked at.

    Raises:
        UsageError: an output is the same file as an input, by whatever name.
    """
    for written in outputs:
        for read in inputs:
            if os.path.exists(written) and os.path.exists(read) and os.path.samefile(written, read):
                raise UsageError("this is an input; a report must not replace it.", where=written, hint="Name another file.")

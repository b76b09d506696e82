"""What `vqdoctor watch` takes: words of the command line as values, each refused at once where it cannot hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from vqdoctor.cli.options import Output, refuse_overwriting
from vqdoctor.errors import UsageError, printable

if TYPE_CHECKING:
    from vqdoctor.app.watching.goal import Goal

OWN = ("text", "json", "jsonl")
"""Views of a watch itself; the other formats show each run as a report, once at the end."""


class Binding(click.ParamType[tuple[str, str]]):
    """``NAME=METRIC``: what a name of the log means here."""

    name = "NAME=METRIC"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Name as the log spells it, and a metric of ours."""
        from vqdoctor.metrics import METRICS

        name, _, metric = str(value).rpartition("=")
        known = [page.name for page in METRICS]
        if not name or metric not in known:
            close = get_close_matches(metric, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ", for example my/usage=usage.utilization."
            self.fail(f"expected NAME=METRIC with a metric of ours{hint}", param, ctx)
        return name, metric

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Metrics, once a name is there."""
        from vqdoctor.metrics import METRICS

        name, equals, begun = incomplete.rpartition("=")
        found = [page.name for page in METRICS if page.name.startswith(begun)] if equals else []
        return [CompletionItem(f"{name}={metric}") for metric in found]


class Until(click.ParamType[str]):
    """A rule, or "end"."""

    name = "RULE|end"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """ "end", or the rule's id."""
        from vqdoctor.diagnosis import rule_named

        try:
            return "end" if value == "end" else rule_named(str(value)).id
        except UsageError as error:
            self.fail(f"{error.what} {error.hint or 'It is a rule, such as VQ501, or end.'}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Rules, and "end"."""
        from vqdoctor.diagnosis import known_rules

        words = [("end", "every run is over"), *((rule.id, rule.title) for rule in known_rules())]
        return [CompletionItem(word, help=title) for word, title in words if word.lower().startswith(incomplete.lower())]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that say what to watch and when to stop; see the command's help."""

    paths: tuple[str, ...]
    once: bool
    plain: bool
    until: str | None
    timeout: float | None
    forever: bool
    poll: float
    record: str | None
    state: str | None
    replay: str | None
    speed: float
    demo: bool

    def goal(self, *, seen: bool) -> Goal:
        """When to stop. seen: a person looks at a screen, and stops it when they want to."""
        from vqdoctor.app.watching.goal import Goal

        over = self.until is not None or not (seen or self.forever)
        return Goal(None if self.until == "end" else self.until, over, self.timeout)


def refuse_contradictions(asked: Asked, output: Output) -> None:
    """Everything that can be told before anything is read.

    Raises:
        UsageError: options that cannot hold together, or a file that would be read and written.
    """
    sources = [bool(asked.paths), asked.replay is not None, asked.demo]
    if sum(sources) != 1:
        more = "PATH, --replay and --demo exclude each other." if sum(sources) else "Name a log or a folder of runs."
        raise UsageError(more, hint="vqdoctor watch runs/, or vqdoctor watch --demo.")
    if asked.once and (asked.until or asked.timeout or asked.forever or asked.record):
        raise UsageError("--once looks once.", hint="Leave --until, --timeout, --forever and --record away.")
    if asked.record and not asked.paths and not asked.demo:
        raise UsageError("--record records a watch, and this is a replay.")
    written = [path for _, path in output.targets] + [path for path in (asked.record, asked.state) if path]
    refuse_overwriting([*asked.paths, *([asked.replay] if asked.replay else [])], written)
    _refuse_inside(asked.paths, written)


def _refuse_inside(paths: Sequence[str], written: Sequence[str]) -> None:
    """A file that grows with what is seen must not be what is seen."""
    for folder in filter(os.path.isdir, paths):
        for path in written:
            if os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
                raise UsageError(f"lies in {printable(folder)}, which is watched.", where=path, hint="Write it to another folder.")

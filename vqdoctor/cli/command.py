"""How our commands look to click: help with examples first and options in groups, and a table of commands loaded on demand."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FILES = ("F", "D", "FILE", "DIR", "CKPT", "OUT", "NOTE", "[NAME=]F")
"""What an option's value is called where it is a file or a folder."""


class Command(click.Command):
    """A command whose help shows its examples before its options.

    Args:
        examples: (what it does, command line) pairs.
    """

    def __init__(self, *args: Any, examples: Iterable[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, purpose, examples, options by group."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        show_examples(self.examples, formatter)
        self.format_options(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A section for each group, in the order in which they first appear."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)


class GroupedOption(click.Option):
    """An option that says under which heading of the help it stands. One that takes a file is completed as one."""

    def __init__(self, *args: Any, group: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Its own names; the shell's files where it takes one."""
        if self.metavar not in FILES:
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def option(*names: str, group: str = "Options", **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`click.option` with a heading."""
    return click.option(*names, cls=GroupedOption, group=group, **kwargs)


def show_examples(examples: Iterable[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    """Each with a line on what it does; the command itself is never wrapped, so that it can be copied."""
    with formatter.section("Examples"):
        for number, (purpose, line) in enumerate(examples):
            formatter.write("\n" if number else "")
            formatter.write(f"{'':{formatter.current_indent}}# {purpose}\n{'':{formatter.current_indent}}{line}\n")


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command's module when it is called.

    Args:
        table: name → (module that holds a command named `command`, half a line of help).
    """

    def __init__(
        self, *args: Any, table: Mapping[str, tuple[str, str]], examples: Iterable[tuple[str, str]] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None where there is none of that name."""
        if cmd_name not in self.table:
            return None
        command: click.Command = import_module(self.table[cmd_name][0]).command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name where there is none of this one."""
        close = difflib.get_close_matches(args[0], self.table, n=1) if args[0] not in self.table else []
        if close:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, purpose, examples, commands, options: without importing a single command."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        show_examples(self.examples, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.table.items()])
        click.Command.format_options(self, ctx, formatter)
        self.format_epilog(ctx, formatter)

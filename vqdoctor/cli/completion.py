"""What a shell offers behind TAB: names of rules, metrics, settings, and of what the named checkpoint holds.

A shell asks in the middle of a line that is not finished: nothing here complains, and nothing of a checkpoint but its header is
read. Set up by ``eval "$(_VQDOCTOR_COMPLETE=bash_source vqdoctor)"`` (zsh_source, fish_source).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from vqdoctor.model import TensorSource

MOST = 200  # names that are offered; a shell shows no more
LEVELS = ("error", "warning", "info", "off")


def complete_path(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files."""
    return [CompletionItem(incomplete, type="file")]


def complete_bound(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Metrics that start so, behind the place that stands before them; and places, as long as none does."""
    from vqdoctor.metrics import METRICS

    place, colon, begun = incomplete.rpartition(":")
    found = [CompletionItem(f"{place}{colon}{each.name}=", help=each.title) for each in METRICS if each.name.startswith(begun)]
    return found if colon else found + [CompletionItem(f"{name}:", help=about) for name, about in _quantizers(ctx, incomplete)]


def complete_rule(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Rules that start so, by id or by name; behind "=" a level."""
    name, equals, begun = incomplete.partition("=")
    if equals:
        return [CompletionItem(f"{name}={level}") for level in LEVELS if level.startswith(begun)]
    return [CompletionItem(f"{word}=", help=title) for word, title in _rules(incomplete)]


def complete_rule_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Rules that start so, by id or by name."""
    return [CompletionItem(word, help=title) for word, title in _rules(incomplete)]


def complete_quantizer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Quantisers of the checkpoint that the line names."""
    return [CompletionItem(name, help=about) for name, about in _quantizers(ctx, incomplete)]


def complete_tensor(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tensors of the checkpoint that the line names, those with two axes: what a codebook may be."""
    with _opened(ctx) as source:
        specs = () if source is None else source.specs.values()
        found = [spec for spec in specs if len(spec.shape) == 2 and spec.name.startswith(incomplete)]
    return [CompletionItem(spec.name, help="×".join(map(str, spec.shape))) for spec in found if spec.name.isprintable()][:MOST]


def complete_engine(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Engines that start so: built in, and installed (none is imported)."""
    from vqdoctor.plugins import installed

    brought = {one.name: one.package for one in installed() if one.seam == "engines" and one.enabled and one.name.isprintable()}
    known = {"local": "this process"} | brought
    return [CompletionItem(name, help=about) for name, about in known.items() if name.startswith(incomplete)]


def complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Settings of the trainer that start so."""
    from vqdoctor.trainer.settings import SECTION_OF

    return [CompletionItem(f"{name}=", help=section) for name, section in SECTION_OF.items() if name.startswith(incomplete)]


def _rules(begun: str) -> Iterator[tuple[str, str]]:
    from vqdoctor.diagnosis import known_rules

    for rule in known_rules():
        yield from ((word, rule.title) for word in (rule.id, rule.name) if word.lower().startswith(begun.lower()))


def _quantizers(ctx: click.Context, begun: str) -> list[tuple[str, str]]:
    """Name, and layout with sizes, of each."""
    from vqdoctor.layouts import find_quantizers

    with _opened(ctx) as source:
        found = [] if source is None else _quietly(lambda: find_quantizers(source), [])
    named = [one for one in found if one.name.startswith(begun) and one.name.isprintable()]
    return [(one.name, f"{one.layout}, {len(one.levels)} levels") for one in named][:MOST]


@contextmanager
def _opened(ctx: click.Context) -> Iterator[TensorSource | None]:
    """The first file of the line; None where it names none that can be opened."""
    from vqdoctor.checkpoint import open_source

    # An option that still lacks its value keeps click from telling arguments apart: they are left in ctx.args.
    named = [*(ctx.params.get("paths") or ()), ctx.params.get("checkpoint") or "", *ctx.args]
    path = next(filter(os.path.isfile, named), None)
    source = None if path is None else _quietly(lambda: open_source(path), None)
    try:
        yield source
    finally:
        if source is not None:
            source.close()


def _quietly(act: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return act()
    except Exception:  # a half-typed line is no place for an error of any kind
        return otherwise

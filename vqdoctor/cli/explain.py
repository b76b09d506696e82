"""`vqdoctor explain`: the page of a rule, a metric, a recipe or a preset, by id, name, family, or another program's name for it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.options import color_option, screen_of
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import UsageError, printable

if TYPE_CHECKING:
    from vqdoctor.diagnosis import Rule
    from vqdoctor.gating import Preset
    from vqdoctor.metrics.page import MetricPage
    from vqdoctor.trainer.recipes import Recipe

EXAMPLES = (
    ("Everything there is a page for", "vqdoctor explain"),
    ("A finding, by id or by name", "vqdoctor explain VQ103"),
    ("A metric: formula, unit, range, who else reports it and how", "vqdoctor explain usage.perplexity"),
    ("A family of metrics", "vqdoctor explain collision"),
    ("A recipe of the trainer: what it shows, its settings, its expected figures", "vqdoctor explain rq-tuned"),
    ("A preset of gate: what it asks, and where its thresholds come from", "vqdoctor explain strict"),
)


def complete_topic(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Rules, metrics and recipes that start so."""
    return [CompletionItem(name, help=title) for name, title in topics() if name.lower().startswith(incomplete.lower())]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("topic", required=False, shell_complete=complete_topic)
@option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="The page, or its source.",
)
@color_option
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def command(topic: str | None, form: str, color: str) -> None:
    """Explain a rule (VQ103), a metric (usage.perplexity), a recipe (rq-tuned) or a preset (strict), offline.

    Without TOPIC: list all pages.
    """
    from vqdoctor.render.explanation import show_markdown

    page = page_of(topic) if topic else contents()
    write_out(page if form == "markdown" else show_markdown(page, screen_of(sys.stdout, color)))


def topics() -> Iterator[tuple[str, str]]:
    """Every name that has a page, with its title."""
    for rule in _rules():
        yield rule.id, rule.title
        yield rule.name, rule.title
    for metric in _metrics():
        yield metric.name, metric.title
    for recipe in _recipes():
        yield recipe.name, recipe.shows
    for preset in _presets():
        yield preset.name, preset.about


def page_of(topic: str) -> str:
    """The page, as Markdown, that `topic` names.

    Raises:
        UsageError: there is none; the nearest names are told.
    """
    from vqdoctor.diagnosis import page
    from vqdoctor.render.explanation import metric_page
    from vqdoctor.trainer.pages import recipe_page

    wanted = topic.strip().lower()
    for rule in _rules():
        if wanted in (rule.id.lower(), rule.name):
            return page(rule)
    metrics = _metrics()
    for metric in metrics:
        if wanted == metric.name:
            return metric_page(metric)
    for recipe in _recipes():
        if wanted == recipe.name:
            return recipe_page(recipe)
    for preset in _presets():
        if wanted == preset.name:
            return preset.page
    family = [metric for metric in metrics if metric.name.startswith(wanted.removesuffix("*").removesuffix(".") + ".")]
    if family:
        return listing(family, f"{family[0].name.partition('.')[0]}.*")
    known_elsewhere = [metric for metric in metrics if any(wanted in str(alias).lower() for alias in metric.also_known_as)]
    if known_elsewhere:
        return listing(known_elsewhere, f"{printable(topic)!r} elsewhere is here")
    raise _unknown(topic)


def contents() -> str:
    """All pages, as Markdown."""
    rules = "\n".join(f"- `{rule.id}` **{rule.name}**: {rule.title}" for rule in _rules())
    recipes = "\n".join(f"- `{recipe.name}`: {recipe.shows}" for recipe in _recipes())
    presets = "\n".join(f"- `{preset.name}`: {preset.about}" for preset in _presets())
    metrics = listing(_metrics(), "Metrics")
    return f"# Rules\n\n{rules}\n\n{metrics}\n# Recipes\n\n{recipes}\n\n# Presets of gate\n\n{presets}\n"


def listing(metrics: list[MetricPage], heading: str) -> str:
    """Some metrics with their titles, as Markdown."""
    lines = "\n".join(f"- `{metric.name}`: {metric.title}" for metric in metrics)
    return f"# {heading}\n\n{lines}\n"


def _unknown(topic: str) -> UsageError:
    names = [name for name, _ in topics()]
    close = [name for name in names if name.lower() in {*difflib.get_close_matches(topic.lower(), [n.lower() for n in names], n=3)}]
    hint = f"Nearest: {', '.join(close)}." if close else "All pages: vqdoctor explain"
    return UsageError(f"There is no page on {printable(topic)!r}.", hint=hint)


def _rules() -> tuple[Rule, ...]:
    from vqdoctor.diagnosis import known_rules

    return known_rules()


def _metrics() -> list[MetricPage]:
    from vqdoctor.metrics.registry import METRICS

    return list(METRICS)


def _presets() -> tuple[Preset, ...]:
    from vqdoctor.gating import PRESETS

    return PRESETS


def _recipes() -> tuple[Recipe, ...]:
    from vqdoctor.trainer.recipes import RECIPES

    return RECIPES

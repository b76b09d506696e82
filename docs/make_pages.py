"""Writes the reference part of docs/ from the program itself: a page for each command, rule, metric family and recipe.

Run `make docs` from the root after any of them has changed; a test compares what lies there with what this gives. What is written
by hand lies in docs/how-to/ and docs/README.md.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from vqdoctor.cli.entry import commands
from vqdoctor.diagnosis import RULES, page
from vqdoctor.metrics.registry import METRICS
from vqdoctor.render.explanation import metric_page
from vqdoctor.trainer.pages import recipe_page
from vqdoctor.trainer.recipes import RECIPES

DOCS = Path(__file__).parent
GENERATED = ("commands", "rules", "metrics", "recipes")
WIDTH = 100  # columns of a help text
SAID = "<!-- written by `make docs`: do not edit -->\n"


def pages() -> dict[str, str]:
    """Every generated page by its path below docs/."""
    found = dict(itertools.chain(_commands(), _rules(), _metrics(), _recipes()))
    return {path: f"{SAID}{text.rstrip()}\n" for path, text in found.items()}


def _commands() -> Iterator[tuple[str, str]]:
    context = click.Context(commands, info_name="vqdoctor", terminal_width=WIDTH, max_content_width=WIDTH)
    rows = []
    for name, (_, about) in commands.table.items():
        command = commands.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
        rows.append(f"| [`vqdoctor {name}`]({name}.md) | {about} |")
        yield f"commands/{name}.md", f"# vqdoctor {name}\n\n```text\n{command.get_help(inner).rstrip()}\n```\n"
    yield "commands/README.md", _index("Commands", "| command | for |", rows)


def _rules() -> Iterator[tuple[str, str]]:
    by_id = {rule.id: rule for rule in RULES}
    for name, rule in by_id.items():
        yield f"rules/{name}.md", page(rule)
    rows = [f"| [{name}]({name}.md) | {rule.name} | {rule.title} |" for name, rule in sorted(by_id.items())]
    yield "rules/README.md", _index("Rules", "| id | name | what is wrong |", rows)


def _metrics() -> Iterator[tuple[str, str]]:
    rows = []
    for family, group in itertools.groupby(METRICS, key=lambda one: one.name.partition(".")[0]):
        listed = list(group)
        text = "\n".join(metric_page(one).replace("# ", "## ", 1) for one in listed)
        yield f"metrics/{family}.md", f"# {family}.*\n\n{text}"
        rows += [f"| [`{one.name}`]({family}.md) | {one.title} | {one.unit or '–'} |" for one in listed]
    yield "metrics/README.md", _index("Metrics", "| name | what it is | unit |", rows)


def _recipes() -> Iterator[tuple[str, str]]:
    for recipe in RECIPES:
        yield f"recipes/{recipe.name}.md", recipe_page(recipe)
    rows = [f"| [`{recipe.name}`]({recipe.name}.md) | {recipe.shows} |" for recipe in RECIPES]
    yield "recipes/README.md", _index("Recipes of the reference trainer", "| recipe | shows |", rows)


def _index(title: str, head: str, rows: list[str]) -> str:
    return "\n".join([f"# {title}\n", head, "|---" * (head.count("|") - 1) + "|", *rows])


def main() -> None:
    """Replaces the generated folders."""
    for folder in GENERATED:
        shutil.rmtree(DOCS / folder, ignore_errors=True)
    for path, text in pages().items():
        target = DOCS / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

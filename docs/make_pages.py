"""Writes the reference part of docs/ from the program itself: commands, rules, metrics, recipes, presets, settings.

Run `make docs` from the root after any of them has changed; a test compares what lies there with what this gives. What is written
by hand lies in docs/how-to/ and docs/README.md.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from vqdoctor.cli.entry import commands
from vqdoctor.diagnosis import RULES, page
from vqdoctor.diagnosis.overrides import SETTINGS
from vqdoctor.gating.asks import LEVELS, OVERS
from vqdoctor.gating.presets import PRESETS
from vqdoctor.gating.settings import BOUNDS, POLICIES
from vqdoctor.metrics.registry import METRICS
from vqdoctor.render.explanation import metric_page
from vqdoctor.trainer.pages import recipe_page
from vqdoctor.trainer.recipes import RECIPES
from vqdoctor.trainer.settings import Config

DOCS = Path(__file__).parent
GENERATED = ("commands", "rules", "metrics", "recipes", "presets", "settings")
WIDTH = 100  # columns of a help text
SAID = "<!-- written by `make docs`: do not edit -->\n"


def pages() -> dict[str, str]:
    """Every generated page by its path below docs/."""
    found = dict(itertools.chain(_commands(), _rules(), _metrics(), _recipes(), _presets(), _settings()))
    return {path: f"{SAID}{text.rstrip()}\n" for path, text in found.items()}


def _commands() -> Iterator[tuple[str, str]]:
    settings = {**commands.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(commands, info_name="vqdoctor", **settings)
    rows = []
    for name, (_, about) in commands.table.items():
        command = commands.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
        rows.append(f"| [`vqdoctor {name}`]({name}.md) | {about} |")
        yield f"commands/{name}.md", f"# vqdoctor {name}\n\n```text\n{command.get_help(inner).rstrip()}\n```\n"
    whole = f"\n\n```text\n{commands.get_help(context).rstrip()}\n```\n"
    yield "commands/README.md", _index("Commands", "| command | for |", rows) + whole


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


def _presets() -> Iterator[tuple[str, str]]:
    for one in PRESETS:
        yield f"presets/{one.name}.md", one.page
    rows = [f"| [`{one.name}`]({one.name}.md) | {one.about} |" for one in PRESETS]
    yield "presets/README.md", _index("Presets of `vqdoctor gate`", "| preset | for |", rows)


def _settings() -> Iterator[tuple[str, str]]:
    yield "settings/gate.md", _gate_settings()
    yield "settings/rules.md", _rule_settings()
    yield "settings/train.md", _train_settings()
    rows = [
        "| [`[gate]`](gate.md) | `vqdoctor.toml`, `[tool.vqdoctor.gate]` of `pyproject.toml` | what `vqdoctor gate` asks for |",
        "| [`[rules]`](rules.md) | the same files, `[tool.vqdoctor.rules]` | thresholds and severities, of every command |",
        "| [the trainer's](train.md) | `vqdoctor train --set`, `--config` | recipes |",
    ]
    intro = (
        "Of the files, the nearest upward from the working directory counts, `vqdoctor.toml` before `pyproject.toml`; options "
        "override it.\n`vqdoctor gate --show-config` says where each value is from, `--validate-config` finds keys that nothing "
        "reads."
    )
    yield "settings/README.md", _index("Settings", "| settings | where | for |", rows) + f"\n\n{intro}\n"


def _gate_settings() -> str:
    gate = {name: option.help for option in _options("gate") for name in option.opts}
    rows = [f"| `{key}` | {_values(known)} | {gate[f'--{key}']} |" for key, known in POLICIES.items()]
    rows.append(f"| `preset` | {_values([one.name for one in PRESETS])}, or a list | {gate['--preset']} |")
    drop = ', or "2%"'
    bounds = [f"| `{key}` | a number{drop if key == 'max-drop' else ''} | {gate[f'--{key}']} |" for key in BOUNDS]
    bounds.append(f"| `level` | {_values(LEVELS)} | How grave a failure is. |")
    bounds.append(f"| `over` | {_values(OVERS)} | What is asked of several levels. |")
    return (
        _index("[gate]", "| key | values | what |", rows)
        + '\n\nA metric\'s name, behind a place or not (`"quantizer.vq[1]:usage.utilization"`), is a table:\n\n'
        + _index("", "| key | values | what |", bounds).lstrip("# \n")
        + f"\n\nA rule's id or name is {_values((*LEVELS, 'off'))}: no finding of it, and how grave one is.\n"
    )


def _rule_settings() -> str:
    rows = []
    for rule in RULES:
        rows.append(f"| [{rule.id}](../rules/{rule.id}.md) | `severity` | as it grades them | | {_values(SETTINGS)} |")
        rows += [
            f"| {rule.id} | `{name}` | {one.default:g} | {one.unit} | {one.meaning} |" for name, one in rule.thresholds.items()
        ]
    return (
        _index("[rules]", "| rule | key | default | in | passing it means |", rows)
        + '\n\n`VQ103 = "error"` stands for `VQ103 = { severity = "error" }`; a name (`ema-illusion`) may stand for the id.\n'
    )


def _train_settings() -> str:
    parts = [
        "# Settings of the trainer\n\nEach recipe has its own defaults, which its page states; these hold where it says nothing."
    ]
    for section in fields(Config):
        values = getattr(Config(), section.name)
        rows = [f"| `{one.name}` | `{getattr(values, one.name)!r}` |" for one in fields(values)]
        about = " ".join((type(values).__doc__ or "").split())
        parts.append(_index(section.name, "| key | default |", rows).replace("# ", "## ", 1) + f"\n\n{about}")
    return "\n\n".join(parts) + "\n"


def _options(name: str) -> list[click.Option]:
    command = commands.get_command(click.Context(commands), name)
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def _values(known: object) -> str:
    """A closed set of words, or what kind of value."""
    if isinstance(known, type):
        return {bool: "true, false", str: "text"}[known]
    return ", ".join(f"`{word}`" for word in known)


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

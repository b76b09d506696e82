"""The manual: generated pages are those of this program, nothing lacks a page, links lead somewhere, commands shown exist."""

from __future__ import annotations

import re
import runpy
import shlex
from dataclasses import fields
from functools import cache
from pathlib import Path

import click
import pytest

from vqdoctor.cli.entry import COMMANDS, commands
from vqdoctor.diagnosis import RULES
from vqdoctor.gating import PRESETS
from vqdoctor.gating.settings import KEYS, POLICIES
from vqdoctor.metrics import METRICS
from vqdoctor.trainer.recipes import RECIPES
from vqdoctor.trainer.settings import Config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("plugins/*/README.md")])
MAKER = runpy.run_path(str(DOCS / "make_pages.py"))
SAY = "run `make docs`"


@cache
def text(path: str) -> str:
    return (DOCS / path).read_text(encoding="utf-8")


def test_generated_pages_are_up_to_date():
    wanted = MAKER["pages"]()
    there = {str(path.relative_to(DOCS)) for folder in MAKER["GENERATED"] for path in (DOCS / folder).rglob("*.md")}
    assert there == set(wanted), SAY
    assert not [path for path, page in wanted.items() if text(path) != page], SAY


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name):
    page = text(f"commands/{name}.md")
    command = commands.get_command(click.Context(commands), name)
    for parameter in command.params:
        for word in (*parameter.opts, *parameter.secondary_opts) if isinstance(parameter, click.Option) else ():
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", page), f"{name} {word}"


def test_every_rule_metric_recipe_and_preset_is_documented():
    for rule in RULES:
        assert rule.name in text(f"rules/{rule.id}.md") and f"[{rule.id}]" in text("rules/README.md")
    for metric in METRICS:
        assert metric.title in text(f"metrics/{metric.name.partition('.')[0]}.md") and f"`{metric.name}`" in text(
            "metrics/README.md"
        )
    for recipe in RECIPES:
        assert recipe.name in text(f"recipes/{recipe.name}.md") and f"`{recipe.name}`" in text("recipes/README.md")
    for preset in PRESETS:
        assert preset.about in text(f"presets/{preset.name}.md") and f"`{preset.name}`" in text("presets/README.md")


def test_every_setting_is_documented():
    for key in (*POLICIES, *KEYS, "preset"):
        assert f"| `{key}` |" in text("settings/gate.md")
    for rule in RULES:
        for name in rule.thresholds:
            assert f"| {rule.id} | `{name}` |" in text("settings/rules.md")
    for section in fields(Config):
        for one in fields(getattr(Config(), section.name)):
            assert f"| `{one.name}` |" in text("settings/train.md")


def without_code(page: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if not re.match(r"https?:|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), target


def shown() -> list[tuple[str, str]]:
    """Command lines of vqdoctor in the pages that are written by hand."""
    by_hand = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES if path.parent.name not in MAKER["GENERATED"]}
    lines = []
    for page, written in by_hand.items():
        for block in re.findall(r"```(?:sh|console|yaml)\n(.*?)```", written, re.DOTALL):
            lines += [(page, line) for line in re.findall(r"(?:^|run: )(?:\$ )?(vqdoctor .*)$", block, re.MULTILINE)]
    return sorted(set(lines))


@pytest.mark.parametrize(("page", "line"), shown())
def test_commands_that_are_shown_can_be_typed(page, line):
    """Name, options and the values of closed sets are as click takes them."""
    words = shlex.split(line, comments=True)[1:]
    if words and words[0] in COMMANDS:
        commands.get_command(click.Context(commands), words[0]).make_context(words[0], words[1:])
    else:
        assert commands.make_context("vqdoctor", words, resilient_parsing=True)


def test_there_are_commands_shown():
    assert len(shown()) > 25

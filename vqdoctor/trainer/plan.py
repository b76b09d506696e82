"""From what a user asks for to one run's settings: recipe, scale, configuration file, ``--set``, in that order of precedence.

It imports no torch. A demo run is a twentieth of the document's schedule: every duration is divided by the same number, so that
the phases keep their proportions.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqdoctor.errors import UsageError, printable
from vqdoctor.trainer.config import apply, assignments, read
from vqdoctor.trainer.recipes import RECIPES, Recipe, find
from vqdoctor.trainer.settings import Config

DEMO = 20
CONFIG = "config.toml"  # a run's settings, in its folder
DURATIONS = (
    "epochs",
    "warmup_steps",
    "reinit_interval",
    "reinit_start",
    "reinit_stop",
    "commitment_warmup_epochs",
    "warmup_epochs",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is fully decided. notes: keys that were accepted and have no use, and what the scale did."""

    recipe: Recipe
    config: Config
    scale: str
    notes: tuple[str, ...] = ()


def plan(
    name: str,
    *,
    data: str | None = None,
    config_path: str | None = None,
    sets: tuple[str, ...] = (),
    scale: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    resumed: Path | None = None,
) -> Plan:
    """The run that these options describe.

    Args:
        name: of a recipe. sets: "key=value" each. scale: "seed" or "demo", None: the recipe's own.
        overrides: fields from options of their own (epochs, seed, device, keep); None values are left out.
        resumed: folder of a run that goes on: its own settings stand in for the recipe's and the scale's.

    Raises:
        UsageError: no such recipe, key or value. InputError: a configuration file cannot be read.
    """
    recipe = find(name)
    if recipe is None:
        close = difflib.get_close_matches(name, [one.name for one in RECIPES], n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "`vqdoctor train --list` shows them."
        raise UsageError(f"there is no recipe {printable(name)!r}", hint=hint)
    scale, config, notes = _begun(resumed, recipe) if resumed and scale is None else _fresh(recipe, scale or recipe.scale)
    for given in (
        read(config_path) if config_path else {},
        assignments(sets),
        {k: v for k, v in (overrides or {}).items() if v is not None},
    ):
        config, more = apply(config, given)
        notes += more
    if data is not None:
        config = config.but(data=data)
    return Plan(recipe, config, scale, notes)


def _fresh(recipe: Recipe, scale: str) -> tuple[str, Config, tuple[str, ...]]:
    config = Config().but(**recipe.settings)
    if scale == "demo":
        return scale, shortened(config), (f"scale demo: every duration of the schedule divided by {DEMO}",)
    return scale, config, ()


def _begun(folder: Path, recipe: Recipe) -> tuple[str, Config, tuple[str, ...]]:
    """Scale, settings and notes of the run in `folder`; the recipe's where it has none."""
    if not (folder / CONFIG).is_file():
        return _fresh(recipe, recipe.scale)
    config, notes = apply(Config(), read(str(folder / CONFIG)))
    whole = Config().but(**recipe.settings)
    scale = "demo" if config.run.epochs == shortened(whole).run.epochs != whole.run.epochs else "seed"
    return scale, config, notes


def shortened(config: Config) -> Config:
    """A twentieth of every duration, none below one step or epoch that was not 0 or never before."""
    fields = config.flat()
    changes: dict[str, Any] = {}
    for name in DURATIONS:
        value = fields[name]
        if value:
            changes[name] = max(1, round(value / DEMO)) if isinstance(value, int) else value / DEMO
    return config.but(**changes)

"""The reference trainer: plain PyTorch that makes every codebook disease and every cure, with the logs and checkpoints of each.

`plan` decides a run without importing torch; `train_plan` and `train` do it. What a run is: `settings` its every field, `config`
files and ``--set``, `recipes` and `sick` runs as data, `run` its state, `loop` from first epoch to summary, `quantizers` the
codebooks, `upkeep` when they are started, re-estimated and revived.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vqdoctor.trainer.plan import Plan, plan
from vqdoctor.trainer.recipes import RECIPES, Recipe
from vqdoctor.trainer.settings import Config
from vqdoctor.trainer.summary import Summary

if TYPE_CHECKING:
    from vqdoctor.trainer.loop import train, train_plan
    from vqdoctor.trainer.run import Progress

_NEED_TORCH = {"Progress": "vqdoctor.trainer.run", "train": "vqdoctor.trainer.loop", "train_plan": "vqdoctor.trainer.loop"}

__all__ = ["RECIPES", "Config", "Plan", "Progress", "Recipe", "Summary", "plan", "train", "train_plan"]


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEED_TORCH[name]), name)

"""Which of a checkpoint's other values are worth a line in a report's header: step, epoch, best loss."""

from __future__ import annotations

from typing import Any

_MOST = 24
_TEXT = 120
_INT_BOUND = 1 << 63
# one level down only these count: schedulers and callbacks keep numbers of their own there
_PROGRESS = frozenset({
    "step", "steps", "global_step", "epoch", "epochs", "global_epoch", "iter", "iters", "iteration", "iterations", "current_epoch",
    "current_iter", "current_step", "best_loss", "best_collision_rate", "loss",
})  # fmt: skip


def header(tree: Any) -> dict[str, Any]:
    """Plain values at the tree's root, and known words of progress one level below. Strings are cut; NaN and ±Inf are words."""
    if type(tree) is not dict:
        return {}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if type(value) is dict:
            found |= {f"{key}.{word}": value[word] for word in value.keys() & _PROGRESS if _is_plain(value[word])}
        elif _is_plain(value):
            found[str(key)] = value
        if len(found) >= _MOST:
            break
    return {key[:_TEXT]: _shown(value) for key, value in found.items()}


def _is_plain(value: Any) -> bool:
    return type(value) in (bool, float, str) or (type(value) is int and -_INT_BOUND <= value < _INT_BOUND)


def _shown(value: Any) -> Any:
    if type(value) is str:
        return value if len(value) <= _TEXT else value[: _TEXT - 1] + "…"
    if type(value) is float and not (-1e400 < value < 1e400):
        return str(value)
    return value

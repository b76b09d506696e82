"""A comparison for a person: codes that moved, died, came back; a folder as a time line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vqdoctor.errors import printable
from vqdoctor.render.screen import Screen

PAIRS = {
    "codes": "K",
    "dim": "D",
    "flag": "initialised",
    "broken": "rows with NaN or Inf",
    "ema_inconsistent": "rows unlike sum / count",
}
"""(a, b) values of a level that are told where they differ."""


def show_comparison(found: Mapping[str, Any], screen: Screen) -> str:
    """Two checkpoints."""
    lines = [f" {printable(found['a'])}  →  {printable(found['b'])}", f"   verdict: {' → '.join(found['verdicts'])}", ""]
    for quantizer in found["quantizers"]:
        lines.append(f" {printable(quantizer['name'])}   {printable(quantizer['layout'])}")
        if quantizer["levels_changed"]:
            lines.append("   levels: {} → {}".format(*quantizer["levels_changed"]))
        lines += [f"   [{level['index']}]  {_level(level)}" for level in quantizer["levels"]]
    for side, name in (("only_a", "the first"), ("only_b", "the second")):
        lines += [f" only in {name}: {printable(one)}" for one in found[side]]
    changed = {printable(name): one for name, one in found["metrics"].items() if one["delta"]}
    width = max([26, *map(len, changed)])
    told = [f"   {name:<{width}} {number_words(one['a'])} → {number_words(one['b'])}" for name, one in changed.items()]
    return screen.fold("\n".join([*lines, *(["", *told] if told else [])]) + "\n")


def show_time_line(found: Mapping[str, Any], screen: Screen) -> str:
    """A folder, oldest first."""
    lines = [f" {printable(found['folder'])}   {len(found['timeline'])} checkpoints, oldest first", ""]
    lines.append(
        f" {'verdict':<9} {'checkpoint':<34} {'step':>9}  {'real use':>8}  {'EMA says':>8}  {'moved':>7}  {'frozen':>7}  found"
    )
    for one in found["timeline"]:
        use, claimed = (share_words(one["metrics"].get(name)) for name in ("usage.utilization", "ema.utilization"))
        moved, frozen = (total_words(one["levels"], name) for name in ("moved", "frozen"))
        name, step = printable(Path(one["path"]).name, 34), "–" if one["step"] is None else printable(one["step"], 9)
        rules = ", ".join(one["rules"]) or "–"
        lines.append(f" {one['verdict']:<9} {name:<34} {step:>9}  {use:>8}  {claimed:>8}  {moved:>7}  {frozen:>7}  {rules}")
    if words := first_bad_words(found):
        lines += ["", f" {words}"]
    return screen.fold("\n".join(lines) + "\n")


def show_first_bad(found: Mapping[str, Any], screen: Screen) -> str:
    """Where a rule began to fire."""
    return screen.fold(f" {first_bad_words(found)}\n   {looked_words(found)}\n")


def looked_words(found: Mapping[str, Any]) -> str:
    """What the answer of a bisection rests on."""
    looked = f"looked at {found['looked_at']} of {found['checkpoints']} checkpoints"
    return f"{looked}, trusting that what is sick stays sick (--scan looks at all)"


def first_bad_words(found: Mapping[str, Any]) -> str:
    """Where a rule began to fire, or without a rule which checkpoint was the first sick one; "" where none was asked for or is."""
    first, rule = found["first_bad"], found["rule"]
    if first is None and rule is None:
        return ""
    if first is None:
        return f"{rule} does not fire in the newest checkpoint" if "looked_at" in found else f"{rule} fires in none"
    step = f", step {printable(first['step'], 40)}" if first["step"] is not None else ""
    return f"{'the first sick one is' if rule is None else f'{rule} fires first in'} {printable(first['path'])}{step}"


def _level(level: Mapping[str, Any]) -> str:
    parts = [f"{level['moved']} moved", f"{level['frozen']} unchanged"]
    for name in ("died", "revived"):
        if level[name] is not None:
            parts.append(f"{level[name]} {name}" + (f" (by {level['basis']})" if name == "revived" else ""))
    if level["movement"] is not None:
        parts.append(f"moved by {level['movement']:.3g} of their norm (median)")
    if level["norm_ratio"] is not None:
        parts.append(f"norms × {level['norm_ratio']:.3g}")
    for name, words in PAIRS.items():
        before, after = level[name]
        if before != after:
            parts.append(f"{words} {number_words(before)} → {number_words(after)}")
    return " · ".join(parts)


def number_words(value: Any) -> str:
    """To four digits."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def share_words(value: Any) -> str:
    """A share as percent."""
    return "–" if value is None else f"{100 * value:.3g} %"


def total_words(levels: Any, name: str) -> str:
    """Rows of all levels; a dash where there is nothing before to compare with."""
    return str(sum(level[name] for level in levels)) if levels else "–"

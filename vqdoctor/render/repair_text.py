"""A repair, planned or done, for a person: what changes, what it does on rows held out, what it costs, what to type next."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Mapping
from typing import Any

from vqdoctor.errors import printable
from vqdoctor.render.figures import plural
from vqdoctor.render.screen import SPACE, Screen

SHOWN = {
    "usage.utilization": "real use",
    "usage.perplexity": "perplexity",
    "distortion.mse": "error (mse)",
    "distortion.kmeans_ratio": "error ÷ that of a fresh k-means",
}
TOGETHER = {"collision.rate": "collisions", "collision.after_suffix": "still colliding after a de-dup token"}
SHARES = ("usage.utilization", "collision.rate")
WHY_RELAPSE = {
    "collapsed": "training as it was set had collapsed this book",
    "replaced": "the family's rule replaces revived codes again",
    "unused": "rows held out leave revived codes unused",
}
MOST_LEVELS = 12


def show_repair(note: Mapping[str, Any], screen: Screen, *, nothing: bool) -> str:
    """The text of a `vqdoctor.repair/1` note.

    Args:
        nothing: there is nothing to write.
    """
    path = printable(note["source"]["path"])
    lines = [f" {note['method']} of {path}" if note["method"] else f" no treatment of {path}: no finding prescribes one that helps"]
    if note["features"]:
        lines.append(f"   features: {printable(note['features'])} · half of the rows were learned from, the other half judge")
    lines += [f"   {printable(step, 400)}" for step in note["steps"]]
    for level in note["levels"][:MOST_LEVELS]:
        lines += _level(level)
    if len(note["levels"]) > MOST_LEVELS:
        lines.append(f"   … and {len(note['levels']) - MOST_LEVELS} more levels: --format json shows them")
    for both in note["collisions"]:
        lines += ["", " all levels together", *_figures(both["before"], both["after"], TOGETHER)]
    lines += _warnings(note, screen)
    if note["id_map"]:
        lines += _wrapped(f"   {printable(note['id_map'], 1000)} says which ID became which.", screen)
    if note["recommendation"]:
        lines += ["", *_wrapped(f" → better: {printable(note['recommendation'], 1000)}", screen)]
    if note["training_on"]:
        lines += ["", *_wrapped(_training_on(note["training_on"]), screen)]
    lines += ["", *_end(note, nothing)]
    return screen.fold("\n".join(lines) + "\n")


def _warnings(note: Mapping[str, Any], screen: Screen) -> list[str]:
    """What to know. What is so of several levels is said once."""
    keys = {printable(level["key"]) for level in note["levels"]}
    places: dict[str, list[str]] = {}
    for warning in note["warnings"]:
        where, _, what = warning.partition(": ")
        places.setdefault(what if where in keys else warning, []).extend([where] if where in keys else [])
    told = []
    for what, where in places.items():
        at = f"{where[0]}{f' and {len(where) - 1} more' if len(where) > 1 else ''}: " if where else ""
        told += _wrapped(f" ! {printable(at + what, 1000)}", screen)
    return ["", *told] if told else []


def _level(level: Mapping[str, Any]) -> list[str]:
    name = printable(level["quantizer"], 60)
    head = f" {name}[{level['index']}]  {level['method']}: "
    why = printable(level["why"], 400) if level["why"] else ""
    if level["method"] == "freeze-init":  # which rewrites no row
        return ["", head + (why or "the initialised flag is set")]
    head += f"{len(level['rows_changed'])} of {level['codes']} rows rewritten"
    return ["", head, *([f"   {why}"] if why else []), *_figures(level["before"], level["after"], SHOWN), *_survival(level)]


def _figures(before: Mapping[str, Any], after: Mapping[str, Any], shown: Mapping[str, str]) -> list[str]:
    found = []
    for metric, words in shown.items():
        old, new = before.get(metric), after.get(metric)
        if isinstance(new, int | float):
            was = f"{_figure(metric, old)} → " if isinstance(old, int | float) else ""
            found.append(f"   {words:<34} {was}{_figure(metric, new)}")
    return found


def _figure(metric: str, value: Any) -> str:
    return f"{100 * value:.3g}{SPACE}%" if metric in SHARES else f"{value:.4g}"


def _survival(level: Mapping[str, Any]) -> list[str]:
    told = level["survival"]
    if not told:
        return []
    rule = "no rule that is known" if told["threshold"] is None else f"rule {told['rule']}"
    lines = [
        f"   {'trained on, encoder still':<34} {told['alive']} of {told['revived']} revived codes live on "
        f"({told['steps']} steps of {told['tokens']} tokens, {printable(rule, 60)})"
    ]
    if told.get("drift"):
        moved = ", ".join(f"{used:.0f} after {drift} spreads" for drift, used in told["drift"].items())
        lines.append(f"   {'codes in use if latents move':<34} {told['in_use']} → {printable(moved, 120)}")
    if told.get("because"):
        lines.append(f"   {'relapse expected':<34} {'; '.join(WHY_RELAPSE[why] for why in told['because'])}")
    return lines


def _training_on(care: Mapping[str, Any]) -> str:
    """What to change beside the cause."""
    parts = [f"set the learning rate to {care['learning_rate_factor']:g} × what it was"]
    if care["decay"] is not None:
        parts.append(f"the decay of the running means to {care['decay']:g}")
    if care["replace_below"] is not None:
        parts.append(f"let training replace codes under {care['replace_below']:g} × the mean count")
    return (
        f" → when training goes on: beside removing the cause, {', '.join(parts)}, until the loss has settled. An encoder that "
        "learned beside so few codes moves once it is given more, and at its full rate faster than codes can follow."
    )


def _end(note: Mapping[str, Any], nothing: bool) -> list[str]:
    if nothing:
        return [" Nothing to repair: no file was written."]
    if note["target"] is None:
        return [f" A plan: nothing was written. {plural(len(note['tensors']), 'tensor')} would change."]
    path = note["target"]["path"]
    return [
        f" ✓ written and proven: {printable(path)}   ({plural(len(note['tensors']), 'tensor')} changed, every other byte the same)",
        f"   take it back: vqdoctor repair --undo {shlex.quote(printable(path, 1000))}.repair.json -o RESTORED",
        f"   look at it:   vqdoctor inspect {shlex.quote(printable(path, 1000))}"
        + (f" --features {shlex.quote(printable(note['features'], 1000))}" if note["features"] else ""),
    ]


def _wrapped(text: str, screen: Screen) -> list[str]:
    text = re.sub(r"(?<=\d) (?=%)", SPACE, text)
    return textwrap.wrap(text, min(screen.width, 118), subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)

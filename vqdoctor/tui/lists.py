"""The lower part of the watch screen as lines: findings, runs, the tail of the log as it was read, all series."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from vqdoctor.app.watching.view import RunView
from vqdoctor.model import Event, Series
from vqdoctor.render.figures import UNDEFINED, count, scalar, share, short
from vqdoctor.tui.themes import Look
from vqdoctor.tui.vitals import gravest, onset
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_state import Found, WatchState, baseline_of, matches, run_in_view

TAIL = 60  # lines of the log that are shown
DIFFERENT = 12  # settings in which two runs differ that are listed


def finding_lines(each: list[Found], state: WatchState, look: Look, width: int, per: int, current: RunView | None) -> list[Text]:
    """`per` lines a finding: since when and what; the message; the command."""
    lines: list[Text] = []
    for one in each:
        finding = one.finding
        seen = one.known in state.acknowledged
        since = onset(finding)
        step = look.fold(count(round(since))) if since is not None else look.fold(UNDEFINED)
        glyph = Text(look.fold("✓"), look.dim) if seen else look.state(finding.severity, "")
        head = Text.assemble(
            glyph,            (f" {step:>7}  ", look.dim), f"{finding.rule} ", (look.say(finding.name, 40), "bold"),
            "  ", (look.say(finding.where, 60), look.dim),
        )  # fmt: skip
        if one.run is not current:
            head.append(f"  {look.cut(one.run.name, 20)}", look.dim)
        if seen:
            head.append("  seen", look.dim)
        command = finding.remedy.command
        rest = [
            Text(f"   {look.cut(finding.message, 2000)}"),
            Text.assemble(
                (look.fold("   → "), look.dim),
                (look.say(command or finding.remedy.text or finding.next or ""), look.real if command else look.dim),
            ),
        ]
        for line in [head, *rest][:per]:
            if seen:
                line.stylize("dim")
            lines.append(look.clip(line, width))
    return lines


def run_lines(model: Model, state: WatchState, look: Look, width: int) -> list[Text]:
    """A line a run; below them what the run in view and the baseline were told differently."""
    current, base = run_in_view(model.view, state), baseline_of(model.view, state)
    longest = max((cell_len(look.say(run.name)) for run in model.view.runs), default=0)
    room, use = max(8, min(longest, width // 3)), 9 if width >= 70 else 7
    lines = [Text(f"   {'run':<{room}} {'state':<9} {'step':>8} {'least use' if width >= 70 else 'use':>{use}}  found", look.dim)]
    for run in runs_shown(model, state):
        mark = ">" if run is current else " "
        mark += ("b" if not look.unicode else "◆") if run is base else " "
        worst, shown = gravest(run.findings), look.cut(run.name, room)
        named = f" {look.say(worst.name, 30)}" if worst and width >= 70 else ""
        step = look.fold(count(round(run.last_step)) if run.last_step is not None else UNDEFINED)
        line = Text.assemble(
            (f"{mark} {shown}{' ' * (room - cell_len(shown))} ", "bold"), _padded(look.state(run.state), 10),
            f"{step:>8} {look.fold(share(_worst_use(model, run, state))):>{use}}  ",
            look.state(worst.severity, worst.rule + named) if worst else Text("nothing", look.dim),
        )  # fmt: skip
        lines.append(look.clip(line, width))
    if base is not None and current is not None and base is not current:
        lines += _config_difference(current, base, look, width)
    return lines


def runs_shown(model: Model, state: WatchState) -> list[RunView]:
    """The runs of the list: those that pass the filter, all if none does; with faults only, those with findings."""
    kept = [run for run in model.view.runs if matches(state.filter, run.name, run.path)] or list(model.view.runs)
    return [run for run in kept if run.findings] or kept if state.faults else kept


def _padded(text: Text, width: int) -> Text:
    return Text.assemble(text, " " * max(1, width - cell_len(text.plain)))


def _worst_use(model: Model, run: RunView, state: WatchState) -> float | None:
    uses = [model.value(run.path, level.readings.get("real"), state) for level in model.levels(run)]
    return min((use for use in uses if use is not None), default=None)


def _config_difference(run: RunView, base: RunView, look: Look, width: int) -> list[Text]:
    """Settings that differ, this run's value first."""
    own, other = _flat(run.config), _flat(base.config)
    names = [name for name in dict.fromkeys([*own, *other]) if own.get(name) != other.get(name)]
    if not names:
        return [Text("   the same settings as the baseline, as far as both logs say", look.dim)] if own and other else []
    lines = [Text("   settings that differ from the baseline's:", look.dim)]
    for name in names[:DIFFERENT]:
        words = f"   {look.say(name, 60)}: {_setting(own.get(name), look)} (baseline {_setting(other.get(name), look)})"
        lines.append(Text(look.fit(words, width)))
    return lines + ([Text(f"   and {len(names) - DIFFERENT} more", look.dim)] if len(names) > DIFFERENT else [])


def _flat(config: Mapping[str, Any], prefix: str = "", depth: int = 4) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and depth:
            flat |= _flat(value, f"{prefix}{name}.", depth - 1)
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _setting(value: Any, look: Look) -> str:
    return look.fold(UNDEFINED) if value is None else look.fit(look.fold(scalar(value, look.say)), 30)


def log_lines(run: RunView | None, state: WatchState, look: Look, width: int) -> list[Text]:
    """The newest steps as they were read, the newest last: numbers by name, events; what was left out at the top."""
    if run is None:
        return []
    shown = [one for one in run.series if one.n and matches(state.filter, one.key.label)]
    shown.sort(key=lambda one: one.meaning.metric is not None)  # losses before the many figures of the codebooks
    cut = 1e300 if state.cursor is None else state.cursor
    rows: dict[float, list[str]] = {}
    for one in shown:
        end = int((one.steps <= cut).sum()) if state.cursor is not None else len(one.steps)
        for step, value in zip(
            one.steps[max(0, end - TAIL) : end].tolist(), one.values[max(0, end - TAIL) : end].tolist(), strict=True
        ):
            rows.setdefault(step, []).append(f"{look.say(one.key.label, 80)}={look.fold(short(value))}")
    found = [(step, 0, Text(look.fit("  ".join(words), 4 * width))) for step, words in rows.items()]
    found += [
        (event.step, 1, _event(event, look))
        for event in run.events
        if event.step is not None and event.step <= cut and event.kind != "digest"
    ]
    newest = sorted(heapq.nlargest(TAIL, found, key=lambda row: row[:2]), key=lambda row: row[:2])
    lines = [Text.assemble((look.state("info", "")), " ", (look.say(note), look.dim)) for note in run.notes[-4:]]
    lines += [Text.assemble((f"{look.fold(count(round(step))):>9}  ", look.dim), text) for step, _, text in newest]
    return [look.clip(line, width) for line in lines] or [Text("nothing read yet", look.dim)]


def _event(event: Event, look: Look) -> Text:
    said = "  ".join(
        f"{look.say(name, 30)}={look.fit(look.fold(scalar(value, look.say)), 40)}"
        for name, value in list(event.detail.items())[:8]
        if not isinstance(value, Mapping)
    )
    return Text.assemble((f"{'▲' if look.unicode else '^'} {look.say(event.kind, 30)}  ", look.event or "bold"), said)


def number_lines(model: Model, state: WatchState, look: Look, width: int) -> list[Text]:
    """A heading and a line a series: what it says at the cursor, its range, how many points, what it is taken for."""
    run = run_in_view(model.view, state)
    shown = series_shown(run, state)
    wide = width >= 90
    room = max(16, min(48, width - (58 if wide else 30)))
    last = "at cursor" if state.cursor is not None else "last"
    more = f" {'low':>10} {'high':>10} {'points':>8}" if wide else ""
    lines = [Text(f"{'series':<{room}} {last:>10}{more}  taken for", look.dim)]
    for one in shown if run else ():
        name = look.cut(one.key.label, room)
        at = look.fold(short(model.at(run.path, one, state) if run else None))
        more = f" {look.fold(short(one.low)):>10} {look.fold(short(one.high)):>10} {look.fold(count(one.n)):>8}" if wide else ""
        known = one.meaning.metric or one.meaning.scalar
        taken = (look.say(known, 60), "") if known else ("unknown, not judged", look.dim)
        lines.append(look.clip(Text.assemble(f"{name}{' ' * (room - cell_len(name))} {at:>10}{more}  ", taken), width))
    return lines


def series_shown(run: RunView | None, state: WatchState) -> list[Series]:
    """The rows of the list of series."""
    return [one for one in run.series if matches(state.filter, one.key.label, one.meaning.metric or "unknown")] if run else []

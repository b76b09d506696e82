"""The upper part of the watch screen as lines: how the watch is doing, and the vital signs of each level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from vqdoctor.app.watching.view import RunView
from vqdoctor.model import Finding
from vqdoctor.render.figures import UNDEFINED, count, share, short, unit
from vqdoctor.tui.needle import needles
from vqdoctor.tui.themes import Look
from vqdoctor.tui.vitals import COLLISIONS, Level, by_metric, gravest, onset
from vqdoctor.tui.watch_model import Model
from vqdoctor.tui.watch_state import WatchState, baseline_of, found, run_in_view

SPARK = 8
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
GROUP = 60  # seconds of silence told apart: the header is not drawn again for each second


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. rank: which gives way first where there is little room, large first. right: flush right."""

    title: str
    cells: list[Text]
    rank: int
    right: bool = False

    @property
    def width(self) -> int:
        """Cells of the widest."""
        return max(cell_len(self.title), *(cell_len(cell.plain) for cell in self.cells)) if self.cells else cell_len(self.title)


def header(model: Model, state: WatchState, look: Look, width: int, paused: str = "") -> Text:
    """State, run, step, how far behind, the other runs, the baseline; at the right what was found."""
    run = run_in_view(model.view, state)
    right = _tallies(model, state, look)
    if run is None:
        missing = model.view.missing
        words = f"waiting for {missing[0]}" if missing else "no run yet"
        left = Text.assemble((" vqdoctor watch  ", look.title), look.state("waiting", look.cut(words, max(10, width - 40))))
        return _apart(left, right, width)
    room = max(8, min(28, width // 4))
    pieces = [
        Text.assemble((" vqdoctor watch", look.title)) if width >= 100 else Text(),
        look.state(run.state),
        Text(look.cut(run.name, room), "bold"),
        _step(run, look),
    ]
    if paused:
        pieces.append(Text(f"{'‖' if look.unicode else '='} {look.fold(paused)}", f"{look.state_style('warning')} reverse"))
    pieces += [Text(words, look.dim) for words in _asides(run, model, state, look)]
    while len(pieces) > 4 and sum(cell_len(piece.plain) + 2 for piece in pieces) + cell_len(right.plain) > width:
        pieces.pop()
    return _apart(Text("  ").join(piece for piece in pieces if piece.plain), right, width)


def _step(run: RunView, look: Look) -> Text:
    if run.last_step is None:
        return Text("no step yet", look.dim)
    total = f" / {look.fold(count(round(run.total_steps)))}" if run.total_steps else ""
    return Text.assemble("step ", (look.fold(count(round(run.last_step))), "bold"), (total, look.dim))


def _asides(run: RunView, model: Model, state: WatchState, look: Look) -> Iterable[str]:
    """What else there is to say, most pressing first."""
    if run.behind > 0:
        yield f"+{run.behind / 1e6:.1f} MB behind" if run.behind >= 1e5 else f"+{run.behind} B behind"
    if run.state == "stalled" and run.silence is not None:
        yield f"silent {int(run.silence // GROUP)} min" if run.silence >= GROUP else "silent"
    if state.filter:
        yield f"filter: {look.cut(state.filter, 16)}"
    if state.faults:
        yield "faults only"
    base = baseline_of(model.view, state)
    if base is not None:
        yield "is baseline" if base is run else f"baseline: {look.cut(base.name, 18)}"
    if len(model.view.runs) > 1:
        yield f"{len(model.view.runs)} runs"


def _tallies(model: Model, state: WatchState, look: Look) -> Text:
    """``✗ 1 ! 2``: what was found in all runs and is not acknowledged."""
    every = [one for one in found(model.view, WatchState()) if one.known not in state.acknowledged]
    text = Text()
    for severity in ("error", "warning", "info"):
        n = sum(one.finding.severity == severity for one in every)
        if n:
            text.append_text(look.state(severity, str(n))).append(" ")
    return text if text.plain else Text("no finding ", look.dim)


def _apart(left: Text, right: Text, width: int) -> Text:
    left.truncate(max(0, width - cell_len(right.plain) - 1))
    return Text.assemble(left, " " * max(1, width - cell_len(left.plain) - cell_len(right.plain)), right)


def vitals(model: Model, state: WatchState, look: Look, width: int) -> list[Text]:
    """A heading, a line a level (and one of differences where these are shown), the line of the IDs."""
    run = run_in_view(model.view, state)
    if run is None or run.last_step is None:
        return [Text("nothing has been logged yet; this fills in as the run writes", look.dim)] if run else _nothing(model, look)
    every = model.levels(run)
    shown = [level for level in every if not state.faults or level.findings] or list(every)
    if not every:
        return [
            Text("no figure of a codebook in this log; its series are below, judged by nothing", look.dim),
            *ids_line(model, state, look, width),
        ]
    lines = _table(model, run, shown, state, look, width)
    return [*lines, *ids_line(model, state, look, width)]


def _nothing(model: Model, look: Look) -> list[Text]:
    lines = [
        Text.assemble(look.state("waiting", ""), " ", look.say(path), (" does not exist yet", look.dim))
        for path in model.view.missing
    ]
    return lines or [Text("no log found yet; logs are shown as they appear", look.dim)]


def _table(model: Model, run: RunView, shown: Sequence[Level], state: WatchState, look: Look, width: int) -> list[Text]:
    current = model.level(state)
    bar = 8 if width < 90 else 16 if width < 130 else 22
    values = {
        level.place: {
            role: model.value(run.path, level.readings.get(role), state)
            for role in ("real", "ema", "perplexity", "entropy", "dead", "unseen")
        }
        for level in shown
    }

    def column(title: str, rank: int, cell: Callable[[Level, dict[str, float | None]], Text], right: bool = False) -> Column:
        return Column(title, [cell(level, values[level.place]) for level in shown], rank, right)

    columns = [
        column(
            "level",
            0,
            lambda level, v: Text(look.cut(level.name, 14), "bold reverse" if level is current and len(shown) > 1 else "bold"),
        ),
        column("real use", 1, lambda level, v: needles(v["real"], v["ema"], bar, look, _bar_style(level, look))),
        column("", 0, lambda level, v: _figure(v["real"], share, look, "bold"), True),
        column("EMA", 2, lambda level, v: _figure(v["ema"], share, look), True),
        column("gap", 5, lambda level, v: _gap(v, look), True),
        column("perplexity", 3, lambda level, v: _perplexity(level, v, look), True),
        column("", 6, lambda level, v: _spark(model, run, level, state, look)),
        column("entropy", 7, lambda level, v: _named(level, "entropy", _figure(v["entropy"], unit, look), look), True),
        column("dead", 4, lambda level, v: _dead(level, v, look), True),
    ]
    states = [_state(level, look) for level in shown]
    least = min(30, max(cell_len(text.plain) for text in states))
    while sum(c.width + 2 for c in columns) + least > width and any(c.rank > 1 for c in columns):
        columns.remove(max(columns, key=lambda c: c.rank))
    lines = _laid([*columns, Column("state", states, 0)], look)
    lines = [look.clip(line, width) for line in lines]
    return lines if not state.compare else _with_differences(lines, model, run, shown, values, state, look)


def _laid(columns: Sequence[Column], look: Look) -> list[Text]:
    """Titles and cells side by side, aligned."""
    lines = [Text() for _ in range(1 + len(columns[0].cells))]
    for column in columns:
        for line, cell in zip(lines, [Text(column.title, look.dim), *column.cells], strict=True):
            pad = " " * (column.width - cell_len(cell.plain))
            line.append_text(Text.assemble(pad, cell, "  ") if column.right else Text.assemble(cell, pad, "  "))
    for line in lines:
        line.rstrip()
    return lines


def _figure(value: float | None, written: Callable[[float | None], str], look: Look, style: str = "") -> Text:
    return Text(look.fold(written(value)), look.dim if value is None else style)


def _named(level: Level, role: str, text: Text, look: Look) -> Text:
    """A figure with a word behind it where it is not quite what its column says."""
    reading = level.readings.get(role)
    return Text.assemble(text, (f" {reading.of}", look.dim)) if reading and reading.of else text


def _bar_style(level: Level, look: Look) -> str:
    worst = gravest(level.findings)
    return look.state_style(worst.severity) if worst and worst.severity != "info" else look.real


def _gap(values: dict[str, float | None], look: Look) -> Text:
    """Points by which the EMA's use is over the real one."""
    real, ema = values["real"], values["ema"]
    if real is None or ema is None:
        return Text(look.fold(UNDEFINED), look.dim)
    return Text(f"{100 * (ema - real):+.0f}", look.ema if ema - real >= 0.2 else "")


def _perplexity(level: Level, values: dict[str, float | None], look: Look) -> Text:
    text = _named(level, "perplexity", _figure(values["perplexity"], short, look), look)
    return Text.assemble(text, (f" / {look.fold(count(level.codes))}", look.dim)) if level.codes else text


def _dead(level: Level, values: dict[str, float | None], look: Look) -> Text:
    """Dead codes; where more are merely unseen (too few rows to call them dead), how many these are."""
    dead, unseen = values["dead"], values["unseen"]
    if unseen and unseen > (dead or 0):
        return Text.assemble(look.fold(count(unseen)), (" unseen", look.dim))
    return _named(level, "dead", _figure(dead, count, look), look)


def _spark(model: Model, run: RunView, level: Level, state: WatchState, look: Look) -> Text:
    """Perplexity over the window as a few bars, the highest is the ceiling where that is known."""
    reading = level.readings.get("perplexity")
    if reading is None:
        return Text()
    values = model.history(run.path, reading, SPARK, state)
    top = max(float(values.max()), 1e-12) if len(values) else 1.0
    bars = BARS if look.unicode else ASCII_BARS
    return Text("".join(bars[min(7, max(0, int(value / top * 7.999)))] for value in np.nan_to_num(values)), look.real)


def _state(level: Level, look: Look) -> Text:
    """Glyph and words: what is wrong and since when, or that nothing was found."""
    worst = gravest(level.findings)
    if worst is None:
        measured = any(role in level.readings for role in ("real", "perplexity", "entropy"))
        return (
            look.state("healthy", "no finding")
            if "real" in level.readings or measured
            else look.state("unknown", "real use not logged")
        )
    return look.state(worst.severity, state_words(worst, len(level.findings), look))


def state_words(finding: Finding, of: int, look: Look) -> str:
    """``collapse-onset since step 11 200 +1``."""
    since = onset(finding)
    words = look.say(finding.name.replace("-", " "), 40) + (f" since {count(round(since))}" if since is not None else "")
    return look.fold(words + (f" +{of - 1}" if of > 1 else ""))


def _with_differences(
    lines: list[Text], model: Model, run: RunView, shown: Sequence[Level], values: dict, state: WatchState, look: Look
) -> list[Text]:
    """Below each level by how much it differs from the baseline at the same step."""
    base = baseline_of(model.view, state)
    if base is None or base.path == run.path:
        return [*lines, Text(look.fold("  pin another run as the baseline to compare with: b, then ] for the next run"), look.dim)]
    out = [lines[0]]
    for level, line in zip(shown, lines[1:], strict=True):
        twin = model.twin(base, level)
        words = [
            words
            for role, unit_name in (("real", "points"), ("ema", "points"), ("perplexity", ""), ("entropy", ""))
            if twin
            and (
                words := _difference(
                    role, values[level.place][role], model.value(base.path, twin.readings.get(role), state), unit_name
                )
            )
        ]
        delta = "Δ" if look.unicode else "diff"
        text = "   ".join(words) if words else "the baseline has no such level"
        out += [line, Text(look.fold(f"  {delta} {text}"), look.baseline)]
    return out


def _difference(role: str, own: float | None, other: float | None, unit_name: str) -> str:
    if own is None or other is None:
        return ""
    if unit_name:
        return f"{'EMA' if role == 'ema' else role} {100 * (own - other):+.1f} points"
    change = f" ({100 * (own - other) / other:+.0f} %)" if other else ""
    return f"{role} {own - other:+.3g}{change}"


def ids_line(model: Model, state: WatchState, look: Look, width: int) -> list[Text]:
    """``IDs  unique 3 359 of 3 883   collisions 13.5 % (floor 0.2 %)   loss 0.121   largest group 9``: what is of the whole run.

    Without collisions the line begins with ``run``; nothing where neither they nor a loss are logged.
    """
    run = run_in_view(model.view, state)
    read = {name: by_metric(run, name) for name in ("loss", *(f"collision.{name}" for name in COLLISIONS))} if run else {}
    if run is None or all(one is None for one in read.values()):
        return []
    at = {name.removeprefix("collision."): model.at(run.path, one, state) if one else None for name, one in read.items()}
    collides = any(one is not None for name, one in read.items() if name != "loss")
    words = _collision_words(at) if collides else []
    if at["loss"] is not None:
        words[2:2] = [f"loss {short(at['loss'])}"]
    worst = gravest(finding for finding in run.findings if finding.rule.startswith("VQ4"))
    text = Text.assemble(("IDs  " if collides else "run  ", "bold"), look.fold("   ".join(words)))
    if worst is not None:
        text.append("  ").append_text(look.state(worst.severity, state_words(worst, 1, look)))
    return [look.clip(text, width)]


def _collision_words(at: Mapping[str, float | None]) -> list[str]:
    """What is known of the collisions at a step."""
    words = []
    if at["unique"] is not None:
        words.append(f"unique {count(at['unique'])}" + (f" of {count(at['items'])}" if at["items"] is not None else ""))
    if at["rate"] is not None:
        floor = at["floor_excess"] / at["items"] if at["floor_excess"] is not None and at["items"] else None
        words.append(f"collisions {share(at['rate'])}" + (f" (floor {share(floor)})" if floor is not None else ""))
    elif at["excess"] is not None:
        words.append(f"collisions {count(at['excess'])}")
    if at["max_group"] is not None:
        words.append(f"largest group {count(at['max_group'])}")
    return words or ["not measured up to this step"]

"""The upper part of the watch screen as lines: how the watch is doing, and the vital signs of each level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from vqdoctor.app.watching.view import RunView
from vqdoctor.render.figures import UNDEFINED, count, share, short, unit
from vqdoctor.render.vital_signs import Level, gravest, id_signs, of_run
from vqdoctor.render.watch_words import finding_words, id_words, level_state, unused_words
from vqdoctor.tui.needle import needles
from vqdoctor.tui.themes import Look
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
        column("", 0, lambda level, v: _named(level, "real", _figure(v["real"], share, look, "bold"), look), True),
        column("EMA", 2, lambda level, v: _figure(v["ema"], share, look), True),
        column("gap", 5, lambda level, v: _gap(v, look), True),
        column("perplexity", 3, lambda level, v: _perplexity(level, v, look), True),
        column("", 6, lambda level, v: _spark(model, run, level, state, look)),
        column("entropy", 7, lambda level, v: _named(level, "entropy", _figure(v["entropy"], unit, look), look), True),
        column("dead", 4, lambda level, v: _dead(level, v, look), True),
    ]
    states = [_state(level, run, look) for level in shown]
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
    word = level.word(role)
    return Text.assemble(text, (f" {word}", look.dim)) if word else text


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
    figure, word = unused_words(level, values)
    known = figure != UNDEFINED
    return Text.assemble((look.fold(figure), "" if known else look.dim), (f" {word}" if word and known else "", look.dim))


def _spark(model: Model, run: RunView, level: Level, state: WatchState, look: Look) -> Text:
    """Perplexity over the window as a few bars, the highest is the ceiling where that is known."""
    reading = level.readings.get("perplexity")
    if reading is None:
        return Text()
    values = model.history(run.path, reading, SPARK, state)
    top = max(float(values.max()), 1e-12) if len(values) else 1.0
    bars = BARS if look.unicode else ASCII_BARS
    return Text("".join(bars[min(7, max(0, int(value / top * 7.999)))] for value in np.nan_to_num(values)), look.real)


def _state(level: Level, run: RunView, look: Look) -> Text:
    """Glyph and words: what is wrong and since when, or that nothing was found."""
    state, words = level_state(level, run.behind, unit="")
    return look.state(state, look.fold(words))


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
    ids, loss = (id_signs(run), of_run(run, "loss")) if run else ({}, None)
    if run is None or not (ids or loss):
        return []
    words = []
    if ids:
        at = {name: model.at(run.path, series, state) for name, series in ids.items()}
        words = id_words(at) or ["not measured up to this step"]
    if loss is not None:
        words[2:2] = [f"loss {short(model.at(run.path, loss, state))}"]
    worst = gravest(finding for finding in run.findings if finding.rule.startswith("VQ4"))
    text = Text.assemble(("IDs  " if ids else "run  ", "bold"), look.fold("   ".join(words)))
    if worst is not None:
        text.append("  ").append_text(look.state(worst.severity, look.fold(finding_words(worst, unit=""))))
    return [look.clip(text, width)]

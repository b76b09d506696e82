"""A watch as one frame of text: each run's state, its levels' vital signs, what was found since which step, and what to type.

The same values as the dashboard shows, for pipes, logs of CI and screens without one. Several runs come as a table first; the
newest is told in full.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from vqdoctor.logs.store import NO_SHARE
from vqdoctor.model import Event, Series
from vqdoctor.render.figures import UNDEFINED, count, plural, scalar, share, short, size, unit
from vqdoctor.render.page import Cell, Page, fit, table, table_width
from vqdoctor.render.screen import STATES, Screen
from vqdoctor.render.spark import shades, trend_bars
from vqdoctor.render.text_findings import show_findings
from vqdoctor.render.vital_signs import POWER, Level, Reading, id_signs, levels, scalar_signs, unknown
from vqdoctor.render.watch_states import run_state
from vqdoctor.render.watch_words import id_words, level_state, unused_words
from vqdoctor.render.words import Say, tally

if TYPE_CHECKING:
    from vqdoctor.app.watching.view import RunView, WatchView

GIVES_WAY = ("dead", "trend", "entropy", "gap")  # columns of the vital signs on a narrow screen
OVERVIEW_GIVES_WAY = ("reader", "collisions", "perplexity", "EMA says")
RUNS = 30  # in the table
LEVELS = 40  # of a run
EVENTS = 6
NAMES = 8  # of series that nobody knows
POWER_WORDS = f"{POWER}: the log states entropies; perplexity is two to their power, of a mean over batches a lower bound"
COUNTED = ("dead-reset", "digest", "usage")  # events that come so often that only their number is told


def render(view: WatchView, screen: Screen) -> str:
    """One frame."""
    page = Page(screen)
    for path in view.missing:
        page.line(run_state(screen, "waiting"), "   ", (page.cut(screen.say(path), screen.width - 40), "bold"), "   not there yet")
    if view.missing and view.runs:
        page.gap()
    if len(view.runs) > 1:
        _show_overview(page, view.runs)
        page.gap()
    for run in view.runs[:1]:
        show_run(page, run)
    return page.text()


def show_run(page: Page, run: RunView) -> None:
    """All of one run."""
    _show_header(page, run)
    _show_levels(page, run)
    _show_ids_and_scalars(page, run)
    _show_use(page, run)
    _show_events(page, run.events)
    _show_unknown(page, run)
    show_findings(page, run.findings)
    _show_next(page, run)


def step_words(run: RunView) -> str:
    """``step 12 400 / 20 000``; "" before there is one."""
    if run.last_step is None:
        return ""
    return f"step {count(run.last_step)}" + (f" / {count(run.total_steps)}" if run.total_steps else "")


def silence_words(run: RunView) -> str:
    """``grew 1.3 s ago``; "" where that says nothing."""
    if run.silence is None or run.state in ("ended", "failed", "waiting"):
        return ""
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if run.silence >= 2 * length:
            return f"grew {run.silence / length:.0f} {name} ago"
    return f"grew {run.silence:.0f} s ago"


def _show_header(page: Page, run: RunView) -> None:
    screen = page.screen
    state = run_state(screen, run.state)
    found = screen.fold(tally(run.findings))
    step = screen.fold(step_words(run))
    name = page.cut(screen.say(run.name), max(12, screen.width - sum(map(cell_len, (state[0], step, found))) - 12))
    page.line(state, "   ", (name, "bold"), f"   {step}" if step else "", f"   {found}" if found else "")
    told = [screen.say(run.path), screen.say(run.reader) or "format not known yet", silence_words(run)]
    told += [f"{size(run.behind)} not read yet"] if run.behind else []
    page.prose(screen.fold(" · ".join(part for part in told if part)), 3, style="dim")
    for note in run.notes:
        page.prose(screen.say(note), 5, style="yellow", first="! ")


def _show_levels(page: Page, run: RunView) -> None:
    signs = levels(run)
    page.gap()
    if not signs:
        page.line(("no vital signs of a codebook in this log", "dim"), indent=3)
        return
    rows = [_level_row(page, run, one) for one in signs[:LEVELS]]
    columns = dict(fit({title: [row[title] for row in rows] for title in rows[0]}, page.screen.width - 3, GIVES_WAY))
    states = columns.pop("state")
    room = max(12, page.screen.width - 3 - table_width(columns))
    columns["state"] = [(page.cut(words, room), style) for words, style in states]
    for line in table(columns, ("level", " ", "trend", "state")):
        page.line(line, indent=2)
    if len(signs) > LEVELS:
        page.line((page.screen.fold(f"and {plural(len(signs) - LEVELS, 'level')} more: --format json"), "dim"), indent=3)
    if any(one.word("real") == "batch" for one in signs):
        page.line((page.screen.fold("real use is of a batch: a batch smaller than the book cannot use all of it"), "dim"), indent=3)
    if any((sign := one.readings.get("perplexity")) is not None and sign.power for one in signs):
        page.prose(page.screen.fold(POWER_WORDS), 3, style="dim")


def _level_row(page: Page, run: RunView, level: Level) -> dict[str, Cell]:
    screen = page.screen
    real, claimed, perplexity = (level.last(role) for role in ("real", "ema", "perplexity"))
    ceiling = f" / {count(level.codes)}" if level.codes else ""
    words = {
        "level": page.cut(screen.say(level.name), 26),
        " ": needle(real, 20 if screen.width >= 160 else 12 if screen.width >= 100 else 8, screen.unicode),
        "real use": share(real),
        "EMA says": share(claimed),
        "gap": UNDEFINED if real is None or claimed is None else f"{100 * (claimed - real):+.0f}",
        "perplexity": _named(short(perplexity), level.word("perplexity")) + ("" if perplexity is None else ceiling),
        "trend": _bars(run, level.readings.get("perplexity"), 10, screen, floor=0.0, top=level.codes),
        "entropy": _named(unit(level.last("entropy")), level.word("entropy")),
        "dead": _named(*unused_words(level, {role: level.last(role) for role in ("dead", "unseen")})),
    }
    return {title: (screen.fold(each), "") for title, each in words.items()} | {"state": _level_state(page, run, level)}


def _named(figure: str, word: str) -> str:
    """A figure and what to say behind it."""
    return f"{figure} {word}".rstrip()


def _level_state(page: Page, run: RunView, level: Level) -> Cell:
    state, words = level_state(level, run.behind, unit="step " if page.screen.width >= 100 else "")
    return page.cut(page.screen.fold(f"{STATES[state].glyph} {words}"), 42), STATES[state].style


def needle(value: float | None, width: int, unicode: bool) -> str:
    """A share as a bar of `width` cells between two ends."""
    full = 0 if value is None else max(0, min(width, round(value * width)))
    full = max(full, 1) if value else full
    if unicode:
        return "▕" + "█" * full + "░" * (width - full) + "▏"
    return "[" + "#" * full + "." * (width - full) + "]"


def _bars(
    run: RunView, reading: Reading | None, width: int, screen: Screen, *, floor: float | None = None, top: float | None = None
) -> str:
    """The course of a sign; between its own extremes where none are given."""
    values = _filled(course(run, reading, width))
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    return trend_bars(values, min(known) if floor is None else floor, top or max(known), screen.unicode)


def course(run: RunView, reading: Reading | None, width: int) -> list[float | None]:
    """A sign over the run's steps in `width` columns: the middle of the lows and highs of each, None where it has no point."""
    if reading is None or run.first_step is None or run.last_step is None or run.last_step <= run.first_step:
        return []
    first, room = run.first_step, run.last_step - run.first_step
    bins = run.bins(reading.series.key, first, run.last_step, width)
    values: list[float | None] = [None] * width
    for step, low, high in zip(bins.steps.tolist(), bins.lows.tolist(), bins.highs.tolist(), strict=True):
        values[min(width - 1, int(width * (step - first) / room))] = float(reading.shown((low + high) / 2))
    return values


def _show_ids_and_scalars(page: Page, run: RunView) -> None:
    screen = page.screen
    if ids := id_signs(run):
        page.prose(screen.fold("IDs: " + " · ".join(id_words({name: series.last for name, series in ids.items()}))), 3)
    scalars = scalar_signs(run)
    parts = []
    for name in sorted(scalars, key=lambda name: (name != "loss", name)):
        bars = _bars(run, Reading(scalars[name]), 8, screen)
        parts.append(f"{screen.say(name)} {short(scalars[name].last)}" + (f" {bars}" if bars else ""))
    if parts:
        page.prose(screen.fold("   ".join(parts)), 3)


def _show_use(page: Page, run: RunView) -> None:
    """Real use over steps, a row a level."""
    screen = page.screen
    rows = [(one.title, course(run, one.readings.get("real"), min(100, screen.width - 34))) for one in levels(run)[:LEVELS]]
    rows = [(title, values) for title, values in rows if sum(value is not None for value in values) > 2]
    if not rows:
        return
    page.gap()
    page.line(("use over time", "bold"), screen.fold(f"   steps {count(run.first_step)} → {count(run.last_step)}, darker is more"))
    names = [page.cut(screen.say(title), 26) for title, _ in rows]
    width = max(map(len, names))
    for name, (_, values) in zip(names, rows, strict=True):
        page.line(f"{name:<{width}}  ", shades(_filled(values), screen.unicode), indent=3)


def _filled(values: Sequence[float | None]) -> list[float | None]:
    """A gap between two points shows the earlier one."""
    held: float | None = None
    end = max((place for place, value in enumerate(values) if value is not None), default=-1)
    filled: list[float | None] = []
    for place, value in enumerate(values):
        held = value if value is not None else held
        filled.append(held if place <= end else None)
    return filled


def _show_events(page: Page, events: Sequence[Event]) -> None:
    """The last few in words; of those that come all the time, how many."""
    told = [event for event in events if event.kind not in (*COUNTED, "run")]
    often = Counter(event.kind for event in events if event.kind in COUNTED)
    if not told and not often:
        return
    page.gap()
    more = "".join(f"  +{count(n)} {kind}" for kind, n in sorted(often.items()))
    earlier = f"  +{count(len(told) - EVENTS)} earlier" if len(told) > EVENTS else ""
    page.line(("events", "bold"), (page.screen.fold(more + earlier), "dim"))
    for event in told[-EVENTS:]:
        step = "" if event.step is None else count(event.step)
        words = f"{page.screen.say(event.kind)}  {event_words(event, page.screen.say)}".rstrip()
        page.line(page.screen.fold(f"{step:>10}  "), page.cut(page.screen.fold(words), page.screen.width - 15), indent=2)


def event_words(event: Event, say: Say) -> str:
    """``min 3 · max 40 · file last.pt``: what was said of it, as it was said."""
    if event.kind == "checkpoint" and event.detail.get("measured"):
        rules = ", ".join(map(str, event.detail.get("rules", ())))
        return f"{say(event.detail.get('file'))}: {event.detail.get('verdict')}" + (f" ({rules})" if rules else "")
    plain = {key: value for key, value in event.detail.items() if isinstance(value, str | int | float)}
    return " · ".join(f"{say(key)} {scalar(value, say)}" for key, value in list(plain.items())[:8])


def _show_unknown(page: Page, run: RunView) -> None:
    """What the log also holds: shown, never judged."""
    others = unknown(run)
    if not others:
        return
    page.gap()
    shown = [f"{page.screen.say(one.key.label, 50)} {short(one.last)}{_aside(one)}" for one in others[:NAMES]]
    more = f"  +{count(len(others) - NAMES)} more (--format json)" if len(others) > NAMES else ""
    page.line(("not judged", "bold"), ("   names unknown here; --alias NAME=METRIC says what one means", "dim"))
    page.prose(page.screen.fold("   ".join(shown) + more), 3)


def _aside(one: Series) -> str:
    """Why a name that is known is not taken for what it says."""
    return f" ({NO_SHARE})" if one.meaning.note == NO_SHARE else ""


def _show_next(page: Page, run: RunView) -> None:
    words = [f"vqdoctor explain {run.findings[0].rule}"] if run.findings else []
    if run.state in ("live", "lagging", "stalled", "waiting"):
        words.append(f"vqdoctor watch {shlex.quote(run.path)} follows it")
    if words:
        page.gap()
        page.line(("next   ", "bold"), page.screen.fold("  ·  ").join(page.screen.say(word) for word in words))


def _show_overview(page: Page, runs: Sequence[RunView]) -> None:
    """A line a run, newest first; of several levels the worst."""
    rows = [_overview_row(page, run) for run in runs[:RUNS]]
    columns = {title: [row[title] for row in rows] for title in rows[0]}
    for line in table(fit(columns, page.screen.width - 1, OVERVIEW_GIVES_WAY), ("state", "run", "reader", "found")):
        page.line(line)
    if len(runs) > RUNS:
        page.line((page.screen.fold(f"and {count(len(runs) - RUNS)} older runs: --format json lists each"), "dim"))


def _overview_row(page: Page, run: RunView) -> dict[str, Cell]:
    signs = levels(run)
    rate = id_signs(run).get("rate")
    rules = ", ".join(dict.fromkeys(finding.rule for finding in run.findings if finding.severity != "info"))
    words = {
        "reader": page.screen.say(run.reader, 20),
        "step": count(run.last_step),
        "real use": share(_least(one.last("real") for one in signs)),
        "EMA says": share(_least(one.last("ema") for one in signs)),
        "perplexity": short(_least(one.last("perplexity") for one in signs)),
        "collisions": share(rate.last if rate else None),
        "found": page.cut(rules, 30) or UNDEFINED,
    }
    name = page.cut(page.screen.say(run.name), 34 if page.screen.width >= 100 else 24)
    return {"state": run_state(page.screen, run.state), "run": (name, "bold")} | {
        title: (page.screen.fold(each), "") for title, each in words.items()
    }


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)

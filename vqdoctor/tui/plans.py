"""Which charts a run has at a level, and what is in each: real use against the EMA's, perplexity under its ceiling, and so on.

A plan names series; it holds no points. The first are the vital signs, the rest is everything else that the log has, one chart a
series: a key that nobody knows is drawn like any other and said to be judged by nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vqdoctor.app.watching.view import RunView
from vqdoctor.model import Event, Series
from vqdoctor.render.vital_signs import POWER, Level, Reading, id_signs, of_run
from vqdoctor.tui.chart import Mark
from vqdoctor.tui.themes import Look

LOG_FROM = 300.0  # high / low of a positive series from which on it is drawn on a log scale
LOSSES = ("loss", "loss.reconstruction", "loss.commitment", "loss.codebook")
ORDER = ("use", "perplexity", "entropy", "loss", "collisions", "dead", "lr")
FEW = 6  # checkpoints up to which their ticks have words
EVENTS = {  # kind: word, rank
    "kmeans-reinit": ("k-means", 0), "dead-reset": ("reset", 0), "expanded": ("expanded", 0), "skipped": ("skipped", 0),
    "non-finite": ("NaN", 1), "failed": ("failed", 1), "restarted": ("restarted", 1), "end": ("end", 2), "checkpoint": ("ckpt", 3),
    "rotated": ("rotated", 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve to be: what it is called, what it is of, how it is drawn. path: of the run it belongs to."""

    name: str
    reading: Reading
    path: str
    line: str = "solid"
    role: str = "real"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A chart to be; the fields are those of `Chart`. lines: front to back."""

    name: str
    title: str
    lines: tuple[Line, ...]
    low: float | None = None
    high: float | None = None
    form: str = "short"
    references: tuple[tuple[float, str], ...] = ()
    log: bool = False
    note: str = ""
    words: tuple[str, ...] = field(default=())  # by which the filter finds it


def plans(run: RunView, level: Level | None, base: tuple[RunView, Level | None] | None, look: Look) -> list[Plan]:
    """All charts of a run. base: the pinned run and its level of the same name."""
    found = sorted([*_of_level(run, level, base, look), *_of_run(run, base)], key=lambda plan: ORDER.index(plan.name))
    drawn = {id(line.reading.series) for plan in found for line in plan.lines}
    return found + [_plain(run, one, look) for one in _rest(run, level) if id(one) not in drawn]


def _of_level(run: RunView, level: Level | None, base: tuple[RunView, Level | None] | None, look: Look) -> Iterator[Plan]:
    if level is None:
        return
    alone = level.name in ("codebook", level.place[0])
    suffix = "" if alone else f", {look.cut(level.title, 22)}"
    ceiling = level.readings.get("ceiling")
    most = ceiling.series.last if ceiling else None
    at_most = ((most, "attainable"),) if most is not None and most < 0.995 else ()
    use = _lines(run, level, base, ("real", "ema", "batch"))
    yield Plan("use", f"use{suffix}", use, 0.0, 1.0, "share", at_most)
    codes = level.codes
    lines = _lines(run, level, base, ("perplexity", "ema perplexity", "batch perplexity"))
    references = ((float(codes), f"ceiling {codes}"),) if codes else ()
    if lines:
        note = f"{POWER} of entropies" if any(line.reading.power for line in lines) else ""
        yield Plan("perplexity", f"perplexity{suffix}", lines, 0.0, float(codes or 1), references=references, note=note)
    lines = _lines(run, level, base, ("entropy", "ema entropy", "batch entropy"))
    if lines:
        yield Plan("entropy", f"entropy{suffix}", lines, 0.0, 1.0, references=((1.0, "uniform"),))
    word = level.readings["dead"].of if "dead" in level.readings else ""
    lines = _lines(run, level, base, ("dead", "unseen"), (word or "dead", "unseen"))
    if lines:
        yield Plan("dead", f"dead codes{suffix}", lines, 0.0, float(codes or 1), "count")


def _lines(
    run: RunView,
    level: Level,
    base: tuple[RunView, Level | None] | None,
    roles: tuple[str, ...],
    names: tuple[str, ...] = ("real", "EMA", "batch"),
) -> tuple[Line, ...]:
    """The readings of a level in `roles`, each series once, and the first of them of the baseline."""
    looks = (("solid", "real"), ("dashed", "ema"), ("dotted", "dim"))
    lines: list[Line] = []
    for role, name, (line, style) in zip(roles, names, looks, strict=False):
        reading = level.readings.get(role)
        if reading is not None and all(reading.series is not other.reading.series for other in lines):
            lines.append(Line((reading.of or name) if name == "real" else name, reading, run.path, line, style))
    if base and base[1] and base[0].path != run.path and (reading := base[1].readings.get(roles[0])):
        lines.insert(2, Line("base", reading, base[0].path, "dashdot", "baseline"))
    return tuple(lines)


def _of_run(run: RunView, base: tuple[RunView, Level | None] | None) -> Iterator[Plan]:
    looks = (("solid", "real"), ("dotted", "ema"), ("dashed", "event"), ("dashdot", "dim"))
    terms = [(name, one) for name in LOSSES if (one := of_run(run, name)) is not None]
    lines = [
        Line("total" if name == "loss" else name.removeprefix("loss."), Reading(one), run.path, *style)
        for (name, one), style in zip(terms, looks, strict=False)
    ]
    if lines:
        if base and base[0].path != run.path and (one := of_run(base[0], "loss")) is not None and len(lines) < 4:
            lines.append(Line("base", Reading(one), base[0].path, "dashdot", "baseline"))
        yield Plan("loss", "loss", tuple(lines), log=all(_spans_decades(line.reading.series) for line in lines[:1]))
    ids = id_signs(run)
    if (rate := ids.get("rate")) is not None:
        floor, items = ids.get("floor_excess"), ids.get("items")
        least = floor.last / items.last if floor and items and floor.last is not None and items.last else None
        both = [Line("rate", Reading(rate), run.path)]
        if base and base[0].path != run.path and (one := id_signs(base[0]).get("rate")) is not None:
            both.append(Line("base", Reading(one), base[0].path, "dashdot", "baseline"))
        yield Plan("collisions", "ID collisions", tuple(both), 0.0, None, "share", ((least, "floor"),) if least else ())
    lr = of_run(run, "lr")
    if lr is not None:
        yield Plan("lr", "learning rate", (Line("lr", Reading(lr), run.path),), 0.0)


def _rest(run: RunView, level: Level | None) -> list[Series]:
    """What no vital sign is made of: keys that are not known first, then metrics of this level or of none."""
    place = level.place if level else ("", None)
    mine = [one for one in run.series if one.n and one.meaning.level in (None, place[1])]
    return sorted(mine, key=lambda one: one.meaning.metric is not None)


def _plain(run: RunView, one: Series, look: Look) -> Plan:
    known = one.meaning.metric or one.meaning.scalar
    title = look.cut(one.key.label, 34)
    note = "" if known else "unknown key, not judged"
    low = 0.0 if one.low is not None and one.low >= 0 and not _spans_decades(one) else None
    lines = (Line("", Reading(one), run.path),)
    return Plan(one.key.label, title, lines, low, note=note, log=_spans_decades(one), words=(one.key.label, known or "unknown"))


def _spans_decades(one: Series) -> bool:
    return one.low is not None and one.high is not None and one.low > 0 and one.high / one.low > LOG_FROM


def marks(events: tuple[Event, ...]) -> tuple[Mark, ...]:
    """Ticks for what happened; a step that an event does not have cannot be drawn."""
    found = {
        (event.step, EVENTS[event.kind][0]): Mark(event.step, *EVENTS[event.kind])
        for event in events
        if event.step is not None and event.kind in EVENTS
    }
    checkpoints = [key for key in found if key[1] == "ckpt"]
    if len(checkpoints) > FEW:
        found |= {key: Mark(key[0], "", 3) for key in checkpoints}
    return tuple(found.values())

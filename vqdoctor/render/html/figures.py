"""Pictures as inline SVG: each with a title, a description that says the same in words, and shapes where colours differ.

A figure is 400 units wide so that its words can be read on a phone; it measures nothing, it places numbers that the report holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from vqdoctor.model.report import LevelReport, QuantizerReport
from vqdoctor.render.figures import count, plural, share
from vqdoctor.render.html.markup import Markup, el, join, say
from vqdoctor.render.words import codes_of, number_of

WIDTH = 400
LEFT, RIGHT, TOP = 58, 8, 10  # room for labels
COLUMNS = 160  # bars of a histogram; more cannot be told apart
LOG_FROM = 20.0  # from this ratio of most to least used on, a linear scale would hide the least
BELOW = 20.0  # how far under the least used code an EMA count still pulls the scale
DECADES = 6  # below one in a million of the rows nothing is told


def svg(mark: str, height: int, title: str, description: str, *parts: object, class_: str = "") -> Markup:
    """A figure that a screen reader reads as one picture."""
    told = [el("title", title, id=f"{mark}-t"), el("desc", description, id=f"{mark}-d")]
    return el(
        "svg", *told, *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_labelledby=f"{mark}-t",
        aria_describedby=f"{mark}-d", class_=f"figure {class_}".strip(), xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def text(x: float, y: float, words: object, class_: str = "label", anchor: str = "start") -> Markup:
    """Words in a figure."""
    return el("text", words, x=at(x), y=at(y), class_=class_, text_anchor=anchor)


def usage_figure(mark: str, name: str, level: LevelReport) -> Markup | None:
    """Share of the rows by code, most used first; EMA counts as a line over it. None where nothing was counted."""
    codes, hits = codes_of(level), sorted((n for n in (level.counts or {}).values() if n > 0), reverse=True)
    if not hits or not codes:
        return None
    height, base = 190, 150
    shares = [n / sum(hits) for n in hits]
    counted = _shares(level.facts.get("details", {}).get("ema_count", ()))
    bars, ema = slices(shares, codes), slices(counted, codes)
    scale = Scale(max(shares[0], *ema), _least(shares, ema), base)
    parts = [
        scale.grid(),
        _unused(len(hits), codes, base),
        el("path", d=_columns(bars, scale), class_="bar"),
        el("path", d=_line(ema, scale), class_="ema") if any(ema) else "",
        el("path", d=f"M{LEFT} {at(scale.y(1 / codes))}H{WIDTH - RIGHT}", class_="uniform"),
        text(LEFT, base + 16, "most used"),
        text(WIDTH - RIGHT, base + 16, "least used", anchor="end"),
        text(LEFT, base + 34, _key(any(ema)), class_="key"),
    ]
    title = f"Use of the codes of {say(name)}"
    return svg(mark, height, title, usage_words(level, hits, codes), *parts)


def _least(shares: Sequence[float], ema: Sequence[float]) -> float:
    """The least share that the scale has to show: an EMA count may lie below the rows, but far below it would flatten them."""
    lowest = min((value for value in ema if value > 0), default=shares[-1])
    return min(shares[-1], max(lowest, shares[-1] / BELOW))


def usage_words(level: LevelReport, hits: Sequence[int], codes: int) -> str:
    """The histogram in words."""
    top = share(hits[0] / sum(hits))
    half = _codes_for(hits, 0.5)
    words = f"{count(len(hits))} of {plural(codes, 'code')} take {plural(sum(hits), 'row')}. The most used takes {top}"
    claimed = number_of(level.metrics, "ema.utilization")
    ema = f" EMA counts call {share(claimed)} of them active." if claimed is not None else ""
    return f"{words}; half of all rows fall on {plural(half, 'code')}; never hit: {count(codes - len(hits))}.{ema}"


def _codes_for(hits: Sequence[int], part: float) -> int:
    """How many of the most used codes take at least `part` of the rows."""
    total, wanted = 0, part * sum(hits)
    for rank, n in enumerate(hits, 1):
        total += n
        if total >= wanted:
            return rank
    return len(hits)


def _key(ema: bool) -> str:
    return "bars: rows · dashes: all codes alike" + (" · line: EMA counts" if ema else "")


class Scale:
    """Heights of shares between `top` and the base of a figure: logarithmic where the least would not be seen otherwise."""

    def __init__(self, most: float, least: float, base: int) -> None:
        self.base, self.most = base, most
        self.log = most / least > LOG_FROM
        self.low = max(-DECADES, math.floor(math.log10(least)) - (0 if least < 1 else 1))
        self.high = math.ceil(math.log10(most) - 1e-9)
        self.low = min(self.low, self.high - 1)

    def y(self, value: float) -> float:
        """The height of a share; nothing lies below the base, and what is above nothing shows."""
        if value <= 0:
            return self.base
        if self.log:
            part = (math.log10(value) - self.low) / (self.high - self.low)
        else:
            part = value / self.most
        return self.base - max(0.02, min(1.0, part)) * (self.base - TOP)

    def grid(self) -> Markup:
        """Lines across, each with its share."""
        marks = [10.0**power for power in range(self.low, self.high + 1)] if self.log else [self.most / 2, self.most]
        lines = [el("path", d=f"M{LEFT} {at(self.y(mark))}H{WIDTH - RIGHT}", class_="grid") for mark in marks]
        labels = [text(LEFT - 4, self.y(mark) + 4, _percent(mark), anchor="end") for mark in marks]
        return join([*lines, el("path", d=f"M{LEFT} {self.base}H{WIDTH - RIGHT}", class_="axis"), *labels])


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def slices(values: Sequence[float], codes: int) -> list[float]:
    """Means of at most `COLUMNS` equal slices of a ranking of `codes`, of which `values` are those above nothing."""
    number = min(COLUMNS, codes)
    edges = [codes * i // number for i in range(number + 1)]
    return [math.fsum(values[start:stop]) / (stop - start) for start, stop in pairwise(edges)]


def _shares(counts: Iterable[float]) -> list[float]:
    ranked = sorted((float(n) for n in counts if 0 < n < math.inf), reverse=True)
    total = math.fsum(ranked)
    return [n / total for n in ranked]


def _columns(values: Sequence[float], scale: Scale) -> str:
    """A bar a slice, all in one path."""
    step = (WIDTH - RIGHT - LEFT) / len(values)
    wide = max(step * 0.86, step - 2)
    parts = [
        f"M{at(LEFT + i * step)} {scale.base}V{at(scale.y(value))}h{at(wide)}V{scale.base}z"
        for i, value in enumerate(values)
        if value > 0
    ]
    return "".join(parts)


def _line(values: Sequence[float], scale: Scale) -> str:
    """The tops of slices, joined."""
    step = (WIDTH - RIGHT - LEFT) / max(1, len(values))
    points = [f"{at(LEFT + (i + 0.5) * step)} {at(scale.y(value))}" for i, value in enumerate(values) if value > 0]
    return "M" + "L".join(points) if points else ""


def _unused(used: int, codes: int, base: int) -> Markup | str:
    """The part of the ranking that no row hit, said in words where there is room for them."""
    if used >= codes:
        return ""
    start = LEFT + (WIDTH - RIGHT - LEFT) * used / codes
    box = el("rect", x=at(start), y=TOP, width=at(WIDTH - RIGHT - start), height=base - TOP, class_="unused")
    room = WIDTH - RIGHT - start
    words = f"{count(codes - used)} never hit"
    return join([box, text(start + room / 2, base - 8, words, "note", "middle")]) if room > 90 else box


def map_figure(mark: str, quantizer: QuantizerReport) -> Markup | None:
    """Codes among features on the two directions of most variance; a used code is a dot, one never hit a cross."""
    shown = quantizer.map or {}
    codes, features = _points(shown.get("codes")), _points(shown.get("features"))
    if len(codes) < 2:
        return None
    height = 280
    place = Plane([*codes, *features], height)
    hit = hit_codes(quantizer) or [True] * len(codes)
    used = [point for point, is_hit in zip(codes, hit, strict=True) if is_hit]
    never = [point for point, is_hit in zip(codes, hit, strict=True) if not is_hit]
    key = ["● code"] * bool(used) + ["✕ code never hit"] * bool(never) + ["· row"] * bool(features)
    parts = [
        el("path", d=_dots(map(place, features)), class_="cloud"),
        el("path", d=_crosses(map(place, never)), class_="never"),
        el("path", d=_dots(map(place, used)), class_="code"),
        text(WIDTH / 2, height - 6, "   ".join(key), class_="key", anchor="middle"),
    ]
    title = f"Where the codes of {say(quantizer.name)} lie"
    return svg(mark, height, title, map_words(quantizer), *parts, class_="map")


def map_words(quantizer: QuantizerReport) -> str:
    """The map in words."""
    shown = quantizer.map or {}
    codes, features, explained = (shown.get(name) for name in ("codes", "features", "explained"))
    what = f"{plural(len(codes or ()), 'code')} of level 0 and {plural(len(features or ()), 'row')}"
    part = f" ({share(explained)} of it)" if explained is not None else ""
    hit = hit_codes(quantizer)
    told = f" {count(sum(hit))} of these codes were hit; never hit: {count(len(hit) - sum(hit))}." if hit is not None else ""
    return f"{what} on the two directions of most variance{part}.{told}"


def hit_codes(quantizer: QuantizerReport) -> list[bool] | None:
    """Whether each code of the map was hit; None where nobody counted or the map does not say which codes it shows."""
    shown = quantizer.map or {}
    counts = quantizer.levels[0].counts if quantizer.levels else None
    codes, rows = _points(shown.get("codes")), shown.get("code_rows")
    if counts is None or not isinstance(rows, list) or len(rows) != len(codes):
        return None
    return [counts.get(row, 0) > 0 for row in rows]


def _points(given: object) -> list[tuple[float, float]]:
    """Finite points of a map."""
    pairs = given if isinstance(given, list | tuple) else ()
    return [(float(x), float(y)) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


class Plane:
    """The map's plane in the figure, with one scale for both axes: distances are what a map is for."""

    def __init__(self, points: Sequence[tuple[float, float]], height: int) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        wide, self.tall = WIDTH - 24, height - 44
        self.scale = min(wide / ((max(xs) - min(xs)) or 1), self.tall / ((max(ys) - min(ys)) or 1))
        self.middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2

    def __call__(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the map as x, y of the figure."""
        x, y = (one - middle for one, middle in zip(point, self.middle, strict=True))
        return WIDTH / 2 + x * self.scale, TOP + self.tall / 2 - y * self.scale


def _dots(points: Iterable[tuple[float, float]]) -> str:
    """Dots as lines of no length: the round caps of the stroke draw them, and one path holds them all."""
    return "".join(f"M{at(x)} {at(y)}h0" for x, y in points)


def _crosses(points: Iterable[tuple[float, float]]) -> str:
    return "".join(f"M{at(x - 2)} {at(y - 2)}l4 4m0-4l-4 4" for x, y in points)


def meter(real: float | None, claimed: float | None) -> Markup | str:
    """Two bars, real use over what EMA counts say; the numbers stand beside it, so it is not read aloud.

    Its own size and colours are for notebooks, which have no style sheet of ours.
    """
    if real is None and claimed is None:
        return ""
    bars = [
        el("path", d=f"M0 {y}h{at(100 * min(1.0, value))}v4h-{at(100 * min(1.0, value))}z", class_=name, fill=color)
        for y, value, name, color in ((0, real, "bar", "#2f6fb3"), (5, claimed, "claim", "#c05a1c"))
        if value is not None
    ]
    frame = el("path", d="M0 0h100v9h-100z", class_="frame", fill="#8885")
    size = {"width": 112, "height": 18, "viewBox": "0 0 100 9", "preserveAspectRatio": "none"}
    return el("svg", frame, *bars, **size, class_="meter", aria_hidden="true")


def at(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

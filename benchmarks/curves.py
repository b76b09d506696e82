"""Growth as a picture: a panel a curve, log over log, a decade as long on both axes, so that a slope of 1 rises at 45 degrees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, COLUMNS = 300, 240, 3  # of a panel, panels in a row
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 42, 40  # margins of a panel
COLOUR, FAINT, TEXT = "#2563a8", "#b0763a", "#1f2328"
STYLE = f"font-family:system-ui,sans-serif;font-size:12px;fill:{TEXT}"


class Curve(NamedTuple):
    """Values at sizes. along: what the sizes are. unit: of the values, "s" or "MiB". expected: the slope that it should have."""

    name: str
    along: str
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    unit: str
    expected: float
    slope: float

    @property
    def word(self) -> str:
        """What is expected."""
        return {0: "constant", 1: "at most linear"}.get(self.expected, f"{self.expected:g}")


class Frame(NamedTuple):
    """Where a panel puts a size and a value: pixels a decade, and the logarithms that lie in its middle."""

    decade: float
    x: float
    y: float

    def at(self, size: float, value: float) -> tuple[float, float]:
        """In pixels from the panel's corner."""
        across = LEFT + (WIDTH - LEFT - RIGHT) / 2 + (math.log10(size) - self.x) * self.decade
        return across, TOP + (HEIGHT - TOP - BOTTOM) / 2 - (math.log10(value) - self.y) * self.decade


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of the straight line through log size and log value that is nearest by least squares."""
    x, y = ([math.log(one) for one in each] for each in (sizes, values))
    middle = sum(x) / len(x)
    return sum((at - middle) * one for at, one in zip(x, y, strict=True)) / sum((at - middle) ** 2 for at in x)


def framed(curve: Curve) -> Frame:
    """Both axes with the same pixels a decade."""
    x, y = ([math.log10(one) for one in each] for each in (curve.sizes, curve.values))
    spread = max((max(x) - min(x)) / (WIDTH - LEFT - RIGHT), (max(y) - min(y)) / (HEIGHT - TOP - BOTTOM), 1e-9)
    return Frame(0.86 / spread, (max(x) + min(x)) / 2, (max(y) + min(y)) / 2)


def svg(curves: Sequence[Curve]) -> str:
    """All curves as one picture."""
    rows = -(-len(curves) // COLUMNS)
    size = f'width="{COLUMNS * WIDTH}" height="{rows * HEIGHT + 30}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<clipPath id="panel"><path d="M{LEFT},{TOP}H{WIDTH - RIGHT}V{HEIGHT - BOTTOM}H{LEFT}z"/></clipPath>',
        f'<text x="12" y="20">Growth, log over log: measured <tspan fill="{COLOUR}">●―●</tspan>, '
        f'expected slope <tspan fill="{FAINT}">┄┄</tspan></text>',
    ]
    for number, curve in enumerate(curves):
        lines.append(f'<g transform="translate({number % COLUMNS * WIDTH},{number // COLUMNS * HEIGHT + 30})">')
        lines += [*panel(curve), "</g>"]
    return "\n".join([*lines, "</svg>\n"])


def panel(curve: Curve) -> Iterator[str]:
    """One curve with its axes."""
    frame = framed(curve)
    points = [frame.at(size, value) for size, value in zip(curve.sizes, curve.values, strict=True)]
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    yield f'<text x="{LEFT}" y="18" font-weight="bold">{escape(curve.name)} with {escape(curve.along)}</text>'
    yield f'<text x="{LEFT}" y="34">slope {curve.slope:.2f}, expected {escape(curve.word)}</text>'
    yield f'<path d="M{LEFT},{TOP}V{bottom}H{right}" fill="none" stroke="{TEXT}"/>'
    for size, (x, _) in zip(curve.sizes, points, strict=True):
        yield f'<path d="M{x:.1f},{bottom}v4" stroke="{TEXT}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{compact(size)}</text>'
    for value in marks(frame):
        y = frame.at(curve.sizes[0], value)[1]
        yield f'<path d="M{LEFT},{y:.1f}h-4" stroke="{TEXT}"/>'
        yield f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{written(value, curve.unit)}</text>'
    half = (curve.sizes[-1] / curve.sizes[0]) ** 0.5
    middle = 10**frame.y
    ends = [frame.at(10**frame.x * step, middle * step**curve.expected) for step in (1 / half, half)]
    yield f'<path d="M{pair(ends[0])}L{pair(ends[1])}" stroke="{FAINT}" stroke-dasharray="5 4" clip-path="url(#panel)"/>'
    yield f'<path d="M{"L".join(map(pair, points))}" stroke="{COLOUR}" stroke-width="2" fill="none"/>'
    yield "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOUR}"/>' for x, y in points)


def pair(point: tuple[float, float]) -> str:
    """As a path has it."""
    return f"{point[0]:.1f},{point[1]:.1f}"


def marks(frame: Frame) -> Iterator[float]:
    """Values to write at the left axis: 1, 2 and 5 of each decade, or what there is room for."""
    half = (HEIGHT - TOP - BOTTOM) / 2 / frame.decade
    low, high = frame.y - half, frame.y + half
    steps = (1, 2, 5) if high - low < 3 else (1,)
    for power in range(math.floor(low), math.ceil(high) + 1):
        yield from (step * 10.0**power for step in steps if low <= math.log10(step * 10.0**power) <= high)


def compact(size: float) -> str:
    """8192 as 8k, 16,000,000 as 16M."""
    units = (("M", 10**6), ("k", 1024), ("k", 1000))
    return next((f"{size // factor:g}{unit}" for unit, factor in units if size >= factor and size % factor == 0), f"{size:g}")


def written(value: float, unit: str) -> str:
    """A value at an axis."""
    if unit != "s":
        return f"{value:g} {unit}"
    return f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms" if value >= 1e-3 else f"{1e6 * value:g} µs"


def text(curves: Sequence[Curve], width: int = 43, height: int = 10) -> str:
    """The same in letters, a panel `width` × `height` cells."""
    panels = [lettered(curve, width, height) for curve in curves]
    rows = [panels[at : at + COLUMNS] for at in range(0, len(panels), COLUMNS)]
    return "\n".join("".join(f"{cells:{width}}" for cells in line).rstrip() for row in rows for line in zip(*row, strict=True))


def lettered(curve: Curve, width: int, height: int) -> list[str]:
    """One curve, its title above it."""
    import plotext

    x, y = ([math.log2(one / each[0]) for one in each] for each in (curve.sizes, curve.values))
    middle = (max(y) + min(y) - curve.expected * x[-1]) / 2
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # not to the terminal's height: it scrolls
    plotext.plot_size(width - 2, height)
    plotext.plot(x, [middle + curve.expected * one for one in x], marker=".")
    plotext.plot(x, y, marker="●")
    plotext.ylim(middle + (curve.expected - 1.1) * x[-1] / 2, middle + (curve.expected + 1.1) * x[-1] / 2)
    plotext.xticks(x, [compact(size) for size in curve.sizes])
    plotext.yticks([y[0], y[-1]], [written(float(f"{value:.3g}"), curve.unit) for value in (curve.values[0], curve.values[-1])])
    title = f"{curve.name} with {curve.along}: {curve.slope:.2f} ({curve.word})"
    return [title[: width - 2], *plotext.uncolorize(plotext.build()).splitlines()]

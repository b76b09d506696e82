"""`make screens`: every screen of the dashboard at three sizes, as SVG, text and (where a font is found) PNG, to be looked at.

From the files in sample_checkpoints/; nothing is drawn by hand. The pictures go to build/screens/.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.app import App

from vqdoctor.app.inspect import inspect as inspect_paths
from vqdoctor.app.request import InspectRequest
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.tui.base import BaseApp
from vqdoctor.tui.export import frame, picture
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.screen import InspectScreen
from vqdoctor.tui.watch_app import WatchApp

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "screens"
SIZES = ((80, 24), (120, 40), (200, 60))
FONTS = ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")
CELL = (10, 20)
BACK, FORE = (16, 21, 27), (219, 226, 234)
KEYS = {"/": "slash", "<": "less_than_sign", "?": "question_mark", "]": "right_square_bracket"}
Made = Callable[[], App[Any]]


def watch(log: str, look: str | None = None) -> Made:
    """The watch screen over one of the sample logs, or over all of them: ``*``."""
    paths = sorted(ROOT.glob(f"sample_checkpoints/{log}.log.jsonl"))
    return lambda: WatchApp(partial(Watcher, paths, clock=time.time), look=look, no_color=look == "mono")


class Opened(BaseApp):
    """The inspect screen over what was inspected already."""

    def __init__(self, paths: Sequence[Path], **options: Any) -> None:
        super().__init__(**options)
        request = InspectRequest(details=True, views=True)
        self.browsing = Browsing(inspect_paths([os.path.relpath(path) for path in paths], request))

    def on_mount(self) -> None:
        self.push_screen(InspectScreen(self.browsing))


def inspect(sample: str, look: str | None = None) -> Made:
    """The inspect screen over one of the sample checkpoints, or over all of them: ``*``."""
    paths = sorted(ROOT.glob(f"sample_checkpoints/{sample}.pt"))
    return lambda: Opened(paths, look=look, no_color=look == "mono")


SCREENS: dict[str, tuple[Made, str]] = {  # name: app, keys
    "watch": (watch("ema-illusion"), ""),
    "watch-collapse": (watch("collapsed-rq"), ""),
    "watch-healthy": (watch("healthy-vq"), ""),
    "watch-levels": (watch("hourglass"), "l"),
    "watch-cursor": (watch("revived-by-kmeans"), "shift+left shift+left"),
    "watch-finding": (watch("collapsed-rq"), "e enter"),
    "watch-cure": (watch("collapsed-rq"), "e r"),
    "watch-compare": (watch("*"), "b ] c"),
    "watch-runs": (watch("*"), "b ] v"),
    "watch-log": (watch("hourglass"), "v v"),
    "watch-series": (watch("hourglass"), "v v v"),
    "watch-more": (watch("hourglass"), "n"),
    "watch-smooth": (watch("hourglass"), "s s"),
    "watch-help": (watch("hourglass"), "?"),
    "watch-safe": (watch("collapsed-rq", "safe"), "e"),
    "watch-ascii": (watch("collapsed-rq", "ascii"), "e"),
    "watch-mono": (watch("collapsed-rq", "mono"), "e"),
    "inspect": (inspect("ema-illusion"), ""),
    "inspect-healthy": (inspect("healthy-vq"), ""),
    "inspect-levels": (inspect("hourglass"), "5 down enter"),
    "inspect-codes": (inspect("ema-illusion"), "e"),
    "inspect-use": (inspect("ema-illusion"), "e e"),
    "inspect-map": (inspect("healthy-vq"), "4"),
    "inspect-collapse": (inspect("collapsed-rq"), "4"),
    "inspect-collisions": (inspect("hourglass"), "6"),
    "inspect-findings": (inspect("hourglass"), "7"),
    "inspect-explain": (inspect("ema-illusion"), "x"),
    "inspect-several": (inspect("*"), "c c"),
    "inspect-filter": (inspect("hourglass"), "l l 2 / u s e < 2 0"),
    "inspect-safe": (inspect("hourglass", "safe"), "l 3"),
    "inspect-ascii": (inspect("hourglass", "ascii"), "2"),
    "inspect-mono": (inspect("hourglass", "mono"), "5"),
    "inspect-help": (inspect("hourglass"), "?"),
    "repair": (inspect("collapsed-rq"), "r"),
    "repair-plan": (inspect("collapsed-rq"), "r p"),
    "repair-confirm": (inspect("ema-illusion"), "r p w"),
}


def main(chosen: Sequence[str]) -> None:
    """All screens, or those whose names are given."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (make, keys) in SCREENS.items():
        if not chosen or name in chosen:
            for size in SIZES:
                asyncio.run(take(name, make(), size, keys.split()))
    print(f"{len(list(OUT.glob('*.svg')))} pictures in {OUT}")


async def take(name: str, app: App[Any], size: tuple[int, int], keys: Sequence[str]) -> None:
    """One screen at one size, after some keys."""
    async with app.run_test(size=size) as pilot:
        await pilot.pause(1.0)  # what is shown has been read by then
        for key in keys:
            await pilot.press(KEYS.get(key, key))
            await pilot.pause()
            while getattr(app.screen, "stage", "") == "planning":
                await pilot.pause(0.1)
        await pilot.pause(0.1)
        stem = OUT / f"{name}-{size[0]}x{size[1]}"
        stem.with_suffix(".svg").write_text(picture(app, name), encoding="utf-8")
        stem.with_suffix(".txt").write_text("\n".join(frame(app)) + "\n", encoding="utf-8")
        paint(app, stem.with_suffix(".png"))


def paint(app: App[Any], path: Path) -> None:
    """The screen as a terminal would show it, a cell a character; nothing where the font is not installed."""
    try:
        fonts = [ImageFont.truetype(name, 16) for name in FONTS]
    except OSError:
        return
    image = Image.new("RGB", (app.size.width * CELL[0], app.size.height * CELL[1]), BACK)
    draw = ImageDraw.Draw(image)
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        x = 0
        for text, given, _ in strip:
            style = given or Style()
            fore, back = color(style.color, FORE), color(style.bgcolor, BACK)
            if style.dim:
                fore = tuple((f + b) // 2 for f, b in zip(fore, back, strict=True))
            if style.reverse:
                fore, back = back, fore
            for character in text:
                cells = max(1, cell_len(character))
                draw.rectangle((x * CELL[0], y * CELL[1], (x + cells) * CELL[0] - 1, (y + 1) * CELL[1] - 1), fill=back)
                if "\u2800" <= character <= "\u28ff":
                    braille(draw, character, x * CELL[0], y * CELL[1], fore)
                    x += 1
                    continue
                draw.text((x * CELL[0], y * CELL[1]), character, fore, font=fonts[bool(style.bold)])
                x += cells
    image.save(path)


def braille(draw: ImageDraw.ImageDraw, character: str, left: int, top: int, fore: tuple[int, ...]) -> None:
    """Its dots, which the font lacks."""
    for bit in range(8):
        if (ord(character) - 0x2800) >> bit & 1:
            row, column = (bit % 3, bit // 3) if bit < 6 else (3, bit - 6)
            x, y = left + 2 + 5 * column, top + 2 + 5 * row
            draw.rectangle((x, y, x + 1, y + 1), fill=fore)


def color(given: Color | None, other: tuple[int, ...]) -> tuple[int, ...]:
    """Red, green, blue; `other` for a terminal's own."""
    return other if given is None or given.is_default else tuple(given.get_truecolor())


if __name__ == "__main__":
    main(sys.argv[1:])

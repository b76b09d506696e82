"""`make screens`: every screen of the dashboard at three sizes, as SVG, text and (where a font is found) PNG, to be looked at.

From the logs in sample_checkpoints/; nothing is drawn by hand. Files go to build/screens/.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len
from textual.app import App

from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.tui.export import frame, picture
from vqdoctor.tui.watch_app import WatchApp

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "screens"
SIZES = ((80, 24), (120, 40), (200, 60))
FONT = "DejaVuSansMono.ttf"
CELL = (10, 20)
BACK, FORE = (16, 21, 27), (219, 226, 234)
LOGS = sorted(ROOT.glob("sample_checkpoints/*.log.jsonl"))
WATCH = {  # screen: log, look, keys
    "watch": ("ema-illusion", None, ""), "watch-collapse": ("collapsed-rq", None, ""), "watch-healthy": ("healthy-vq", None, ""),
    "watch-levels": ("hourglass", None, "l"), "watch-cursor": ("revived-by-kmeans", None, "shift+left shift+left"),
    "watch-finding": ("collapsed-rq", None, "e enter"), "watch-cure": ("collapsed-rq", None, "e r"),
    "watch-compare": ("*", None, "b ] c"), "watch-runs": ("*", None, "v"), "watch-log": ("hourglass", None, "v v v"),
    "watch-series": ("hourglass", None, "v v v v"), "watch-more": ("hourglass", None, "n"), "watch-smooth": ("hourglass", None, "s s"),
    "watch-help": ("hourglass", None, "?"), "watch-safe": ("collapsed-rq", "safe", "e"), "watch-ascii": ("collapsed-rq", "ascii", "e"),
    "watch-mono": ("collapsed-rq", "mono", "e"),
}  # fmt: skip
KEYS = {"?": "question_mark", "]": "right_square_bracket"}


def main(chosen: Sequence[str]) -> None:
    """All screens, or those whose names are given."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (log, look, keys) in WATCH.items():
        if chosen and name not in chosen:
            continue
        paths = [path for path in LOGS if log in ("*", path.name.split(".")[0])]
        for size in SIZES:
            asyncio.run(take(name, WatchApp(lambda paths=paths: Watcher(paths, clock=time.time), look=look, no_color=look == "mono"), size, keys.split()))
    print(f"{len(list(OUT.glob('*.svg')))} pictures in {OUT}")


async def take(name: str, app: App[Any], size: tuple[int, int], keys: Sequence[str]) -> None:
    """One screen at one size, after some keys."""
    async with app.run_test(size=size) as pilot:
        for _ in range(200):
            await pilot.pause(0.05)
            if getattr(app, "ready", True):
                break
        for key in keys:
            await pilot.press(KEYS.get(key, key))
            await pilot.pause()
        await pilot.pause(0.1)
        stem = OUT / f"{name}-{size[0]}x{size[1]}"
        stem.with_suffix(".svg").write_text(picture(app, name), encoding="utf-8")
        stem.with_suffix(".txt").write_text("\n".join(frame(app)) + "\n", encoding="utf-8")
        paint(app, stem.with_suffix(".png"))


def paint(app: App[Any], path: Path) -> None:
    """The screen as a terminal would show it, a cell a character; nothing where the font is not installed."""
    try:
        plain, bold = (ImageFont.truetype(name, 16) for name in (FONT, "DejaVuSansMono-Bold.ttf"))
    except OSError:
        return
    width, height = app.size
    image = Image.new("RGB", (width * CELL[0], height * CELL[1]), BACK)
    draw = ImageDraw.Draw(image)
    stack = [screen for screen in app.screen_stack if screen.is_attached][-2:] if app.screen.is_modal else [app.screen]
    for screen in stack:
        for y, strip in enumerate(screen._compositor.render_strips()):
            x = 0
            for text, style, _ in strip:
                fore = tuple(style.color.get_truecolor()) if style and style.color and not style.color.is_default else FORE
                back = tuple(style.bgcolor.get_truecolor(foreground=False)) if style and style.bgcolor and not style.bgcolor.is_default else BACK
                if style and style.dim:
                    fore = tuple((2 * f + 2 * b) // 4 for f, b in zip(fore, back, strict=True))
                if style and style.reverse:
                    fore, back = back, fore
                for character in text:
                    cells = max(1, cell_len(character))
                    draw.rectangle((x * CELL[0], y * CELL[1], (x + cells) * CELL[0] - 1, (y + 1) * CELL[1] - 1), fill=back)
                    draw.text((x * CELL[0], y * CELL[1]), character, fore, font=bold if style and style.bold else plain)
                    x += cells
    image.save(path)


if __name__ == "__main__":
    main(sys.argv[1:])

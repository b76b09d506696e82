"""`S`: what is seen, as a picture, as text and as data, in three files beside each other that replace none."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from textual.app import App

from vqdoctor.safe_write import write_atomically

FORMS = ("svg", "txt", "json")
_FONTS = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)


def save_view(app: App[Any], seen: dict[str, Any], title: str) -> list[str]:
    """Write the three files into the app's folder; their paths.

    Raises:
        UsageError: the folder cannot be written to.
    """
    stem = _free_stem(getattr(app, "folder", os.curdir), re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"))
    texts = (
        picture(app, title),
        "\n".join(frame(app)) + "\n",
        json.dumps(seen, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    )
    paths = [f"{stem}.{form}" for form in FORMS]
    for path, text in zip(paths, texts, strict=True):
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
    return paths


def _free_stem(folder: str, name: str) -> str:
    """``folder/name-1``, or the next number of which no file is there."""
    number = 1
    while any(os.path.lexists(os.path.join(folder, f"{name}-{number}.{form}")) for form in FORMS):
        number += 1
    return os.path.join(folder, f"{name}-{number}")


def frame(app: App[Any]) -> list[str]:
    """The lines of the screen as they are now, without blanks at their ends."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def picture(app: App[Any], title: str) -> str:
    """The screen as SVG; it names no font that would have to be fetched from somewhere."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True,
        legacy_windows=False, safe_box=False, _environ={},
    )  # fmt: skip
    console.print(app.screen._compositor.render_update(full=True))
    return console.export_svg(title=title, code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT))

"""The list of what is built in and installed, for a person or a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from vqdoctor.model import Extension
from vqdoctor.model.extension import BUILT_IN
from vqdoctor.render.page import Cell, Page, table, table_width
from vqdoctor.render.screen import Screen

SCHEMA = "vqdoctor.plugins/1"
INDENT = 3
LOOKS = {"ok": ("✓", "green"), "broken": ("✗", "bold red"), "off": ("–", "dim")}


def as_json(entries: Sequence[Extension]) -> str:
    """``vqdoctor.plugins/1``: every entry with all that is known of it."""
    listed = [asdict(one) for one in entries]
    return json.dumps({"schema": SCHEMA, "plugins": listed}, indent=2) + "\n"


def as_text(entries: Sequence[Extension], screen: Screen, *, whole: bool) -> str:
    """A section a seam. whole: name what is built in one by one, too; else only count it."""
    page = Page(screen)
    for seam in dict.fromkeys(one.seam for one in entries):
        group = [one for one in entries if one.seam == seam]
        own = [one for one in group if one.origin == BUILT_IN]
        page.line((seam.replace("_", " "), "bold"), (f"   {len(own)} built in, {len(group) - len(own)} installed", "dim"))
        shown = group if whole else [one for one in group if one not in own]
        for line in table(_columns(shown, page), left=("name", "state", "origin", "about")) if shown else ():
            page.line(line, indent=INDENT)
        for one in shown:
            if one.why:
                page.prose(f"{screen.say(one.name, 60)}: {screen.say(one.why)}", indent=5, first=screen.fold("✗ "))
    if not whole:
        page.gap()
        page.line(("vqdoctor plugins layouts (or log_readers, rules, engines, metrics) names each.", "dim"))
    return page.text()


def _columns(entries: Sequence[Extension], page: Page) -> dict[str, list[Cell]]:
    screen = page.screen
    columns: dict[str, list[Cell]] = {
        "state": [(f"{screen.fold(LOOKS[one.state][0])} {one.state}", LOOKS[one.state][1]) for one in entries],
        "name": [(page.cut(screen.say(one.name), 34), "") for one in entries],
        "origin": [(page.cut(screen.say(f"{one.origin} {one.version}"), 34), "dim") for one in entries],
    }
    room = max(20, screen.width - table_width(columns) - INDENT)
    return columns | {"about": [(_cut_end(screen.say(one.about), room, screen.fold("…")), "") for one in entries]}


def _cut_end(words: str, width: int, ellipsis: str) -> str:
    return words if len(words) <= width else words[: width - len(ellipsis)] + ellipsis

"""The inspect dashboard over a book of 16 384 codes: opening, scrolling, sorting and filtering it, in CPU time of a frame.

`python benchmarks/tui_inspect.py [--json FILE]`. Beside it Textual's own DataTable with the same rows, which holds every cell: what
the lines drawn from arrays are there to avoid. Bar: opened in 0.2 of its time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from record import command_line, record
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import DataTable

from vqdoctor.tui.base import BaseApp
from vqdoctor.tui.inspecting.browsing import Browsing
from vqdoctor.tui.inspecting.codes import COLUMNS
from vqdoctor.tui.inspecting.screen import InspectScreen

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tui"))
CODES, ROWS = 16_384, 100_000
SIZE = (120, 40)
PRESSES = 20
BARS = {"open": 0.2}


class Ours(BaseApp):
    """The screen over a report that is there already."""

    def __init__(self, browsing: Browsing) -> None:
        super().__init__()
        self.browsing = browsing

    def on_mount(self) -> None:
        """Its only screen."""
        self.push_screen(InspectScreen(self.browsing))


class Theirs(App[None]):
    """A DataTable of the same columns and rows."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__()
        self.details = details

    def compose(self) -> ComposeResult:
        """The table."""
        yield DataTable()

    def on_mount(self) -> None:
        """All its rows."""
        table = self.query_one(DataTable)
        table.add_columns(*(column.title for column in COLUMNS))
        values = [[str(value) for value in self.details[column.detail]] for column in COLUMNS]
        table.add_rows(zip(*values, strict=True))


async def spent(work: Callable[[], Awaitable[Any]]) -> float:
    """Seconds of CPU that `work` takes."""
    before = time.process_time()
    await work()
    return time.process_time() - before


async def typed(pilot: Pilot[Any], keys: str) -> None:
    """Some keys, each seen before the next."""
    for key in keys.split():
        await pilot.press(key)
        await pilot.pause()


async def measured(app: App[Any], keys: dict[str, tuple[str, int]]) -> dict[str, float]:
    """Seconds of CPU to open, and a key for each of `keys`: (keys, how many)."""
    before = time.process_time()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        found = {"open": time.process_time() - before}
        for name, (line, number) in keys.items():
            found[name] = await spent(lambda line=line: typed(pilot, line)) / number
    return found


def main() -> None:
    """A table of milliseconds."""
    parser = command_line(__doc__, quick="as without it: it is quick")
    given = parser.parse_args()
    from inspected import report_of

    report = report_of("big", codes=CODES, rows=ROWS)
    ours = asyncio.run(measured(Ours(Browsing([report])), {
        "codes": ("2", 1), "line": (" ".join(["down"] * PRESSES), PRESSES), "page": (" ".join(["pagedown"] * PRESSES), PRESSES),
        "end": ("end", 1), "sort": ("s", 1), "filter": ("f", 1),
    }))  # fmt: skip
    details = report.quantizers[0].levels[0].facts["details"]
    theirs = asyncio.run(measured(Theirs(details), {"line": (" ".join(["down"] * PRESSES), PRESSES)}))
    print(f"{CODES:,} codes at {SIZE[0]} x {SIZE[1]}, milliseconds of CPU")
    for name, seconds in ours.items():
        beside = f"   DataTable {1000 * theirs[name]:8.1f}" if name in theirs else ""
        print(f"  {name:<8}{1000 * seconds:8.1f}{beside}")
        if name in theirs:
            work = f"{name}, {CODES:,} codes, CPU"
            ratio = seconds / theirs[name]
            record(given.json, table="tui_inspect", work=work, peer="DataTable", ratio=ratio, bar=BARS.get(name), seconds=seconds)


if __name__ == "__main__":
    main()

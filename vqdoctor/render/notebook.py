"""A report where people explore: as a rich renderable, as a fragment of HTML, as a data frame.

`vqdoctor.model.Report` looks these up by name; what they need (rich, pandas, polars) is loaded by whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vqdoctor.errors import UsageError, printable
from vqdoctor.model.report import Report
from vqdoctor.render.screen import Screen
from vqdoctor.render.to_json import plain, report_object

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

LIBRARIES = ("pandas", "polars")


def rich_view(report: Report) -> RichView:
    """What `rich.print(report)` shows."""
    return RichView(report)


class RichView:
    """The text view, laid out for the console that it meets."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Lines as wide as the console, in its colours where it has any."""
        from rich.text import Text

        from vqdoctor.render.to_text import render

        screen = Screen(options.max_width, color=True, unicode=options.encoding.startswith("utf"))
        yield Text.from_ansi(render([self.report], screen).rstrip("\n"), overflow="fold")


def fragment(report: Report) -> str:
    """Verdict, levels and findings as HTML to stand within a page: no script, no heading that would upset the page's own."""
    from vqdoctor.render.html.notebook import fragment

    return fragment(report)


def frame(report: Report, library: str | None = None) -> Any:
    """A data frame with a row a level.

    Raises:
        UsageError: the library is neither pandas nor polars, or is not installed.
    """
    name = library or next((each for each in LIBRARIES if find_spec(each)), None)
    if name is None or (name in LIBRARIES and find_spec(name) is None):
        raise UsageError(f"to_frame needs {name or 'pandas or polars'}.", hint=f"Run: pip install {name or LIBRARIES[0]}.")
    if name not in LIBRARIES:
        raise UsageError(f"to_frame knows {' and '.join(LIBRARIES)}, not {printable(name)!r}.")
    return import_module(name).DataFrame(columns(report))


def columns(report: Report) -> dict[str, list[Any]]:
    """Columns of equal length, a row a level, undefined values None; metrics of a whole quantiser stand on each of its rows."""
    rows = [
        {
            "path": report.source.path,
            "verdict": report.verdict,
            "quantizer": quantizer.name,
            "layout": quantizer.layout,
            "level": level.index,
            "key": level.key,
            "codes": level.codes or None,
            "dim": level.dim or None,
            **plain({**level.metrics, **quantizer.metrics}),
        }
        for quantizer in report.quantizers
        for level in quantizer.levels
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def as_object(report: Report) -> dict[str, Any]:
    """`vqdoctor.report/1` as JSON's own types."""
    return report_object(report)

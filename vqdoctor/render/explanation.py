"""Help pages on the screen: our own Markdown, laid out by rich, and the page of a metric put together from its passport.

Headings stay on the left and links are spelled out, so that a page reads the same in a pipe.
"""

from __future__ import annotations

import io
import re
from typing import Any, ClassVar

from rich.console import Console
from rich.markdown import Heading, Markdown
from rich.theme import Theme

from vqdoctor.metrics.page import NEEDS, MetricPage
from vqdoctor.render.page import PROSE, freed, held
from vqdoctor.render.screen import Screen

THEME = Theme({"markdown.h1": "bold", "markdown.h2": "bold cyan", "markdown.code": "cyan", "markdown.code_block": "cyan"})


class _LeftHeading(Heading):
    """A heading where the eye is."""

    LEVEL_ALIGN: ClassVar[dict[str, Any]] = {}


class _Page(Markdown):
    elements: ClassVar[dict[str, Any]] = {**Markdown.elements, "heading_open": _LeftHeading}


def show_markdown(text: str, screen: Screen) -> str:
    """`text`, Markdown that we wrote, as lines for `screen`."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=min(screen.width, PROSE),
        color_system="standard" if screen.color else None,
        force_terminal=screen.color,
        no_color=not screen.color,
        legacy_windows=False,
        theme=THEME,
        _environ={},
    )
    console.print(_Page(held(text), hyperlinks=False, code_theme="ansi_dark"))
    lines = "\n".join(line.rstrip() for line in freed(out.getvalue()).split("\n"))
    return screen.fold(re.sub(r"\n{3,}", "\n\n", lines))


def metric_page(metric: MetricPage) -> str:
    """The passport of a metric as Markdown: formula, unit, range, better direction, needs, other names, then its text."""
    rows = {
        "formula": f"`{metric.formula}`",
        "unit": metric.unit or "none, a pure number",
        "range": metric.range,
        "better": metric.better,
        "needs": "; ".join(NEEDS[word] for word in metric.needs),
        "also known as": "; ".join(metric.also_known_as) or "no other name known",
    }
    facts = "\n".join(f"- **{name}**: {value}" for name, value in rows.items() if value)
    return f"# {metric.name}: {metric.title}\n\n{facts}\n\n{metric.text}\n"

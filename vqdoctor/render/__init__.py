"""A Report to what people and programs read: one literal tuple of renderers, each a module that is imported when it is asked for.

The border: a renderer is given finished values and measures nothing, so every view tells the same story. Whatever it shows of a
file goes through its own sink's escaping (`Screen.say` for terminals, `to_json.plain`, `to_markdown.escape`, `details.cell`).
A new format is a module with ``render(reports, screen) -> str`` and one line in `RENDERERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from vqdoctor.render.screen import Screen

if TYPE_CHECKING:
    from vqdoctor.model.gate import GateResult
    from vqdoctor.model.report import Report

__all__ = ["RENDERERS", "Renderer", "Screen", "renderer"]


@dataclass(frozen=True, slots=True)
class Renderer:
    """One format. name: as the command line spells it. module: where its `render` lives."""

    name: str
    module: str

    def render(self, reports: Sequence[Report], screen: Screen | None = None, gate: GateResult | None = None) -> str:
        """`reports` in this format.

        Args:
            screen: matters to formats that people read on a terminal, and says what paths are relative to.
            gate: the outcome of a gate, whose checks stand before the reports; text and JSON of a gate are its command's own.
        """
        render: Callable[..., str] = import_module(self.module).render
        return render(reports, screen or Screen(), *(() if gate is None else (gate,)))


RENDERERS = (
    Renderer("text", "vqdoctor.render.to_text"),
    Renderer("json", "vqdoctor.render.to_json"),
    Renderer("jsonl", "vqdoctor.render.to_jsonl"),
    Renderer("markdown", "vqdoctor.render.to_markdown"),
    Renderer("html", "vqdoctor.render.html"),
    Renderer("github", "vqdoctor.render.to_github"),
    Renderer("junit", "vqdoctor.render.to_junit"),
    Renderer("sarif", "vqdoctor.render.to_sarif"),
    Renderer("bench", "vqdoctor.render.to_bench"),
)


def renderer(name: str) -> Renderer:
    """The renderer called `name`.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in RENDERERS}[name]

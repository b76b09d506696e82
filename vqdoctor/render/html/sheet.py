"""What every part of the page is told: the report, how deep its headings lie, and a mark that keeps ids apart."""

from __future__ import annotations

from dataclasses import dataclass

from vqdoctor.model.report import Report
from vqdoctor.render.html.markup import Markup, el
from vqdoctor.render.screen import STATES


@dataclass(frozen=True, slots=True)
class Sheet:
    """One report on the page. depth: level of its own heading, 1 where it is the only one. mark: begins each of its ids."""

    report: Report
    depth: int = 1
    mark: str = "r0"

    def heading(self, below: int, *words: object, **attributes: object) -> Markup:
        """A heading `below` levels under the report's own."""
        return el(f"h{min(6, self.depth + below)}", *words, **attributes)

    def section(self, name: str, title: str, *parts: object) -> Markup:
        """A titled section that the page's list of contents can point to."""
        mark = f"{self.mark}-{name}"
        return el("section", self.heading(1, title, id=mark), *parts, aria_labelledby=mark)


def badge(state: str, **attributes: object) -> Markup:
    """Glyph, word and colour of a verdict or severity; the glyph is not read aloud."""
    look = STATES[state]
    return el("span", el("span", look.glyph, aria_hidden="true"), " ", look.word, class_=f"badge {state}", **attributes)


def command(line: str) -> Markup:
    """A command in a box of its own, with a button that copies it where scripts run."""
    button = el("button", "Copy", type="button", class_="copy", hidden=True)
    return el("div", el("pre", el("code", line)), button, class_="command")

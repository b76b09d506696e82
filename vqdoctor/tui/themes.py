"""How things look: four looks, each a palette, a set of glyphs and a Textual theme made from it.

A state is a glyph and a word before it is a colour (`render.screen.STATES`), so every look can be read without colours. The
colour-blind-safe look keeps its states apart for a deuteranope (tested by simulation). ``NO_COLOR`` in the environment, if it is
not empty, means a look without any colour: Textual by itself would keep a dozen greys and take an empty variable for a set one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text
from textual.theme import Theme

from vqdoctor.errors import printable
from vqdoctor.render.page import cut_middle
from vqdoctor.render.screen import STATES, Screen

STATE_NAMES = ("error", "warning", "info", "healthy")
ALIAS = {"sick": "error", "at-risk": "warning", "unknown": "info", "failed": "error", "stalled": "warning", "lagging": "warning"}
RUN_STATES = {  # glyph, word, colour of
    "live": ("●", "live", "healthy"), "lagging": ("»", "lagging", "warning"), "stalled": ("‖", "stalled", "warning"),
    "waiting": ("…", "waiting", "info"), "ended": ("■", "ended", "info"), "failed": ("✗", "failed", "error"),
}  # fmt: skip
_ASCII_RUN = {"●": "*", "»": ">", "‖": "=", "…": ".", "■": "#", "✗": "x"}


@dataclass(frozen=True, slots=True)
class Look:
    """One look.

    Attributes:
        name: as the user types it. unicode: characters beyond ASCII may be used. color: colours may be used.
        states: rich styles of error, warning, info, healthy.
        real, ema, baseline, ceiling, event, dim, title: rich styles of what charts and panes are made of.
        select: rich style of the chosen row.
        theme: the Textual theme's fields.
    """

    name: str
    unicode: bool = True
    color: bool = True
    states: Mapping[str, str] = field(default_factory=dict)
    real: str = ""
    ema: str = ""
    baseline: str = ""
    ceiling: str = ""
    event: str = ""
    select: str = "reverse"
    dim: str = "dim"
    title: str = "bold"
    theme: Mapping[str, Any] = field(default_factory=dict)

    @property
    def screen(self) -> Screen:
        """The gate through which words of files and rules reach this look."""
        return Screen(width=120, color=self.color, unicode=self.unicode)

    def say(self, text: object, limit: int = 400) -> str:
        """Anything as one safe line in what this look can show."""
        return self.screen.say(text, limit)

    def fold(self, text: str) -> str:
        """Our own words in what this look can show."""
        return self.screen.fold(text)

    def cut(self, words: object, width: int) -> str:
        """A name in at most `width` cells, made safe, its middle left out."""
        return cut_middle(self.say(words), max(1, width), self.fold("…"))

    def fit(self, words: str, width: int) -> str:
        """Words that are safe already in at most `width` cells, their middle left out."""
        return cut_middle(words, max(1, width), self.fold("…"))

    def clip(self, line: Text, width: int) -> Text:
        """A line in at most `width` cells, its end left out."""
        if line.cell_len > width:
            end = self.fold("…")
            line.truncate(max(0, width - len(end)))
            line.append(end, self.dim)
        return line

    def state_style(self, state: str) -> str:
        """Rich style of a state, severity, verdict or state of a run."""
        name = RUN_STATES[state][2] if state in RUN_STATES else ALIAS.get(state, state)
        return f"bold {self.states.get(name, '')}".strip()

    def state(self, name: str, words: str | None = None, shout: bool = False) -> Text:
        """Glyph and word of a verdict or severity, or of a run's state, in its colour; `words` in place of the word."""
        if name in RUN_STATES:
            glyph, word, _ = RUN_STATES[name]
            glyph = glyph if self.unicode else _ASCII_RUN[glyph]
        else:
            glyph, word = self.fold(STATES[name].glyph), STATES[name].word
        word = word if words is None else words
        return Text(f"{glyph} {word.upper() if shout else word}".rstrip(), self.state_style(name))

    def textual(self) -> Theme:
        """The Textual theme of this look."""
        return Theme(name=f"vqdoctor-{self.name}", **self.theme)


_ANSI: dict[str, Any] = {
    "primary": "ansi_default", "secondary": "ansi_default", "warning": "ansi_default", "error": "ansi_default",
    "success": "ansi_default", "accent": "ansi_default", "foreground": "ansi_default", "background": "ansi_default",
    "surface": "ansi_default", "panel": "ansi_default", "boost": "ansi_default", "ansi": True,
    "variables": dict.fromkeys(
        (
            "border", "border-blurred", "ansi-background", "ansi-foreground", "block-cursor-foreground", "block-cursor-background",
            "input-cursor-background", "input-cursor-foreground", "input-selection-background", "input-selection-foreground",
            "screen-selection-background", "screen-selection-foreground", "scrollbar", "scrollbar-background",
        ),
        "ansi_default",
    ),
}  # fmt: skip


def _dark(background: str, surface: str, foreground: str, primary: str, states: Mapping[str, str]) -> dict[str, Any]:
    return {
        "primary": primary, "secondary": primary, "accent": primary, "foreground": foreground, "background": background,
        "surface": surface, "panel": surface, "error": states["error"], "warning": states["warning"], "success": states["healthy"],
        "dark": True,
    }  # fmt: skip


_STATES = {"error": "#ff6b6b", "warning": "#ffd166", "info": "#7aa2f7", "healthy": "#5fd38d"}
_SAFE = {"error": "#ff8a3d", "warning": "#fff1a8", "info": "#9d9d9d", "healthy": "#4aa3ff"}

LOOKS = {
    look.name: look
    for look in (
        Look(
            "default", states=_STATES, real="#5fd7ff", ema="#ffb454", baseline="#9aa5b1", ceiling="#6b7684", event="#c792ea",
            select="on #27374a", dim="#8b95a3", title="bold #cdd6e0",
            theme=_dark("#10151b", "#18202a", "#dbe2ea", "#3f6d8f", _STATES),
        ),
        Look(
            "safe", states=_SAFE, real="#4aa3ff", ema="#d9b3ff", baseline="#bdbdbd", ceiling="#8d8d8d", event="#fff1a8",
            select="on #343434", dim="#9d9d9d", title="bold #e6e6e6",
            theme=_dark("#101010", "#1c1c1c", "#e6e6e6", "#3d6ea5", _SAFE),
        ),
        Look(
            "ascii", unicode=False, states=_STATES, real="#5fd7ff", ema="#ffb454", baseline="#9aa5b1", ceiling="#6b7684",
            event="#c792ea", select="on #27374a", dim="#8b95a3", title="bold #cdd6e0",
            theme=_dark("#10151b", "#18202a", "#dbe2ea", "#3f6d8f", _STATES),
        ),
        Look("mono", color=False, dim="", baseline="", ceiling="", event="", theme=_ANSI),
    )
}  # fmt: skip


def choose(name: str | None, *, no_color: bool, unicode: bool) -> Look:
    """The look to begin with.

    Args:
        name: one of `LOOKS` as the user wrote it, None if they did not.
        no_color: ``NO_COLOR`` is set and not empty, or colours were turned off: stronger than a name.
        unicode: whether the terminal's encoding has more than ASCII.
    """
    look = LOOKS["mono" if no_color else name or ("default" if unicode else "ascii")]
    if unicode or not look.unicode:
        return look
    return LOOKS["ascii"] if look.color else plain_ascii()


def plain_ascii() -> Look:
    """Neither colours nor characters beyond ASCII."""
    return Look("mono-ascii", unicode=False, color=False, dim="", theme=_ANSI)


def safe(text: object, limit: int = 400) -> Text:
    """Anything as a `Text` on one line: never markup, never a control character."""
    return Text(printable(text, limit))

"""The surface that text is laid out for, and the one gate through which words reach it.

Nothing here looks at a terminal or an environment variable: the command line does, and says so in a `Screen`.
Every state is a glyph and a word, with colour on top, so that it reads the same in black and white.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from vqdoctor.errors import printable

GAP = "\u202f"  # between thousands: narrow, and no line breaks there
SPACE = "\u00a0"  # between a number and its unit
LONGEST = 4000  # characters of one message; names are cut much shorter

_ASCII = {
    GAP: ",", SPACE: " ", "×": "x", "–": "-", "—": "-", "−": "-", "→": "->", "←": "<-", "…": "...", "·": "-", "•": "*", "✗": "x",
    "✓": "+", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "‖": "||", "²": "^2", "√": "sqrt ", "∏": "prod ", "Σ": "sum ", "∑": "sum ",
    "∞": "inf", "β": "beta", "ρ": "rho", "τ": "tau", "σ": "sigma", "α": "alpha", "λ": "lambda", "γ": "gamma", "μ": "mu",
    "±": "+/-", "½": "1/2",
    "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "₍": "(", "₎": ")", "⁻": "^-", "¹": "1", "⁹": "9", "“": '"', "”": '"',
    "‘": "'", "’": "'",
    "─": "-", "│": "|", "█": "#", **dict.fromkeys("┌┐└┘├┤┬┴┼", "+"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """How one state looks: glyph, word and rich style."""

    glyph: str
    word: str
    style: str


STATES = {
    "sick": State("✗", "sick", "bold red"),
    "at-risk": State("!", "at risk", "bold yellow"),
    "unknown": State("?", "unknown", "bold blue"),
    "healthy": State("✓", "healthy", "bold green"),
    "error": State("✗", "error", "bold red"),
    "warning": State("!", "warning", "bold yellow"),
    "info": State("i", "info", "bold blue"),
    "fail": State("✗", "fail", "bold red"),
    "inconclusive": State("?", "inconclusive", "bold yellow"),
    "pass": State("✓", "pass", "bold green"),
    "known": State("✓", "known", "bold yellow"),
}


@dataclass(frozen=True, slots=True)
class Screen:
    """Where text goes.

    Attributes:
        width: columns. color: styles may be used. unicode: characters beyond ASCII may be used.
        folder: the absolute folder that relative paths start from; "" where nobody says.
    """

    width: int = 120
    color: bool = False
    unicode: bool = True
    folder: str = ""

    def path(self, given: str) -> str:
        """`given` relative to `folder` with "/" between, where it lies within; else as it is."""
        start = self.folder.rstrip(os.sep) + os.sep
        inner = given.removeprefix(start) if self.folder else given
        return inner.replace(os.sep, "/")

    def say(self, text: object, limit: int = LONGEST) -> str:
        """`text` on one line, safe to print: the only way in for anything that a file or a rule has worded."""
        return self.fold(printable(text, limit))

    def fold(self, text: str) -> str:
        """Our own `text` in what the screen can show: unchanged, or in ASCII with other characters as escapes."""
        if self.unicode or text.isascii():
            return text
        return "".join(c if c.isascii() else _ASCII.get(c) or ascii(c)[1:-1] for c in text)

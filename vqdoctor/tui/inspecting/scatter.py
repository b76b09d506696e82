"""Codes and features on two axes: features as braille dots, codes as glyphs on top of them that tell their verdict.

Both axes are stretched to fill the pane, so a map shows who lies near whom and how far the codes reach beyond the features, not
angles. Where many codes fall into one cell it says how many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from rich.text import Text

from vqdoctor.render.figures import count, share, short
from vqdoctor.tui.inspecting.codes import CodeTable
from vqdoctor.tui.themes import Look

GLYPHS = {"": "•", "info": "○", "error": "×", "warning": "◐", "healthy": "●"}  # by state, later ones over earlier ones
ASCII_GLYPHS = {"": "*", "info": "?", "error": "x", "warning": "!", "healthy": "o"}
CHOSEN, ASCII_CHOSEN = "◆", "@"
BALL = 5  # codes in a cell from which on their number is told
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.int64)  # braille dots by row and column of a cell


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """What to draw.

    Attributes:
        codes: (m, 2). numbers: (m,) which code each is. states: (m,) places in `GLYPHS`.
        features: (n, 2), or (0, 2). explained: share of the variance that the two axes hold, None unknown.
    """

    codes: np.ndarray
    numbers: np.ndarray
    states: np.ndarray
    features: np.ndarray
    explained: float | None

    def window(self, zoom: str) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (2,), (2,) of what is shown: all, or what the features or the codes in use take up."""
        live = list(GLYPHS).index("healthy")
        parts = {"features": self.features, "live codes": self.codes[self.states == live]}
        shown = parts.get(zoom, np.zeros((0, 2)))
        if not len(shown):
            shown = np.vstack([self.codes, self.features])
        low, high = shown.min(axis=0), shown.max(axis=0)
        pad = np.where(high > low, 0.02 * (high - low), np.maximum(1e-3, 0.1 * np.abs(low)))
        return low - pad, high + pad


def map_of(drawn: Mapping[str, Any] | None, table: CodeTable | None) -> Map | None:
    """The map of a level; None where it has none. table: whose verdicts the glyphs tell."""
    if not drawn or not len(drawn["codes"]):
        return None
    numbers = np.asarray(drawn["code_rows"], np.int64)
    names = list(GLYPHS)
    states = np.array([names.index(table.state(int(code)) if table else "") for code in numbers], np.int8)
    features = np.asarray(drawn["features"] or np.zeros((0, 2)), np.float64).reshape(-1, 2)
    return Map(np.asarray(drawn["codes"], np.float64), numbers, states, features, drawn["explained"])


def title(shown: Map, zoom: str) -> str:
    """``map, 61 % of the variance``."""
    known = f", PCA: {share(shown.explained)} of the variance" if shown.explained is not None else ""
    return f"map{known}" + (f" · zoom: {zoom}" if zoom != "all" else "")


def key(shown: Map, look: Look, zoom: str) -> Text:
    """How many of what there is, with its glyph, and how far the axes reach."""
    glyphs = GLYPHS if look.unicode else ASCII_GLYPHS
    words = {"": "codes", "info": "undecided", "error": "dead", "warning": "rare", "healthy": "live"}
    text = Text()
    for place, (state, glyph) in reversed(list(enumerate(glyphs.items()))):
        if number := int((shown.states == place).sum()):
            text.append(f"{glyph} ", look.state_style(state) if state else look.real).append(
                look.fold(f"{count(number)} {words[state]}  "), look.dim
            )
    if len(shown.features):
        text.append("⠿ " if look.unicode else ". ", look.dim).append(
            look.fold(f"{count(len(shown.features))} features  "), look.dim
        )
    low, high = shown.window(zoom)
    wide, tall = (short(float(reach)) for reach in high - low)
    return text.append(look.fold(f"{wide} × {tall}"), look.dim)


def paint(shown: Map, width: int, height: int, look: Look, zoom: str = "all", chosen: int | None = None) -> list[Text]:
    """`height` lines of `width` cells. chosen: number of the code to point out."""
    if width < 4 or height < 2:
        return []
    low, high = shown.window(zoom)
    characters, styles = _dots(shown.features, low, high, width, height, look)
    inside, x, y = _places(shown.codes, low, high, width, height)
    glyphs = list((GLYPHS if look.unicode else ASCII_GLYPHS).items())
    for place, (state, glyph) in enumerate(glyphs):
        these = inside & (shown.states == place)
        characters[y[these], x[these]] = glyph
        styles[y[these], x[these]] = look.state_style(state) if state else look.real
    _balls(x[inside], y[inside], characters, styles, look)
    if chosen is not None:
        these = inside & (shown.numbers == chosen)
        characters[y[these], x[these]] = CHOSEN if look.unicode else ASCII_CHOSEN
        styles[y[these], x[these]] = f"bold {look.event} reverse".replace("  ", " ")
    return [_line(row, style) for row, style in zip(characters, styles, strict=True)]


def _places(
    points: np.ndarray, low: np.ndarray, high: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each point is inside, its column and its row, row 0 at the top."""
    part = (points - low) / (high - low)
    inside = ((part >= 0) & (part <= 1)).all(axis=1)
    part = np.clip(np.nan_to_num(part), 0, 1)
    x = np.minimum((part[:, 0] * width).astype(np.int64), width - 1)
    return inside, x, height - 1 - np.minimum((part[:, 1] * height).astype(np.int64), height - 1)


def _dots(
    features: np.ndarray, low: np.ndarray, high: np.ndarray, width: int, height: int, look: Look
) -> tuple[np.ndarray, np.ndarray]:
    """Characters and styles (height, width) with the features in them."""
    fine = (2, 4) if look.unicode else (1, 1)
    inside, x, y = _places(features, low, high, width * fine[0], height * fine[1])
    bits = np.zeros((height, width), np.int64)
    np.bitwise_or.at(bits, (y[inside] // fine[1], x[inside] // fine[0]), _BITS[y[inside] % fine[1], x[inside] % fine[0]])
    dot = (lambda bit: chr(0x2800 + bit)) if look.unicode else (lambda bit: ".")
    characters = np.array([[dot(bit) if bit else " " for bit in row] for row in bits.tolist()], object).reshape(height, width)
    return characters, np.where(bits > 0, look.dim, "").astype(object)


def _balls(x: np.ndarray, y: np.ndarray, characters: np.ndarray, styles: np.ndarray, look: Look) -> None:
    """Beside the cell that holds most codes their number, where they are many and there is room."""
    _, width = characters.shape
    held = np.bincount(y * width + x, minlength=1)
    fullest = int(held.argmax())
    if held[fullest] < max(BALL, len(x) // 10):
        return
    row, column = divmod(fullest, width)
    words = look.fold(f" {count(int(held[fullest]))} codes here ")
    left = column + 1 if column + 1 + len(words) <= width else column - len(words)
    if left >= 0:
        characters[row, left : left + len(words)] = list(words)
        styles[row, left : left + len(words)] = "bold"


def _line(characters: np.ndarray, styles: np.ndarray) -> Text:
    """A row of cells, neighbours of one style together."""
    text = Text()
    edges = [0, *(np.flatnonzero(styles[1:] != styles[:-1]) + 1).tolist(), len(styles)]
    for start, stop in pairwise(edges):
        text.append("".join(characters[start:stop]), styles[start])
    return text

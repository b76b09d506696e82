"""Numbers in sentences: the same figure reads the same in every message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number(value: float) -> str:
    """Whole numbers in groups of three, others (and astronomical ones) to three digits.

    Example:
        >>> number(65533), number(0.00412), number(2.0)
        ('65 533', '0.00412', '2')
    """
    if abs(value) >= 1e12:
        return f"{value:.3g}"
    if float(value).is_integer():
        return f"{int(value):,}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 1000 else number(round(value))


def percent(share: float) -> str:
    """A share as percent, to one decimal; never rounded to nothing or to all of it.

    Example:
        >>> percent(0.00390625), percent(1.0), percent(0.9999), percent(0.00002)
        ('0.4 %', '100 %', '99.9 %', '0.002 %')
    """
    figure = 100 * share
    if 0 < figure < 0.1:
        return f"{figure:.1g} %"
    return f"{min(figure, 99.9) if share < 1 else figure:.1f}".removesuffix(".0") + " %"


def plural(value: float, noun: str) -> str:
    """ "1 row", "12 rows"."""
    shown = number(value)
    return f"{shown} {noun}" if shown == "1" else f"{shown} {noun}s"


def rows(numbers: Sequence[Any], total: float, shown: int = 5) -> str:
    """ " (rows 3, 17 and 9 more)", "" where no number is known; `total` rows in all."""
    if not numbers:
        return ""
    rest = int(total) - len(numbers[:shown])
    more = f" and {number(rest)} more" if rest > 0 else ""
    label = "row" if total == 1 else "rows"
    return f" ({label} {', '.join(str(row) for row in numbers[:shown])}{more})"


def sentences(*parts: str | None) -> str:
    """The parts that are there, with a space between."""
    return " ".join(part for part in parts if part)

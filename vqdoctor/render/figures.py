"""How a number is written for people: enough digits to decide by, never more, and never rounded over a boundary that matters.

A share just under 100 % is not shown as 100 %, one just over 0 not as 0; what is undefined is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from vqdoctor.render.screen import GAP, SPACE

UNDEFINED = "–"


def count(n: float | None) -> str:
    """A whole number with its thousands apart: ``65 533``."""
    if n is None or n != n:
        return UNDEFINED
    if isinstance(n, float) and not n.is_integer():
        return short(n)
    bits = int(n).bit_length()
    if bits > 64:
        return f"{float(n):.2e}" if bits < 1024 else f"over 2^{bits - 1}"
    return f"{int(n):,}".replace(",", GAP)


def share(x: float | None) -> str:
    """A share in percent: ``0.4 %``, ``<0.1 %``, ``>99.9 %``."""
    if x is None or not math.isfinite(x):
        return UNDEFINED
    percent = 100 * x
    if 0 < percent < 0.05:
        return f"<0.1{SPACE}%"
    if 99.95 <= percent < 100:
        return f">99.9{SPACE}%"
    return f"{percent:.0f}{SPACE}%" if percent in (0, 100) else f"{percent:.1f}{SPACE}%"


def short(x: float | None) -> str:
    """Three significant digits, thousands apart: ``1.04``, ``812``, ``12 300``, ``1.6e-05``."""
    if x is None or not math.isfinite(x):
        return UNDEFINED
    if x == 0:
        return "0"
    if abs(x) < 1e-3 or abs(x) >= 1e7:
        return f"{x:.1e}"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{digits}f}".replace(",", GAP)


def unit(x: float | None) -> str:
    """A figure between 0 and 1, such as a normalised entropy, in thousandths: ``0.006``."""
    if x is None or not math.isfinite(x):
        return UNDEFINED
    return "<0.001" if 0 < x < 0.0005 else f"{x:.3f}"


def size(n: int) -> str:
    """Bytes in powers of 1000: ``1.2 GB``."""
    for power, unit in enumerate(("B", "kB", "MB", "GB")):
        if n < 999.5 * 1000**power:
            return f"{n / 1000**power:.3g}{SPACE}{unit}"
    return f"{n / 1e12:.3g}{SPACE}TB"


def span(values: Iterable[float | None], written: Callable[[float | None], str]) -> str:
    """The values of several levels as one: ``96.1–98.8 %``; one figure where they read the same, a dash where there are none."""
    known = sorted(value for value in values if value is not None and value == value)
    if not known:
        return UNDEFINED
    low, high = written(known[0]), written(known[-1])
    if low == high:
        return low
    unit = f"{SPACE}%"
    return f"{low.removesuffix(unit)}–{high}" if low.endswith(unit) and high.endswith(unit) else f"{low}–{high}"


def plural(n: int, word: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count(n)} {word}{'' if n == 1 else 's'}"


def scalar(value: object, say: Callable[[object], str] = str) -> str:
    """Any value of a metric, a header or a finding's evidence; `say` escapes what is not a number."""
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return count(value) if isinstance(value, int) else short(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(scalar(each, say) for each in value)
    return say(value)

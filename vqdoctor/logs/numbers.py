"""What counts as a number in a log, as text or as a value of a parser."""

from __future__ import annotations

import math
import re

PLAIN = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?"
NUMBER = rf"(?:{PLAIN}|[-+]?(?:[nN]a[nN]|NAN|[iI]nf(?:inity)?|INF))"
_WHOLE = re.compile(NUMBER)
_LONGEST = 40  # characters of a number that a program writes


def number(value: object) -> float | None:
    """`value` as a float, None where it is none: text counts where all of it is a number ("0.98", "nan"), a truth value is 0 or 1.

    Example:
        >>> number("0.98"), number("0:01:02"), number(None)
        (0.98, None, None)
    """
    if isinstance(value, str):
        text = value.strip() if len(value) <= 2 * _LONGEST else ""
        return float(text) if len(text) <= _LONGEST and _WHOLE.fullmatch(text) else None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:  # a whole number of over 308 digits
            return math.inf if value > 0 else -math.inf
    return None

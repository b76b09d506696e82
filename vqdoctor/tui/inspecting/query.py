"""What can be typed to see some of the codes: ``dead``, ``use>100``, ``share<1%``, ``17``, ``40-60``, ``copy``, ``!live``.

Words with blanks between must all hold. A word is the start of a verdict or of a mark, ``unused`` for no hit at all, ``marked`` for
any mark; ``!`` in front turns it around.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from vqdoctor.metrics import VERDICTS
from vqdoctor.tui.inspecting.codes import MARKS, WORDS, CodeTable

_COMPARED = re.compile(r"([a-z]+)(<=|>=|!=|=|<|>)([-+0-9.e]+)(%?)")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_TESTS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "=": np.equal, "!=": np.not_equal,
}  # fmt: skip
HELP = "dead · live · unused · marked · copy · use>100 · share<1% · ema<0.01 · norm>3 · dist<0.1 · 17 · 40-60 · !live"


def matching(table: CodeTable, query: str) -> np.ndarray:
    """(K,) bool: the codes that `query` means.

    Raises:
        ValueError: with a sentence about the word that means nothing.

    Example:
        >>> matching(CodeTable(3, {"code": np.arange(3.0), "use": np.array([5.0, 0, 2])}), "use>1 !0")
        array([False, False,  True])
    """
    kept = np.ones(table.size, bool)
    for word in query.lower().split():
        found = _meant(table, word.removeprefix("!"))
        kept &= ~found if word.startswith("!") else found
    return kept


def _meant(table: CodeTable, word: str) -> np.ndarray:
    if found := _COMPARED.fullmatch(word):
        return _compared(table, *found.groups())
    if found := _RANGE.fullmatch(word):
        first = int(found[1])
        last = int(found[2]) if found[2] else first
        codes = np.arange(table.size)
        return (codes >= first) & (codes <= last)
    if word == "unused" and "use" in table.numbers:
        return table.numbers["use"] == 0
    if word == "marked":
        return _marked(table, lambda mark: True)
    return _worded(table, word)


def _compared(table: CodeTable, name: str, sign: str, figure: str, percent: str) -> np.ndarray:
    names = [each for each in table.sortable if each not in ("verdict", "mark")]
    if name not in names:
        raise ValueError(f"no column {name}: there are {', '.join(names)}")
    try:
        value = float(figure) / (100 if percent else 1)
    except ValueError as error:
        raise ValueError(f"{figure} is not a number") from error
    return _TESTS[sign](table.numbers[name], value)


def _worded(table: CodeTable, word: str) -> np.ndarray:
    """Verdicts and marks that begin with a word."""
    verdicts = [place for place, name in enumerate(VERDICTS) if WORDS[name].startswith(word)]
    found = _marked(table, lambda mark: mark.startswith(word))
    if table.verdicts is not None and verdicts:
        return np.isin(table.verdicts, verdicts) | found
    if not any(mark.startswith(word) for mark in MARKS):
        raise ValueError(f"{word} means nothing here: try {HELP}")
    return found


def _marked(table: CodeTable, wanted: Callable[[str], bool]) -> np.ndarray:
    found = np.zeros(table.size, bool)
    found[[code for code, mark in table.marks.items() if wanted(mark)]] = True
    return found

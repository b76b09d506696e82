"""What a reader left out, counted: a log is never refused for a broken line, and what is left out is never silent."""

from __future__ import annotations

from collections import Counter

_SENTENCES = {
    "line": ("{n} line that could not be read", "{n} lines that could not be read"),
    "long": ("{n} line over 1 MiB", "{n} lines over 1 MiB"),
    "keys": ("the keys past the first 2000 of {n} row", "the keys past the first 2000 of {n} rows"),
    "record": ("{n} record whose checksum is wrong", "{n} records whose checksum is wrong"),
    "large": ("{n} record over 1 MiB", "{n} records over 1 MiB"),
    "broken": ("everything from a broken record on", "everything from {n} broken records on"),
    "document": ("a document over 64 MiB", "{n} documents over 64 MiB"),
    "reader": ("everything from where the reader of a plugin failed on", "everything from where {n} readers failed on"),
    "series": ("the numbers of {n} series past the first 500",) * 2,
    "name": ("the numbers of {n} series with a name of over 1000 characters",) * 2,
    "event": ("{n} older event", "{n} older events"),
}


class Faults:
    """Counts by kind; `summary` says them in one sentence."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, n: int = 1) -> None:
        """Count `n` more of a kind that `_SENTENCES` names."""
        self.counts[kind] += n

    def summary(self) -> str | None:
        """What was left out, None if nothing was.

        Example:
            >>> faults = Faults()
            >>> faults.add("line", 3)
            >>> faults.summary()
            'Left out: 3 lines that could not be read.'
        """
        parts = [_SENTENCES[kind][n != 1].format(n=n) for kind, n in self.counts.items() if n]
        return f"Left out: {', '.join(parts)}." if parts else None

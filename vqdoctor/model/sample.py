"""What was looked at to judge real use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows behind `usage.*`, `distortion.*` and `collision.*`.

    Attributes:
        path: the file or folder they came from.
        kind: "features", "codes", "data" or "ids".
        n: rows measured. dropped: rows left out (NaN, Inf, unassigned).
        population: True where these are all the rows there are, so that "unused" is a fact and needs no inference.
        batch: rows in a batch for the usage.batch_* metrics.
        width: columns of a feature row; None for codes and IDs.
        origin: how it came to be used, in words ("given", "found beside the checkpoint").
        complete: False where reading stopped early.
    """

    path: str
    kind: str
    n: int
    dropped: int
    population: bool
    batch: int
    width: int | None = None
    origin: str = "given"
    complete: bool = True

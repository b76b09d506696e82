"""What `vqdoctor explain METRIC` shows of a metric."""

from __future__ import annotations

from dataclasses import dataclass

NEEDS = {
    "checkpoint": "a checkpoint",
    "counters": "running counts that the checkpoint's family keeps",
    "rows": "--features F, --codes C or a semantic-ID file",
    "features": "--features F",
    "ids": "two levels or more, from --features F, --codes C or a semantic-ID file",
    "sizes": "the size of each level: a checkpoint, or --sizes K,K,…",
    "suffix": "IDs that end in a de-dup token",
    "inputs": "the feature rows behind the IDs",
    "fit": "--fit",
    "temperature": "--temperature T",
    "capture": "a capture that holds the model's own codes (vqdoctor.capture)",
}
"""The words of MetricPage.needs, and how each is given."""


@dataclass(frozen=True, slots=True)
class MetricPage:
    """A metric, for people and for gates.

    Attributes:
        name: contract name. title: in a few words.
        formula: in the symbols K codes, n rows, c_k hits, p_k = c_k/n, S codes used, N items, U distinct IDs.
        unit: "codes", "rows", "share", "bits", "dB", … or "" for a plain number. range: the values it can take.
        better: "higher", "lower" or "none".
        needs: what all has to be there, words of NEEDS.
        also_known_as: who reports it and under which name; or the like under other definitions, said so.
        text: what it says, how to read it, when it is undefined.
    """

    name: str
    title: str
    formula: str
    unit: str
    range: str
    better: str
    needs: tuple[str, ...]
    text: str
    also_known_as: tuple[str, ...] = ()

"""What a run came to: `summary.json` as a value (contract §8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """last, best: metrics by contract name (level metrics are those of the worst level) plus "loss" and "epoch".

    expected: metric → {"min": value} or {"max": value}, judged on `judged` ("last" or "best"). notes: what had to be skipped or
    ignored. interrupted: the run was stopped early and can be resumed from its folder.
    """

    recipe: str
    data: str
    seed: int
    scale: str
    seconds: float
    last: Mapping[str, Any]
    best: Mapping[str, Any]
    expected: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    judged: str = "best"
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether every expected figure was reached; an undefined metric was not."""
        found = self.best if self.judged == "best" else self.last
        return all(_within(found.get(name), bounds) for name, bounds in self.expected.items())

    def as_json(self) -> dict[str, Any]:
        """The content of summary.json."""
        return {
            "recipe": self.recipe, "data": self.data, "seed": self.seed, "scale": self.scale, "seconds": round(self.seconds, 2),
            "last": dict(self.last), "best": dict(self.best), "expected": {name: dict(b) for name, b in self.expected.items()},
            "judged": self.judged, "ok": self.ok, "notes": list(self.notes), "interrupted": self.interrupted,
        }  # fmt: skip


def _within(value: Any, bounds: Mapping[str, float]) -> bool:
    if not isinstance(value, (int, float)):
        return False
    return bounds.get("min", float("-inf")) <= value <= bounds.get("max", float("inf"))

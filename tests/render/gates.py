"""A gate's outcome as the renderers see it: one check of each status, and hostile words in each of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    metric: str | None
    rule: str | None
    where: str
    level: str
    op: str | None
    threshold: float | str | None
    value: float | None
    n: int | None
    needed_n: int | None
    status: str


@dataclass(frozen=True)
class Gate:
    verdict: str
    checks: tuple[Check, ...]


def failed() -> Gate:
    """A utilisation that fails, a rule that fires as a warning, too few rows, one that passes, one that was not measured."""
    return Gate(
        "fail",
        (
            Check("usage.utilization", None, "quantize[0]", "error", "min", 0.9, 2 / 512, 65533, None, "fail"),
            Check(None, "VQ206", "quantize[0]", "warning", None, None, None, None, None, "fail"),
            Check("usage.perplexity", None, "<b>q\x1b</b>::error::x,%[1]", "error", "min", 40.0, 39.5, 300, 1536, "inconclusive"),
            Check("ema.inconsistent_rows", None, "quantize[0]", "error", "max", 0.0, 0.0, None, None, "pass"),
            Check("collision.rate", None, "quantize", "error", "max", 0.05, None, None, None, "fail"),
        ),
    )

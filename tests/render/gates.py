"""A gate's outcome as the renderers see it: one check of each status, and hostile words in some."""

from __future__ import annotations

from dataclasses import dataclass

PATH = "runs/vqgan_epoch1.pt"


@dataclass(frozen=True)
class Check:
    where: str
    metric: str | None = None
    rule: str | None = None
    op: str = "absent"
    threshold: float | None = None
    value: float | None = None
    n: int | None = None
    needed_n: int | None = None
    status: str = "pass"
    level: str = "error"
    reason: str = ""
    source: str = PATH
    known: object = None


@dataclass(frozen=True)
class Gate:
    verdict: str
    checks: tuple[Check, ...]
    stops: bool = True


def failed() -> Gate:
    """A utilisation that fails, a rule that fires as a warning, too few rows, what passes, what was not measured."""
    hostile = "<b>q\x1b</b>::error::x,%[1]"
    return Gate(
        "fail",
        (
            Check("quantize[0]", "usage.utilization", op="min", threshold=0.9, value=2 / 512, n=65533, status="fail"),
            Check("", "collision.rate", op="max", threshold=0.05, status="fail", reason="One codebook: nothing can collide."),
            Check("quantize[0]", rule="VQ206", status="fail", level="warning", reason="Codebook norm 0.04."),
            Check(hostile, "usage.perplexity", None, "min", 40.0, 39.5, 300, 1536, "inconclusive", reason=hostile),
            Check("quantize[0]", "ema.inconsistent_rows", op="max", threshold=0.0, value=0.0),
            Check("quantize[0]", rule="VQ202", known=True, reason="The baseline holds it."),
            Check("", rule="VQ201"),
            Check("", rule="VQ203"),
        ),
    )

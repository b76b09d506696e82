"""A gate's outcome as the renderers see it: one check of each status, and hostile words in some."""

from __future__ import annotations

from functools import partial

from vqdoctor.model.gate import Check, GateResult

PATH = "runs/vqgan_epoch1.pt"
check_of = partial(Check, PATH)


def failed() -> GateResult:
    """A utilisation that fails, a rule that fires as a warning, too few rows, what passes, what was not measured."""
    hostile = "<b>q\x1b</b>::error::x,%[1]"
    return GateResult(
        "fail",
        (
            check_of("quantize[0]", "usage.utilization", op="min", threshold=0.9, value=2 / 512, n=65533, status="fail"),
            check_of("", "collision.rate", op="max", threshold=0.05, status="fail", reason="One codebook: nothing can collide."),
            check_of("quantize[0]", rule="VQ206", status="fail", level="warning", reason="Codebook norm 0.04."),
            check_of(hostile, "usage.perplexity", None, "min", 40.0, 39.5, 300, 1536, "inconclusive", reason=hostile),
            check_of("quantize[0]", "ema.inconsistent_rows", op="max", threshold=0.0, value=0.0),
            check_of("quantize[0]", rule="VQ202", known=1.0, reason="The baseline holds it."),
            check_of("", rule="VQ201"),
            check_of("", rule="VQ203"),
        ),
        stops=True,
    )

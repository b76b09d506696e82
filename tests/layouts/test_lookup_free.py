"""What stores no book leaves faint traces: near misses of them are not reported."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import FakeSource, draw, normal

from vqdoctor.layouts import find_quantizers

RNG = draw(0)
BITS = 2 ** np.arange(7, -1, -1)


def pair(path: str, inner: int = 3, outer: int = 16) -> dict[str, np.ndarray]:
    return {f"{path}project_in.weight": normal(RNG, inner, outer), f"{path}project_out.weight": normal(RNG, outer, inner)}


NEAR_MISSES = {
    "an attention mask": {"lfq.mask": np.ones(8, np.int64)},
    "ascending powers": {"lfq.mask": BITS[::-1].copy()},
    "powers as floats": {"lfq.mask": BITS.astype(np.float32)},
    "a mask of two axes": {"lfq.mask": BITS[None]},
    "too many bits": {"lfq.mask": np.zeros(200, np.int64)},
    "one level of two odd": {"lfq.layers.0.mask": BITS, "lfq.layers.1.mask": BITS + 1},
    "projections of attention": pair("attention."),
    "a transformer in a quantiser": pair("quantizer.") | {"quantizer.blocks.0.weight": normal(RNG, 3, 3)},
    "widening projections": pair("quantizer.", 16, 3),
    "a root among others": pair("") | {"encoder.weight": normal(RNG, 3, 3)},
    "levels of nothing": {"fsq._levels": np.array([8, 0, 5])},
    "more codes than numbers": {"fsq._levels": np.full(64, 2**40)},
    "no way out": {"quantizer.project_in.weight": normal(RNG, 3, 16), "encoder.weight": normal(RNG, 3, 3)},
}


@pytest.mark.parametrize("case", NEAR_MISSES)
def test_near_misses_are_not_reported(case: str) -> None:
    assert find_quantizers(FakeSource(NEAR_MISSES[case])) == []


def test_k_is_named_where_it_is_derivable_and_the_option_where_not() -> None:
    lfq, fsq = (find_quantizers(FakeSource(tensors))[0] for tensors in ({"q.mask": BITS}, pair("quantizer.")))
    assert lfq.facts["codes"] == 256 and "256 codes" in lfq.notes[0]
    assert "codes" not in fsq.facts and "levels" in fsq.notes[0]

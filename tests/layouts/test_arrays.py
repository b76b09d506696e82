"""From facts to arrays and back, where a specimen does not reach: refusals, folding of weight norm, smoothing, flags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specimens_codecs import euclidean
from synthetic import FakeSource, draw, normal

from vqdoctor.errors import UsageError
from vqdoctor.layouts import codes, find_quantizers, lookup, state_for
from vqdoctor.layouts.arrays import laplace, linear
from vqdoctor.layouts.family import literal_tail
from vqdoctor.layouts.lucidrains import LUCIDRAINS
from vqdoctor.layouts.state import state_dicts
from vqdoctor.model import Projection

ORACLES = json.loads((Path(__file__).parents[1] / "data" / "oracles.json").read_text(encoding="utf-8"))


def test_smoothing_leaves_every_count_above_zero() -> None:
    oracle = ORACLES["laplace_floor"]
    counts = laplace(np.array(oracle["inputs"]["N"], dtype=np.float64), oracle["inputs"]["eps"])
    np.testing.assert_allclose(counts, oracle["expected"]["smoothed"], rtol=1e-9)
    assert counts.sum() == pytest.approx(oracle["expected"]["total"])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_smoothing_keeps_the_total_and_the_order(counts: list[float]) -> None:
    raw = np.array(counts)
    smooth = laplace(raw)
    np.testing.assert_allclose(smooth.sum(), raw.sum(), rtol=1e-6, atol=1e-12)
    assert np.all(np.diff(smooth[np.argsort(raw, kind="stable")]) >= -1e-9)


def test_weight_norm_is_folded() -> None:
    rng = draw(1)
    gain, direction, bias = normal(rng, 2, 1, 1), normal(rng, 2, 5, 1), normal(rng, 2)
    source = FakeSource({"p.weight_g": gain, "p.weight_v": direction, "p.bias": bias})
    folded = linear(source, Projection(("p.weight_g", "p.weight_v"), "p.bias", 5, 2))
    rows = normal(rng, 3, 5)
    unit = direction[:, :, 0] / np.linalg.norm(direction[:, :, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(folded(rows), rows @ (gain[:, :, 0] * unit).T + bias, rtol=1e-5, atol=1e-6)
    assert linear(source, None) is None


def test_codes_that_a_network_makes_are_not_written() -> None:
    source = FakeSource(euclidean(draw(2), "_codebook.", 6, 3)[0])
    (found,) = find_quantizers(source)
    level = replace(found.levels[0], data_dependent=True)
    with pytest.raises(UsageError, match="made by a network"):
        state_for(source, found, level, np.array([0]), np.zeros((1, 3), np.float32), np.ones(1))


def test_a_quantiser_that_cannot_be_searched_says_why() -> None:
    source = FakeSource(euclidean(draw(3), "_codebook.", 6, 3)[0])
    (found,) = find_quantizers(source)
    with pytest.raises(UsageError, match="it is a pyramid"):
        lookup(source, replace(found, searchable="it is a pyramid"))
    assert lookup(source, found, metric="cosine").metric == "cosine"


def test_a_book_that_was_never_initialised_is_flagged_when_written() -> None:
    tensors, _ = euclidean(draw(4), "_codebook.", 6, 3)
    tensors["_codebook.inited"] = np.zeros(1, np.float32)
    source = FakeSource(tensors)
    (found,) = find_quantizers(source)
    new = np.ones((6, 3), np.float32)
    for write in state_for(source, found, found.levels[0], np.arange(6), new, np.ones(6)):
        write.apply(source.arrays[write.where.name])
    assert source.arrays["_codebook.inited"] == 1
    np.testing.assert_array_equal(codes(source, found.levels[0]), new)


def test_counts_of_unused_codes_are_clamped_where_the_family_clamps_them() -> None:
    stem = "quantizer.rvq_first.vq.layers.0._codebook."
    tensors = {f"{stem}embedding_sum": np.full((2, 3), 1e-6, np.float32), f"{stem}cluster_usage": np.array([0, 1e-9], np.float32)}
    source = FakeSource(tensors)
    (found,) = find_quantizers(source)
    np.testing.assert_allclose(codes(source, found.levels[0]), np.full((2, 3), 0.1), rtol=1e-6)
    (stored, *_) = state_for(source, found, found.levels[0], np.array([0]), np.ones((1, 3), np.float32), np.zeros(1))
    np.testing.assert_allclose(stored.values, np.full((1, 3), 1e-5))


@pytest.mark.parametrize(
    ("pattern", "tail"),
    [(r"(?:.+\.)?layers\.(?P<level>\d+)\.k", ".k"), (r"a\.(?:b|c)", ""), (r"values\.\d+", ""), (r"\w", ""), (r"x?embed", "embed")],
)
def test_the_plain_end_of_a_pattern(pattern: str, tail: str) -> None:
    assert literal_tail(pattern) == tail


def test_absurd_numbers_of_heads_and_groups_are_no_match() -> None:
    stem = "vq._codebook."
    tensors = {f"{stem}initted": np.array(True), f"{stem}embed": np.zeros((5000, 1, 1), np.float32)}
    assert find_quantizers(FakeSource(tensors), layouts=(LUCIDRAINS,)) == []
    shared = {f"{stem}initted": np.array(True), f"{stem}embed": np.zeros((1, 2, 1), np.float32)}
    shared["vq.project_in.weight"] = np.zeros((5000, 1), np.float32)
    (found,) = find_quantizers(FakeSource(shared), layouts=(LUCIDRAINS,))
    assert len(found.levels) == 1


def test_a_group_without_its_fellows_claims_no_columns() -> None:
    stem = "rvqs.7.layers.0._codebook."
    tensors = {f"{stem}initted": np.array(True), f"{stem}embed": np.zeros((1, 4, 2), np.float32)}
    (found,) = find_quantizers(FakeSource(tensors))
    assert (found.columns, found.width) == (None, 2)


def test_a_state_dict_knows_its_modules_and_endings() -> None:
    one = np.ones(1, np.float32)
    (state,) = state_dicts(
        FakeSource({"module.a.b.weight": one, "a.b.weight": one, "a.b.bias": one, "a.c.0.weight": one, "k": one})
    )
    assert state.bare["a.b.weight"] == "module.a.b.weight"  # the twin behind a wrapper is seen once
    assert state.modules == {"": {"a", "k"}, "a": {"b", "c"}, "a.b": {"weight", "bias"}, "a.c": {"0"}, "a.c.0": {"weight"}}
    assert sorted(state.ending_with("b.weight")) == ["a.b.weight"]
    assert sorted(state.ending_with("weight")) == ["a.b.weight", "a.c.0.weight"]
    assert list(state.ending_with(".a.b.weight")) == ["a.b.weight"]
    assert list(state.ending_with("k")) == ["k"]

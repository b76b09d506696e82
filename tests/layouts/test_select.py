"""Codebooks named by hand, and what to name where nothing was recognised."""

from __future__ import annotations

import re

import numpy as np
import pytest
from synthetic import FakeSource, convolutions, draw, normal

from vqdoctor.errors import UsageError
from vqdoctor.layouts import codes, find_quantizers, likeliest, select_quantizer

RNG = draw(17)
K, D = 32, 8


def test_a_named_table_is_a_quantiser() -> None:
    table = normal(RNG, D, K)
    source = FakeSource(convolutions(RNG) | {"odd.name": table})
    (found,) = select_quantizer(source, r"odd\.name", "dk", "cosine")
    assert (found.layout, found.metric, found.metric_basis, found.structure) == ("selected", "cosine", "stated", "single")
    assert "--select" in found.evidence
    assert found.confidence == 1.0
    np.testing.assert_array_equal(codes(source, found.levels[0]), table.T)


def test_without_axis_and_metric_both_are_assumed() -> None:
    (found,) = select_quantizer(FakeSource({"odd.name": normal(RNG, K, D), "x": np.zeros(2)}), "odd", None)
    assert (found.metric, found.metric_basis) == ("l2", "assumed")
    assert (found.levels[0].codes, found.levels[0].dim) == (K, D)
    assert "assumed" in found.evidence


def test_a_group_called_level_makes_levels_in_numerical_order() -> None:
    tensors = {f"q.{i}.table": np.full((K, D), i, np.float32) for i in (0, 10, 2)}
    source = FakeSource(tensors)
    (found,) = select_quantizer(source, r"q\.(?P<level>\d+)\.table", "kd")
    assert found.structure == "residual"
    assert [float(codes(source, level)[0, 0]) for level in found.levels] == [0, 2, 10]


def test_without_that_group_each_match_is_its_own_quantiser() -> None:
    source = FakeSource({f"q.{i}.table": normal(RNG, K, D) for i in range(3)})
    found = select_quantizer(source, r"q\.\d+\.table", "kd")
    assert [q.structure for q in found] == ["single"] * 3
    assert len({q.name for q in found}) == 3


def test_containers_can_be_named_too() -> None:
    source = FakeSource({"generator": {"table": normal(RNG, K, D)}, "teacher": {"table": normal(RNG, K, D)}})
    (found,) = select_quantizer(source, r"^generator\.table$", None)
    assert found.container == "generator"


@pytest.mark.parametrize("regex", ["(", "nothing_like_this", r"bias$", "steps"])
def test_what_names_no_table_is_a_usage_error(regex: str) -> None:
    source = FakeSource({"odd.name": normal(RNG, K, D), "steps": np.array([3]), "scale.bias": np.array(1.0)})
    with pytest.raises(UsageError) as raised:
        select_quantizer(source, regex, None)
    assert regex in raised.value.what


def test_an_axis_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="axis"):
        select_quantizer(FakeSource({"a": normal(RNG, K, D)}), "a", "hkd")


def test_the_likeliest_tables_come_first_and_their_regex_selects_them() -> None:
    tensors = {
        "model.embed_tokens.weight": normal(RNG, 64, D),
        "mlp.0.weight": normal(RNG, 24, 24),
        "my_quant_thing.stuff": normal(RNG, K, D),
        "memory_table": normal(RNG, K, D),
        "prototypes": normal(RNG, 100, D),
        "bias": normal(RNG, K),
        "ids": np.arange(64).reshape(8, 8),
    }
    source = FakeSource(tensors | {f"conv.{i}.weight": normal(RNG, 4, 4, 3, 3) for i in range(5)})
    assert find_quantizers(source) == []
    found = likeliest(source, 5)
    keys = [key for key, *_ in found]
    assert keys[0] == "my_quant_thing.stuff"
    assert keys[-1] == "model.embed_tokens.weight"
    assert set(keys) == {"my_quant_thing.stuff", "memory_table", "prototypes", "mlp.0.weight", "model.embed_tokens.weight"}
    for key, shape, why, regex in found:
        assert shape == tensors[key].shape
        assert str(shape[0]) in why
        assert re.search(regex, key)
        (chosen,) = select_quantizer(source, regex, None)
        assert chosen.levels[0].key == key


def test_likeliest_gives_no_more_than_asked_and_nothing_for_nothing() -> None:
    source = FakeSource({f"t{i}": normal(RNG, K, D) for i in range(9)})
    assert len(likeliest(source)) == 5
    assert len(likeliest(source, 2)) == 2
    assert likeliest(FakeSource({"step": np.array(3)})) == []


def test_levels_named_by_hand_share_one_name() -> None:
    source = FakeSource({f"quantizer.vq.layers.{i}._codebook.embed": normal(draw(i), 16, 4) for i in range(3)})
    (found,) = select_quantizer(source, r"layers\.(?P<level>\d+)\._codebook\.embed$", "kd")
    assert (found.name, len(found.levels)) == ("quantizer.vq.layers", 3)


def test_an_encoder_does_not_speak_of_codes() -> None:
    names = ("encoder.layer.0.dense.weight", "my_codes.table.weight")
    best = likeliest(FakeSource({name: normal(draw(1), 32, 8) for name in names}))
    assert [("quantising" in why) for _, _, why, _ in best] == [True, False]
    assert best[0][0] == names[1]

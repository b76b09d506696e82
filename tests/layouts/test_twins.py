"""One quantiser stored several times is reported once, the right copy of it, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import FakeSource, counts_of, draw, normal, smoothed

from vqdoctor.layouts import codes, copies, find_quantizers, state_dicts, state_for
from vqdoctor.layouts.twins import settle
from vqdoctor.model import Quantizer

RNG = draw(13)
K, D = 16, 6
KEY = "codebook.embedding.weight"


def only(source: FakeSource) -> Quantizer:
    (found,) = find_quantizers(source)
    return found


def book() -> np.ndarray:
    return normal(RNG, K, D)


@pytest.mark.parametrize(
    ("plain", "averaged"),
    [
        ("params", "params_ema"),
        ("model", "ema"),
        ("model", "model_ema"),
        ("state_dict", "state_dict_ema"),
        ("student", "teacher"),
        ("g", "g_ema"),
    ],
)
def test_an_average_is_preferred_to_what_it_averages(plain: str, averaged: str) -> None:
    trained, mean = book(), book()
    for order in ((plain, averaged), (averaged, plain)):
        source = FakeSource({place: {KEY: trained if place == plain else mean} for place in order})
        found = only(source)
        assert found.container == averaged
        np.testing.assert_array_equal(codes(source, found.levels[0]), mean)
        assert any("averaged" in note and "evaluation" in note for note in found.notes)


def test_weights_with_counts_are_preferred_to_an_average_without() -> None:
    """LitEma has no counts: the counted original stays, and the note says why."""
    counts, sums = counts_of(RNG, K), book()
    trained = sums / smoothed(counts)[:, None]
    tensors = {
        "quantize.embedding.weight": trained,
        "quantize.embedding.cluster_size": counts,
        "quantize.embedding.embed_avg": sums,
    }
    source = FakeSource(tensors | {"model_ema.quantizeembeddingweight": book()})
    found = only(source)
    np.testing.assert_array_equal(codes(source, found.levels[0]), trained)
    assert found.ema is not None
    assert any("no counts" in note for note in found.notes)


def test_lit_ema_of_a_nested_module_is_found() -> None:
    trained, mean = book(), book()
    source = FakeSource(
        {"first_stage_model.quantize.embedding.weight": trained, "first_stage_model.model_ema.quantizeembeddingweight": mean}
    )
    found = only(source)
    assert found.name == "first_stage_model.quantize"
    np.testing.assert_array_equal(codes(source, found.levels[0]), mean)


def test_equal_copies_are_counted_once_and_read_no_more_than_needed() -> None:
    shared = book()
    tied = FakeSource({"model": {KEY: shared}, "best": {KEY: shared}})
    assert any("counted once" in note for note in only(tied).notes)
    assert tied.reads == []  # one storage: nothing to compare


def test_one_tensor_under_two_modules_is_one_book() -> None:
    shared = book()
    found = only(FakeSource({"encoder.codebook.embedding.weight": shared, "decoder.codebook.embedding.weight": shared}))
    assert found.name == "encoder.codebook"
    assert any("counted once" in note for note in found.notes)


def test_two_parts_of_one_tensor_are_two_books() -> None:
    source = FakeSource({"quantizer.codebooks": normal(RNG, 2, K, D)})
    both = only(source)
    parts = [replace(both, name=f"part{i}", levels=(replace(level, index=0),)) for i, level in enumerate(both.levels)]
    assert [q.name for q in settle(list(state_dicts(source)), parts)] == ["part0", "part1"]


def test_ddp_copies_that_differ_say_so() -> None:
    found = only(FakeSource({KEY: book(), f"module.{KEY}": book()}))
    assert any("other values" in note for note in found.notes)


def test_modules_that_only_look_alike_are_all_listed() -> None:
    tensors = {"a.codebook.embedding.weight": book(), "b.codebook.embedding.weight": book()}
    assert [q.name for q in find_quantizers(FakeSource(tensors))] == ["a.codebook", "b.codebook"]


def test_an_average_stands_for_one_quantiser_only() -> None:
    """Of two modules that might be what it averages, the second stays."""
    tensors = {"a": {KEY: book()}, "b": {KEY: book()}, "ema": {KEY: book()}}
    found = find_quantizers(FakeSource(tensors))
    assert len(found) == 2
    assert len({q.name for q in found}) == 2


def test_several_quantisers_each_keep_their_own_average() -> None:
    plain = {"top.codebook.embedding.weight": book(), "bottom.codebook.embedding.weight": book()}
    averaged = {key: book() for key in plain}
    found = find_quantizers(FakeSource({"params": plain, "params_ema": averaged}))
    assert [(q.name, q.container) for q in found] == [("top.codebook", "params_ema"), ("bottom.codebook", "params_ema")]


def test_names_are_unique_whatever_a_file_holds() -> None:
    tensors = {"model": {KEY: book(), "vq.codebook": book()}, "best": {KEY: book(), "vq.codebook": book(), "vq.codebook_1": book()}}
    names = [q.name for q in find_quantizers(FakeSource(tensors))]
    assert len(names) == len(set(names)) == 5


def test_a_repair_can_reach_every_copy() -> None:
    trained, mean = book(), book()
    source = FakeSource({"params": {KEY: trained}, "params_ema": {KEY: mean}})
    new = normal(RNG, 1, D)
    written = copies(only(source))
    assert [one.container for one in written] == ["params_ema", "params"]
    for one in written:
        for write in state_for(source, one, one.levels[0], np.array([3]), new, np.ones(1)):
            write.apply(source.arrays[write.where.name])
    np.testing.assert_array_equal(trained[3], new[0])
    np.testing.assert_array_equal(mean[3], new[0])


def counted(codes: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """An EnCodec book with its statistics."""
    at = "quantizer.vq.layers.0._codebook."
    sums = codes * smoothed(counts)[:, None]
    return {f"{at}inited": np.ones(1), f"{at}embed": codes, f"{at}cluster_size": counts, f"{at}embed_avg": sums}


def test_an_average_of_codes_counts_and_sums_does_not_hide_the_weights() -> None:
    """audiocraft averages each tensor by itself, so that no code of the average is the quotient of its sum and count."""
    trained, last, counts = book(), book(), counts_of(RNG, K)
    files = {"model": counted(trained, counts), "ema": {"state": {"model": counted(last, counts[::-1].copy())}}}
    found = only(FakeSource(files))
    assert found.container == "model"
    assert any("belong together" in note for note in found.notes)


def test_a_best_state_that_equals_the_last_is_counted_once() -> None:
    """The layout is told by the container there: another one, for the same book."""
    trained, counts = book(), counts_of(RNG, K)
    files = {"model": counted(trained, counts), "best_state": {"model": counted(trained.copy(), counts.copy())}}
    assert any("counted once" in note for note in only(FakeSource(files)).notes)


def test_an_average_without_the_counter_that_tells_the_family() -> None:
    """LlamaGen is told by its ring of codes; the average has none, and is no quantiser of its own for that."""
    weights, mean = book(), book()
    ring = np.arange(65536, dtype=np.float32) % K
    plain = {"quantize.embedding.weight": weights, "quantize.codebook_used": ring}
    found = only(FakeSource({"model": plain, "ema": {"quantize.embedding.weight": mean}}))
    assert (found.layout, found.container) == ("llamagen", "model")

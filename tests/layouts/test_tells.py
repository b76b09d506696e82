"""What families say beside their books: options in the file's tree, neighbours, and the notes that follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from specimens_b_sequences import lc_rec
from synthetic import FakeSource, draw, normal

from vqdoctor.layouts import find_quantizers
from vqdoctor.layouts.tells import mentions, option
from vqdoctor.model import Opaque, Quantizer

RNG = draw(19)
K, D = 16, 6


def with_tree(tensors: dict, tree: object) -> FakeSource:
    source = FakeSource(tensors)
    source.tree = tree
    return source


def test_options_are_found_in_mappings_and_in_objects() -> None:
    namespace = Opaque("argparse.Namespace", (), {"codebook_l2_norm": False, "lr": 1e-4})
    source = with_tree({}, {"args": namespace, "list": [{"deep": 3}]})
    assert option(source, "codebook_l2_norm") is False
    assert option(source, "deep") == 3
    assert option(source, "absent") is None
    assert mentions(source, "argparse") and not mentions(source, "ibq")


def test_a_tree_that_contains_itself_ends() -> None:
    loop: dict = {"name": "x"}
    loop["self"] = loop
    assert option(with_tree({}, loop), "absent") is None


def test_a_tree_without_end_is_given_up() -> None:
    deep: dict = {}
    for _ in range(100_000):
        deep = {"in": deep}
    assert option(with_tree({}, deep), "absent") is None


def lc(tree: object, encoder: str = "encoder") -> Quantizer:
    source = with_tree(dict(lc_rec("x", "lcrec", (K, K), encoder).tensors), tree)
    (found,) = find_quantizers(source)
    return found


def test_lc_rec_says_which_levels_its_arguments_trained_by_sinkhorn() -> None:
    assert any("level" in note and "1" in note for note in lc({"args": {"sk_epsilons": [0.0, 0.003]}}).notes)
    assert any("no level" in note for note in lc({"args": {"sk_epsilons": [0.0, 0.0]}}).notes)
    assert any("may have" in note for note in lc(None).notes)


def test_lc_rec_without_kmeans_start_has_no_time_bomb() -> None:
    assert lc(None).kmeans_start
    assert not lc({"args": {"kmeans_init": False}}).kmeans_start


def test_rq_kmeans_plus_is_told_by_its_encoder() -> None:
    assert any("RQ-KMeans+" in note for note in lc(None, "encoder.mlp").notes)
    assert not any("RQ-KMeans+" in note for note in lc(None).notes)


@pytest.mark.parametrize("word", ["taming.modules.vqvae.quantize.VectorQuantizer2", "ldm.models.autoencoder.VQModel"])
def test_a_configuration_that_names_the_class_states_the_metric(word: str) -> None:
    tensors = {"quantize.embedding.weight": normal(RNG, K, D)}
    assumed, stated = (find_quantizers(with_tree(tensors, tree))[0] for tree in (None, {"hyper_parameters": {"target": word}}))
    assert (assumed.metric_basis, stated.metric_basis) == ("assumed", "stated")
    assert any("IBQ" in note for note in assumed.notes) and stated.notes == ()


def test_per_layer_tables_of_a_transformer_are_no_residual_quantiser() -> None:
    tensors = {f"layers.{i}.embedding.weight": normal(RNG, K, D) for i in range(2)}
    tensors |= {f"layers.{i}.attn.weight": normal(RNG, D, D) for i in range(2)} | {"encoder.mlp.0.weight": normal(RNG, D, D)}
    assert find_quantizers(FakeSource(tensors)) == []


def test_a_zero_row_that_is_not_padding_is_kept() -> None:
    """kakaobrain's names without its padding row: counts are as many as rows."""
    book, counts = normal(RNG, K, D), np.ones(K, np.float32)
    book[-1] = 0
    (found,) = find_quantizers(FakeSource({"quantizer.codebooks.0.weight": book, "quantizer.codebooks.0.cluster_size_ema": counts}))
    assert (found.layout, found.levels[0].codes) == ("generic", K)

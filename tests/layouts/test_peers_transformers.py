"""Checkpoints that transformers writes for its codecs, at sizes of a toy: codes and indices are the library's own."""

from __future__ import annotations

import numpy as np
import pytest
from peers import assigned

from vqdoctor.checkpoint import open_source
from vqdoctor.layouts import codes, find_quantizers

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.peer
PARTS = ("semantic_residual_vector_quantizer", "acoustic_residual_vector_quantizer")


def written(model, folder):
    """As the library saves it: safetensors beside a config."""
    model.save_pretrained(str(folder))
    return open_source(str(folder / "model.safetensors"))


def rows_of(latents) -> np.ndarray:
    """(B, D, T) to (B·T, D)."""
    return latents.transpose(1, 2).reshape(-1, latents.shape[1]).numpy()


@torch.no_grad()
def test_encodec(tmp_path) -> None:
    torch.manual_seed(0)
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, target_bandwidths=[1.5], upsampling_ratios=[4, 2],
        sampling_rate=800, num_lstm_layers=1, num_residual_layers=1,
    )  # fmt: skip
    model = transformers.EncodecModel(config).eval()
    for layer in model.quantizer.layers:
        torch.nn.init.normal_(layer.codebook.embed, std=0.1)
        layer.codebook.inited.fill_(1)
    sound = torch.randn(1, 1, 800)
    latents = model.encoder(sound)
    expected = model.quantizer.encode(latents, 1.5).squeeze(1).T.numpy()
    source = written(model, tmp_path)
    (found,) = find_quantizers(source)
    assert (found.name, found.layout, found.structure) == ("quantizer", "hf-encodec", "residual")
    for level, layer in zip(found.levels, model.quantizer.layers, strict=True):
        np.testing.assert_array_equal(codes(source, level), layer.codebook.embed.numpy())
    np.testing.assert_array_equal(assigned(source, found, rows_of(latents))[:, : expected.shape[1]], expected)


@torch.no_grad()
def test_dac(tmp_path) -> None:
    torch.manual_seed(0)
    config = transformers.DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[2, 4], n_codebooks=3, codebook_size=16, codebook_dim=4
    )
    model = transformers.DacModel(config).eval()
    latents = model.encoder(torch.randn(1, 1, 800))
    expected = model.quantizer(latents)[1][0].T.numpy()
    source = written(model, tmp_path)
    (found,) = find_quantizers(source)
    assert (found.name, found.layout, found.metric, found.width) == ("quantizer", "dac", "cosine", latents.shape[1])
    for level, layer in zip(found.levels, model.quantizer.quantizers, strict=True):
        np.testing.assert_array_equal(codes(source, level), layer.codebook.weight.numpy())
    np.testing.assert_array_equal(assigned(source, found, rows_of(latents)), expected)


@torch.no_grad()
def test_mimi(tmp_path) -> None:
    torch.manual_seed(0)
    config = transformers.MimiConfig(
        num_filters=4, hidden_size=16, codebook_dim=8, vector_quantization_hidden_dimension=8, codebook_size=16, num_quantizers=4,
        num_semantic_quantizers=1, upsampling_ratios=[4, 2], num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=16, head_dim=8, upsample_groups=16,
    )  # fmt: skip
    model = transformers.MimiModel(config).eval()
    stacks = {f"quantizer.{part}": getattr(model.quantizer, part) for part in PARTS}
    for stack in stacks.values():
        for layer in stack.layers:
            torch.nn.init.normal_(layer.codebook.embed_sum)
            torch.nn.init.uniform_(layer.codebook.cluster_usage, 0.5, 20)
    latents = torch.randn(1, 16, 200)
    source = written(model, tmp_path)
    found = find_quantizers(source)
    assert {one.name for one in found} == set(stacks)
    for one in found:
        assert one.layout == "hf-mimi"
        stack = stacks[one.name]
        for level, layer in zip(one.levels, stack.layers, strict=True):
            np.testing.assert_allclose(codes(source, level), layer.codebook.embed.numpy(), rtol=1e-6)
        expected = stack.encode(latents)[:, 0].T.numpy()
        np.testing.assert_array_equal(assigned(source, one, rows_of(latents))[:, : expected.shape[1]], expected)


@torch.no_grad()
def test_wav2vec_groups(tmp_path) -> None:
    """One tensor holds both groups; the width of project_q tells how many they are."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8,), conv_stride=(4,), conv_kernel=(4,), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        num_codevectors_per_group=10, num_codevector_groups=2, codevector_dim=12, proj_codevector_dim=8,
    )  # fmt: skip
    model = transformers.Wav2Vec2ForPreTraining(config).eval()
    source = written(model, tmp_path)
    (found,) = find_quantizers(source)
    assert (found.layout, found.structure, found.metric) == ("wav2vec2", "product", "logits")
    groups = model.quantizer.codevectors[0].view(2, 10, 6)
    for level, group in zip(found.levels, groups, strict=True):
        np.testing.assert_array_equal(codes(source, level), group.numpy())

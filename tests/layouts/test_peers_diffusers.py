"""A checkpoint that diffusers itself made: found, read and looked up as diffusers does."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import FakeSource

from vqdoctor.layouts import find_quantizers, lookup

pytestmark = pytest.mark.peer


def test_vq_model() -> None:
    torch = pytest.importorskip("torch")
    autoencoders = pytest.importorskip("diffusers.models.autoencoders.vq_model")
    torch.manual_seed(0)
    model = autoencoders.VQModel(
        block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, num_vq_embeddings=24, vq_embed_dim=5
    )
    model.quantize.embedding.weight.data.normal_()
    source = FakeSource({key: value.numpy() for key, value in model.state_dict().items()}, kind="safetensors")
    (found,) = find_quantizers(source)
    assert (found.name, found.layout, found.metric, found.metric_basis) == ("quantize", "taming", "l2", "stated")
    rows = torch.randn(1, 5, 6, 6)
    chosen = model.quantize(rows)[2][2].reshape(-1).numpy()
    (stage,) = lookup(source, found).stages
    flat = rows.permute(0, 2, 3, 1).reshape(-1, 5).numpy()
    distances = ((flat[:, None] - stage.codes[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(distances.argmin(1), chosen)

"""Checkpoints that vector-quantize-pytorch itself writes: our codes are its codes, and our assignment its indices."""

from __future__ import annotations

import numpy as np
import pytest
from peers import assigned, only, saved

from vqdoctor.layouts import codes, ema_counts, find_quantizers, state_for

torch = pytest.importorskip("torch", reason="torch is not installed")
vq = pytest.importorskip("vector_quantize_pytorch", reason="vector-quantize-pytorch is not installed")

pytestmark = pytest.mark.peer
ROWS, DIM = 400, 8


def trained(module, steps: int = 4, dim: int = DIM):
    """The module after a few steps on random rows, in eval mode."""
    torch.manual_seed(0)
    module.train()
    optimizer = torch.optim.Adam(
        [p for p in module.parameters() if p.requires_grad] or [torch.nn.Parameter(torch.zeros(1))], lr=0.01
    )
    for _ in range(steps):
        out = module(torch.randn(1, ROWS, dim))
        loss = out[2].sum() if out[2].requires_grad else None
        if loss is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return module.eval()


@torch.no_grad()
def indices(module, dim: int = DIM) -> tuple[np.ndarray, np.ndarray]:
    """Rows and the library's indices for them, (n, L)."""
    rows = torch.randn(1, ROWS, dim)
    found = module(rows)[1]
    return rows[0].numpy(), found.reshape(ROWS, -1).numpy()


SINGLE = {
    "euclidean": ({"codebook_size": 16, "codebook_dim": 4, "threshold_ema_dead_code": 2}, "l2", "laplace", "ema"),
    "kmeans": ({"codebook_size": 16, "kmeans_init": True}, "l2", "laplace", "ema"),
    "cosine": ({"codebook_size": 16, "use_cosine_sim": True}, "cosine", "cosine", "ema"),
    "learned": ({"codebook_size": 16, "learnable_codebook": True, "ema_update": False}, "l2", "none", "stale"),
    "learned-replaced": ({"codebook_size": 16, "directional_reparam": True, "threshold_ema_dead_code": 1}, "l2", "none", "ema"),
    "affine": ({"codebook_size": 16, "affine_param": True}, "l2", "laplace", "ema"),
    "bridge": ({"codebook_size": 16, "vq_bridge": torch.nn.Linear(DIM, DIM)}, "l2", "none", "stale"),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_codebook(name: str, tmp_path) -> None:
    config, metric, relation, counting = SINGLE[name]
    module = trained(vq.VectorQuantize(dim=DIM, **config))
    rows, expected = indices(module)
    source = saved(module, tmp_path)
    found = only(source)
    assert (found.layout, found.structure, found.metric) == ("lucidrains", "single", metric)
    assert (found.ema.relation, found.ema.counts, found.ema.start_mass) == (relation, counting, 1.0)
    if name not in {"affine", "bridge"}:
        np.testing.assert_array_equal(codes(source, found.levels[0]), module.codebook.detach().numpy())
    np.testing.assert_array_equal(ema_counts(source, found.levels[0]), module._codebook.cluster_size[0].numpy())
    np.testing.assert_array_equal(assigned(source, found, rows), expected)


@pytest.mark.parametrize("config", [{}, {"use_cosine_sim": True}, {"affine_param": True}], ids=["euclidean", "cosine", "affine"])
def test_written_codes_survive_the_library_s_next_normalisation(config: dict, tmp_path) -> None:
    """Written with far too small counts, rows come back from sums and counts as they were written (theory §7.2)."""
    module = trained(vq.VectorQuantize(dim=DIM, codebook_size=16, **config))
    source = saved(module, tmp_path)
    found = only(source)
    rows, new = np.array([3, 11]), np.random.default_rng(0).standard_normal((2, DIM)).astype(np.float32)
    new /= np.linalg.norm(new, axis=1, keepdims=True)
    state = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    for write in state_for(source, found, found.levels[0], rows, new, np.array([1e-4, 2.0])):
        write.apply(state[write.where.name])
    module.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in state.items()})
    written = module.codebook.clone()
    module._codebook.update_ema()
    np.testing.assert_allclose(module.codebook.numpy()[rows], written.numpy()[rows], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(codes(saved(module, tmp_path), found.levels[0])[rows], new, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("separate", [True, False], ids=["separate", "shared"])
def test_heads(separate: bool, tmp_path) -> None:
    module = trained(vq.VectorQuantize(dim=DIM, codebook_size=16, heads=3, codebook_dim=4, separate_codebook_per_head=separate))
    rows, expected = indices(module)
    source = saved(module, tmp_path)
    found = only(source)
    assert (found.structure, len(found.levels), found.width) == ("product", 3, DIM)
    books = module._codebook.embed.expand(3, -1, -1).numpy()
    for level, book in zip(found.levels, books, strict=True):
        np.testing.assert_array_equal(codes(source, level), book)
        assert level.shared_with == (None if separate or level.index == 0 else 0)
    np.testing.assert_array_equal(assigned(source, found, rows), expected)


RESIDUAL = {
    "unequal": {"codebook_size": (16, 8, 4), "codebook_dim": 4},
    "cosine": {"codebook_size": 16, "num_quantizers": 3, "use_cosine_sim": True},
    "shared": {"codebook_size": 16, "num_quantizers": 3, "shared_codebook": True},
    "kmeans": {"codebook_size": 16, "num_quantizers": 2, "kmeans_init": True, "threshold_ema_dead_code": 2},
}


@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_levels(name: str, tmp_path) -> None:
    module = trained(vq.ResidualVQ(dim=DIM, **RESIDUAL[name]))
    rows, expected = indices(module)
    source = saved(module, tmp_path)
    found = only(source)
    assert (found.layout, found.structure, len(found.levels)) == ("lucidrains-residual", "residual", module.num_quantizers)
    for level, layer in zip(found.levels, module.layers, strict=True):
        np.testing.assert_array_equal(codes(source, level), layer._codebook.embed[0].numpy())
        assert level.shared_with == (0 if name == "shared" and level.index else None)
    np.testing.assert_array_equal(assigned(source, found, rows), expected)


def test_a_shared_book_in_safetensors(tmp_path) -> None:
    """save_model keeps one level and names the others in the header; they are found again, as shared."""
    from safetensors.torch import save_model

    from vqdoctor.checkpoint import open_source

    module = trained(vq.ResidualVQ(dim=DIM, codebook_size=16, num_quantizers=3, shared_codebook=True))
    rows, expected = indices(module)
    save_model(module, str(tmp_path / "model.safetensors"))
    source = open_source(str(tmp_path / "model.safetensors"))
    found = only(source)
    assert [level.shared_with for level in found.levels] == [None, 0, 0]
    np.testing.assert_array_equal(assigned(source, found, rows), expected)


def test_groups_of_residual_levels(tmp_path) -> None:
    module = trained(vq.GroupedResidualVQ(dim=DIM, groups=2, num_quantizers=2, codebook_size=16))
    rows = torch.randn(1, ROWS, DIM)
    with torch.no_grad():
        expected = module(rows)[1].numpy()[:, 0]
    source = saved(module, tmp_path)
    found = find_quantizers(source)
    assert [one.columns for one in found] == [(0, 4), (4, 8)]
    for one, known in zip(found, expected, strict=True):
        np.testing.assert_array_equal(assigned(source, one, rows[0].numpy()), known)


@pytest.mark.parametrize("levels", [1, 3])
def test_sim_vq(levels: int, tmp_path) -> None:
    module = vq.SimVQ(dim=DIM, codebook_size=16, frozen_codebook_dim=6) if levels == 1 else vq.ResidualSimVQ(
        dim=DIM, codebook_size=16, num_quantizers=levels
    )  # fmt: skip
    trained(module)
    rows, expected = indices(module)
    source = saved(module, tmp_path)
    found = only(source)
    assert (found.layout, found.structure) == ("lucidrains-simvq", "single" if levels == 1 else "residual")
    layers = [module] if levels == 1 else module.layers
    for level, layer in zip(found.levels, layers, strict=True):
        np.testing.assert_allclose(codes(source, level), layer.codebook.detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(assigned(source, found, rows), expected)


def test_random_projections(tmp_path) -> None:
    torch.manual_seed(0)
    module = vq.RandomProjectionQuantizer(dim=DIM, num_codebooks=2, codebook_dim=4, codebook_size=16)
    rows = torch.randn(1, ROWS, DIM)
    with torch.no_grad():
        expected = module(rows)[0].numpy()
        projected = torch.einsum("nd,hde->nhe", module.norm(rows[0]), module.rand_projs).flatten(1).numpy()
    source = saved(module, tmp_path)
    found = only(source)
    assert (found.layout, found.metric, found.ema.counts) == ("lucidrains-random-projection", "cosine", "stale")
    np.testing.assert_array_equal(assigned(source, found, projected), expected)


def test_latent_quantize(tmp_path) -> None:
    """Its index is mixed radix over the levels of each scalar."""
    torch.manual_seed(0)
    levels = [5, 5, 7]
    module = vq.LatentQuantize(levels=levels, dim=DIM, commitment_loss_weight=0.1, quantization_loss_weight=0.1).eval()
    rows = torch.randn(1, DIM, ROWS) * 0.5
    with torch.no_grad():
        expected = module(rows)[1].flatten().numpy()
    source = saved(module, tmp_path)
    found = assigned(source, only(source), rows[0].T.numpy())
    np.testing.assert_array_equal(found @ np.cumprod([1, *levels[:-1]]), expected)


NAMED = {
    "fsq": (lambda: vq.FSQ([8, 5, 5], dim=DIM), "fsq", "implicit"),
    "residual-fsq": (lambda: vq.ResidualFSQ(levels=[8, 5, 5], num_quantizers=2, dim=DIM), "fsq", "implicit"),
    "lfq": (lambda: vq.LFQ(codebook_size=64, dim=DIM), "lfq", "implicit"),
    "residual-lfq": (lambda: vq.ResidualLFQ(dim=DIM, codebook_size=64, num_quantizers=2), "lfq", "implicit"),
    "hierarchical": (lambda: vq.HierarchicalVQ(dim=DIM, codebook_size=16, scales=(1, 2)), "lucidrains-hierarchical", "multiscale"),
    "qinco": (
        lambda: vq.ResidualVQ(dim=DIM, codebook_size=16, num_quantizers=2, implicit_neural_codebook=True),
        "lucidrains-residual", "residual",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_be_searched_is_named(name: str, tmp_path) -> None:
    make, layout, structure = NAMED[name]
    source = saved(make(), tmp_path)
    found = only(source)
    assert (found.layout, found.structure) == (layout, structure)
    assert found.searchable
    if layout == "lfq":
        assert found.facts["codes"] == 64

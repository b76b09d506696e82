"""The networks, and the errors of RQ-Kmeans+ that its document lists."""

import numpy as np
import pytest
import torch
from torch import nn

from vqdoctor.errors import CorruptInput, MissingInput, UsageError
from vqdoctor.trainer import checkpoints, losses, models
from vqdoctor.trainer.settings import Config


def _model(shape: tuple[int, ...] = (12,), **settings) -> models.Autoencoder:
    torch.manual_seed(0)
    return models.build(Config().but(**{"hidden_dim": (16,), "code_dim": 6, "codes": (8,), **settings}), shape)


def test_rows_and_images_come_back_in_their_shape() -> None:
    rows = torch.randn(5, 12)
    model = _model()
    assert model.encode(rows).shape == (5, 6)
    assert model.decode(model.encode(rows)).shape == rows.shape
    images = torch.rand(3, 2, 8, 16)
    conv = _model((2, 8, 16), network="conv")
    assert conv.encode(images).shape == (3 * 2 * 4, 6)
    assert conv.decode(conv.encode(images)).shape == images.shape


def test_positions_of_an_image_keep_their_place() -> None:
    conv = _model((2, 8, 8), network="conv")
    conv.encoder, conv.decoder = nn.Identity(), nn.Identity()
    latents = torch.randn(3, 6, 2, 2)
    assert torch.equal(conv.decode(conv.encode(latents)), latents)


def test_linear_layers_start_small_unless_told() -> None:
    weight = _model((400,), hidden_dim=(300,)).encoder[0].weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(_model((400,), hidden_dim=(300,), weight_start="torch").encoder[0].weight.detach().std()) > 0.025


def test_dropout_and_batch_norm_stand_where_asked() -> None:
    kinds = [type(layer).__name__ for layer in _model(dropout=0.1, batch_norm=True).encoder]
    assert kinds == ["Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]


def test_the_residual_encoder_begins_as_the_identity() -> None:
    rows = torch.randn(5, 12)
    assert torch.equal(_model(network="residual", code_dim=0).encode(rows), rows)


def test_the_residual_encoder_needs_a_linear_layer() -> None:
    with pytest.raises(UsageError, match="no Linear layer"):
        models.ResidualEncoder(nn.Sequential(nn.ReLU()))


@pytest.mark.parametrize("network", ["residual", "none"])
def test_code_dim_must_be_the_width_of_the_rows(network: str) -> None:
    with pytest.raises(UsageError, match=r"code_dim is 6 and the rows have 12 columns.*--set code_dim=12"):
        _model(network=network)


def test_a_network_that_does_not_suit_the_data_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot take images"):
        _model((1, 8, 8))
    with pytest.raises(UsageError, match="cannot take rows of width 12"):
        _model(network="conv")


def test_books_from_an_npz(tmp_path) -> None:
    quantizer = _model(levels=2).quantizer
    books = {f"level_{i}": np.random.default_rng(i).normal(size=(8, 6)).astype(np.float32) for i in range(2)}
    path = str(tmp_path / "books.npz")
    np.savez(path, **books)
    models.load_books(path, quantizer)
    for i, level in enumerate(quantizer.levels):
        np.testing.assert_array_equal(level.codebook.numpy(), books[f"level_{i}"])
        assert level.initialised


def test_books_that_do_not_fit_say_what_is_missing(tmp_path) -> None:
    quantizer, path = _model(levels=2).quantizer, tmp_path / "books.npz"
    with pytest.raises(MissingInput, match="rq-kmeans"):
        models.load_books(str(path), quantizer)
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(CorruptInput):
        models.load_books(str(path), quantizer)
    np.savez(path, layer0=np.zeros((8, 6)))
    with pytest.raises(CorruptInput, match=r"no codebook for level 0.*layer0"):
        models.load_books(str(path), quantizer)
    np.savez(path, level_0=np.zeros((8, 6)))
    with pytest.raises(CorruptInput, match="no codebook for level 1"):
        models.load_books(str(path), quantizer)
    np.savez(path, level_0=np.zeros((8, 5)), level_1=np.zeros((8, 6)))
    with pytest.raises(UsageError, match=r"shape \(8, 5\)"):
        models.load_books(str(path), quantizer)


def test_beta_warms_up_and_weighs_the_term_it_is_told_to() -> None:
    config = Config().but(commitment_weight=0.25, commitment_warmup_epochs=10, codebook_weight=1.0)
    assert [losses.commitment_now(config.loss, epoch) for epoch in (0, 5, 10, 50)] == [0, 0.125, 0.25, 0.25]
    terms = {
        name: torch.tensor(value)
        for name, value in {"reconstruction": 1.0, "commitment": 10.0, "codebook": 100.0, "entropy": 0.0}.items()
    }
    assert float(losses.total(config, terms, beta=0.25, values=9, width=6)) == 1 + 2.5 + 100
    other = config.but(beta_on_codebook=True)
    assert float(losses.total(other, terms, beta=0.25, values=9, width=6)) == 1 + 10 + 25
    whole = config.but(reconstruction_scale="sum")
    assert float(losses.total(whole, terms, beta=0.25, values=9, width=6)) == 9 + 2.5 + 100
    summed = config.but(quantization_scale="sum", quantization_weight=0.5)
    assert float(losses.total(summed, terms, beta=0.25, values=9, width=6)) == 1 + 0.5 * 6 * 102.5


def _skewed(rows: int = 200, width: int = 12) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(rows, width) * torch.logspace(0, -1, width) + 5


def test_whitening_makes_every_direction_count_alike_and_comes_back_from_a_checkpoint() -> None:
    rows, model = _skewed(), _model(whiten=True)
    model.fit_inputs(rows)
    seen = model.encoder[0](rows)
    assert torch.allclose(seen.norm(dim=1), torch.tensor(12.0).sqrt())
    assert float(torch.linalg.cond(torch.cov(rows.T))) > 50
    assert float(torch.linalg.cond(torch.cov(seen.T))) < 2
    again = _model(whiten=True)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.encode(rows), model.encode(rows))


def test_a_whitened_model_answers_where_its_rows_are() -> None:
    rows, model = _skewed(), _model(whiten=True)
    model.decoder[0][-1].weight.data.zero_()
    model.fit_inputs(rows)
    assert torch.allclose(model.decode(model.encode(rows)).mean(0), rows.mean(0), atol=1e-4)


def test_rows_that_are_all_the_same_are_whitened_to_finite_values() -> None:
    model = _model(whiten=True)
    model.fit_inputs(torch.ones(9, 12))
    assert bool(model.encode(torch.ones(2, 12)).isfinite().all())


@pytest.mark.parametrize("network", ["conv", "residual", "none"])
def test_only_an_mlp_whitens(network: str) -> None:
    with pytest.raises(UsageError, match="whiten=false"):
        _model((2, 8, 8) if network == "conv" else (12,), network=network, whiten=True, code_dim=6 if network == "conv" else 0)


def test_uniformity_is_least_for_even_spread_and_does_not_see_the_latents_size() -> None:
    rows = torch.randn(64, 16)
    crowded = torch.cat([rows[:32], rows[:32] + 0.01 * torch.randn(32, 16)])
    assert float(losses.uniformity(rows, 20.0)) < float(losses.uniformity(crowded, 20.0))
    assert float(losses.uniformity(rows * 1000, 20.0)) == pytest.approx(float(losses.uniformity(rows, 20.0)), abs=1e-3)
    assert float(losses.uniformity(rows[:1], 20.0)) == 0.0
    assert float(losses.uniformity(torch.ones(4, 3), 20.0)) == pytest.approx(0.0, abs=1e-6)


def test_uniformity_pushes_near_neighbours_apart() -> None:
    rows = torch.cat([torch.randn(30, 8), torch.zeros(2, 8) + torch.tensor([[0.1], [-0.1]])]).requires_grad_()
    losses.uniformity(rows, 20.0).backward()
    assert rows.grad is not None
    step = -rows.grad[30] + rows.grad[31]
    assert float(step @ (rows[30] - rows[31]).detach()) > 0


def test_a_relative_scale_and_the_uniformity_weight() -> None:
    terms = {"reconstruction": torch.tensor(1.0), "uniformity": torch.tensor(-3.0)}
    config = Config().but(reconstruction_scale="relative", uniformity_weight=0.5)
    assert float(losses.total(config, terms, beta=0.0, values=9, width=6, usual=4.0)) == 0.25 - 1.5


def test_names_of_books_are_shown_and_not_acted_on(tmp_path) -> None:
    path = tmp_path / "books.npz"
    np.savez(path, **{"\x1b[2J": np.zeros((8, 6))})
    with pytest.raises(CorruptInput, match=r"its keys: \\x1b\[2J"):
        models.load_books(str(path), _model(levels=2).quantizer)


def test_a_checkpoint_is_whole_or_not_there_and_no_link_is_followed(tmp_path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    for name in ("last.pt", "last.part"):
        (tmp_path / name).symlink_to(victim)
    checkpoints.save(tmp_path / "last.pt", {"model": {}, "optimizer": {}, "config": {}, "resume": {}})
    assert victim.read_bytes() == b"mine" and checkpoints.load(tmp_path / "last.pt")["model"] == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.part", "last.pt", "victim"]

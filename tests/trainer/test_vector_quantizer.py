"""A codebook's lookups, losses and statistics, and that nothing written into it leaves them at odds."""

import numpy as np
import pytest
import torch

from vqdoctor.metrics.ema import measure_ema
from vqdoctor.model import EmaFacts
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.quantizers.sinkhorn import balanced
from vqdoctor.trainer.quantizers.vq import VectorQuantizer, entropy_loss, rotated, smoothed
from vqdoctor.trainer.settings import QuantizerSettings


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def _quantizer(codes: int = 16, dim: int = 4, **settings) -> VectorQuantizer:
    return VectorQuantizer(codes, dim, QuantizerSettings(**settings))


def _inconsistent(level: VectorQuantizer) -> int | None:
    facts = EmaFacts(relation="laplace", decay=0.9, start_mass=1.0)
    state = [part.detach().numpy() for part in (level.ema_count, level.ema_sum, level.codebook)]
    return measure_ema(state[0] + 1e-9, sums=state[1], codes=state[2], ema=facts).metrics["ema.inconsistent_rows"]


def test_nearest_code_and_losses() -> None:
    level = _quantizer(update="gradient")
    rows = torch.randn(50, 4)
    found = level.eval()(rows)
    distances = torch.cdist(rows, level.codebook)
    assert torch.equal(found.codes, distances.argmin(1))
    expected = float(distances.detach().min(1).values.square().mean() / 4)
    assert float(found.losses["commitment"].detach()) == pytest.approx(expected, rel=1e-4)
    assert float(found.losses["codebook"].detach()) == pytest.approx(expected, rel=1e-4)


def test_under_cosine_only_directions_count() -> None:
    level = _quantizer(metric="cosine").eval()
    rows = torch.randn(30, 4)
    assert torch.equal(level(rows).codes, level(7 * rows).codes)
    assert torch.allclose(level(rows).values.norm(dim=1), torch.ones(30))


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_codes_follow_from_sums_and_counts_whatever_happens(metric: str) -> None:
    level = _quantizer(decay=0.9, metric=metric).train()
    for step in range(40):
        rows = torch.randn(64, 4)
        level.update(rows, level(rows).codes)
        if step % 10 == 5:
            level.write(torch.tensor([1, 7]), torch.randn(2, 4))
    assert _inconsistent(level) == 0


def test_a_written_row_stays_where_it_was_put() -> None:
    level = _quantizer(codes=8, decay=0.99)
    level.ema_count.copy_(torch.tensor([30.0, 0.001, 5, 5, 5, 5, 5, 9]))
    level.ema_sum.copy_(level.codebook * level.ema_count[:, None])
    target = torch.full((1, 4), 3.0)
    level.write(torch.tensor([1]), target)
    assert float(level.ema_count[1]) == pytest.approx(64.001 / 8)
    again = level.ema_sum / smoothed(level.ema_count)[:, None]
    assert torch.allclose(again[1], target[0], rtol=1e-5)


def test_statistics_match_the_closed_form() -> None:
    """A code that is never hit keeps γ^t of its first mass."""
    level = _quantizer(codes=4, decay=0.8)
    rows = level.codebook[:1].repeat(10, 1) + 0.0
    for _ in range(12):
        level.update(rows, torch.zeros(10, dtype=torch.int64))
    assert level.ema_count[1:].numpy() == pytest.approx(0.8**12, rel=1e-5)
    assert float(level.ema_count[0]) == pytest.approx(0.8**12 + 10 * (1 - 0.8**12), rel=1e-5)


@pytest.mark.parametrize("sampling", ["softmax", "gumbel"])
def test_temperature_draws_in_proportion(sampling: str) -> None:
    level = _quantizer(codes=3, temperature=0.5, sampling=sampling).train()
    distances = torch.tensor([[0.0, 0.5, 1.0]]).expand(30_000, 3)
    share = torch.bincount(level.assign(distances), minlength=3) / 30_000
    assert torch.allclose(share, torch.softmax(torch.tensor([0.0, -1, -2]), 0), atol=0.015)
    assert torch.equal(level.eval().assign(distances), torch.zeros(30_000, dtype=torch.int64))


def test_sinkhorn_gives_each_code_its_share() -> None:
    crowd = torch.randn(240, 2) * 0.1 + torch.tensor([5.0, 5.0])
    distances = torch.cdist(crowd, torch.randn(12, 2)).square()
    assert len(distances.argmin(1).unique()) < 6
    counts = torch.bincount(balanced(distances, 0.003, 50), minlength=12)
    assert counts.min() >= 10
    assert counts.max() <= 30


def test_straight_through_copies_the_gradient_and_its_absence_stops_it() -> None:
    for on in (True, False):
        quantizer = ResidualQuantizer((8, 8), 4, QuantizerSettings(straight_through=on, levels=2))
        rows = torch.randn(20, 4, requires_grad=True)
        found = quantizer(rows)
        if on:
            (found.values * torch.arange(80.0).view(20, 4)).sum().backward()
            assert torch.equal(rows.grad, torch.arange(80.0).view(20, 4))
        else:
            assert not found.values.requires_grad


def test_rotation_lands_on_the_code_and_turns_the_gradient() -> None:
    rows, values = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5)
    turned = rotated(rows, values)
    assert torch.allclose(turned, values, atol=1e-5)
    turned.pow(2).sum().backward()
    assert rows.grad.norm(dim=1).numpy() == pytest.approx(
        (2 * values.norm(dim=1) ** 2 / rows.norm(dim=1)).detach().numpy(), rel=1e-3
    )


def test_entropy_loss_is_lowest_for_sure_rows_over_an_even_book() -> None:
    sure = torch.full((8, 8), 50.0).fill_diagonal_(0.0)
    assert float(entropy_loss(sure, 1.0)) == pytest.approx(-np.log(8), abs=1e-3)
    assert float(entropy_loss(torch.zeros(8, 8), 1.0)) == pytest.approx(0, abs=1e-5)
    one = torch.full((8, 8), 50.0)
    one[:, 0] = 0
    assert float(entropy_loss(one, 1.0)) == pytest.approx(0, abs=1e-3)


def test_levels_add_up_and_each_quantises_what_is_left() -> None:
    quantizer = ResidualQuantizer((16, 16, 16), 4, QuantizerSettings(levels=3)).eval()
    rows = torch.randn(30, 4)
    found = quantizer(rows)
    total = sum(level.codebook[found.codes[:, i]] for i, level in enumerate(quantizer.levels))
    assert torch.allclose(found.values, total, atol=1e-6)
    given = [part for _, part in quantizer.residuals(rows)]
    assert torch.equal(quantizer.levels[2].distances(given[2]).argmin(1), found.codes[:, 2])


def test_a_shared_book_is_one_book_that_learns_from_every_level() -> None:
    quantizer = ResidualQuantizer((8, 8), 4, QuantizerSettings(levels=2, shared=True, decay=0.5)).train()
    assert len(quantizer.books()) == 1
    quantizer(torch.randn(10, 4))
    assert float(quantizer.books()[0].ema_count.sum()) == pytest.approx(0.5 * 8 + 0.5 * 20)
    assert set(quantizer.state_dict()) >= {"layers.0.codebook", "layers.1.codebook"}


def test_low_precision_state_is_kept_in_low_precision() -> None:
    level = _quantizer(state_dtype="bfloat16").train()
    rows = torch.randn(40, 4)
    level.update(rows, level(rows).codes)
    assert {level.codebook.dtype, level.ema_count.dtype, level.ema_sum.dtype} == {torch.bfloat16}

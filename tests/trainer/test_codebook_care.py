"""Starts, re-estimations, revivals and doubling: what they write, what they leave alone, and when they refuse."""

import numpy as np
import pytest
import torch

from vqdoctor.metrics.usage import counts_of
from vqdoctor.trainer.quantizers import expansion, reinit, reset
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.quantizers.vq import VectorQuantizer
from vqdoctor.trainer.schedules import forget_rows, grow_rows
from vqdoctor.trainer.settings import ExpansionSettings, QuantizerSettings, ReinitSettings, RevivalSettings


@pytest.fixture
def rng() -> np.random.Generator:
    torch.manual_seed(0)
    return np.random.default_rng(0)


def _quantizer(levels: int = 1, codes: int = 16, **settings) -> ResidualQuantizer:
    return ResidualQuantizer((codes,) * levels, 4, QuantizerSettings(levels=levels, **settings))


def _use(level: VectorQuantizer, rows: torch.Tensor) -> float:
    counts, _ = counts_of(level.distances(rows).argmin(1).numpy(), len(level.codebook))
    return float((counts > 0).mean())


def test_reestimation_comes_at_the_end_of_the_warm_up_every_interval_and_at_the_stop() -> None:
    settings = ReinitSettings(reinit_interval=2000, warmup_steps=10_000, reinit_stop=30_000)
    due = [step for step in range(40_000) if reinit.due(settings, step)]
    assert due == list(range(10_000, 30_001, 2000))
    odd = ReinitSettings(reinit_interval=100, warmup_steps=250, reinit_stop=450)
    assert [step for step in range(1000) if reinit.due(odd, step)] == [250, 300, 400, 450]
    assert not any(reinit.due(ReinitSettings(), step) for step in range(5000))


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_a_start_uses_every_code_of_every_level(rng, update: str) -> None:
    quantizer = _quantizer(3, update=update, codebook_init="zeros")
    assert not quantizer.levels[0].initialised
    rows = torch.randn(400, 4)
    reports = reinit.start(quantizer, rows, ReinitSettings(), rng)
    assert [report["changed"] for report in reports] == [16, 16, 16]
    for level, residual in quantizer.residuals(rows):
        assert level.initialised
        assert _use(level, residual) == 1.0
    assert reports[0]["before"]["std"] == 0.0 < reports[0]["after"]["std"]


@pytest.mark.parametrize("rows", [0, 5, 16])
def test_with_too_few_rows_nothing_is_written_and_the_reason_says_so(rng, rows: int) -> None:
    quantizer = _quantizer(2)
    before = [level.codebook.clone() for level in quantizer.levels]
    for report in reinit.reestimate(quantizer, torch.randn(rows, 4), ReinitSettings(), rng):
        assert report["reason"] == f"too few samples ({rows} < 17)"
    assert all(torch.equal(level.codebook, book) for level, book in zip(quantizer.levels, before, strict=True))


def test_selective_reestimation_leaves_live_codes_bit_for_bit(rng) -> None:
    quantizer = _quantizer()
    level = quantizer.levels[0]
    rows = torch.randn(600, 4)
    book = rows[:16].clone()
    book[4:] += 100  # orphans
    level.write(torch.arange(16), book)
    (report,) = reinit.reestimate(quantizer, rows, ReinitSettings(reinit_threshold=0.1), rng)
    assert report["changed"] == 12
    assert torch.equal(level.codebook[:4], book[:4])
    assert _use(level, rows) == 1.0
    (again,) = reinit.reestimate(quantizer, rows, ReinitSettings(reinit_threshold=0.01), rng)
    assert again["reason"] == "no code is under the threshold"


def test_a_bare_centroid_sum_shrinks_the_book_at_the_next_step_and_a_consistent_one_does_not(rng) -> None:
    sizes = {}
    for kind in ("consistent", "bare"):
        quantizer = _quantizer(decay=0.99)
        rows = torch.randn(640, 4) + 5
        reinit.start(quantizer, rows, ReinitSettings(centroid_sum=kind), rng)
        level = quantizer.levels[0]
        level.train().update(rows[:16], level.distances(rows[:16]).argmin(1))
        sizes[kind] = float(level.codebook.norm(dim=1).median())
    assert sizes["consistent"] == pytest.approx(10, rel=0.2)
    assert sizes["bare"] < 2


@pytest.mark.parametrize(("unit", "threshold"), [("absolute", 2.0), ("uniform", 0.5)])
def test_starving_codes_are_those_under_the_threshold(unit: str, threshold: float) -> None:
    level = _quantizer(codes=4).levels[0]
    level.ema_count.copy_(torch.tensor([1.0, 9.0, 3.0, 3.0]))
    assert reset.starving(level, RevivalSettings(reset_threshold=threshold, reset_unit=unit)).tolist() == [0]
    assert reset.starving(level, RevivalSettings()).tolist() == []
    assert reset.lowest(level, 0.5).tolist() == [0, 2]


def test_revival_sticks_unless_it_is_undone(rng) -> None:
    rows = torch.randn(64, 4)
    for undone in (False, True):
        level = _quantizer(decay=0.9).levels[0].train()
        level.write(torch.arange(16), torch.randn(16, 4) + 50)
        old = level.codebook.clone()
        assert reset.revive(level, torch.arange(3, 16), rows, rng, undone=undone) == 13
        level.update(rows, level.distances(rows).argmin(1))
        moved = (level.codebook - old).norm(dim=1)[3:] > 10
        assert bool(moved.all()) is not undone


def test_adam_forgets_written_rows_and_no_other(rng) -> None:
    level = _quantizer(update="gradient").levels[0]
    optimizer = torch.optim.Adam([level.codebook])
    for _ in range(5):
        level(torch.randn(99, 4)).losses["codebook"].backward()
        optimizer.step()
    state = optimizer.state[level.codebook]
    before = {name: value.clone() for name, value in state.items()}
    forget_rows(optimizer, level.codebook, torch.tensor([2, 3]))
    assert not state["exp_avg"][[2, 3]].any()
    assert (state["exp_avg_sq"][[2, 3]] > 0).all()
    others = [i for i in range(16) if i not in (2, 3)]
    assert all(torch.equal(state[name][others], before[name][others]) for name in ("exp_avg", "exp_avg_sq"))


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_doubling_keeps_the_old_codes_and_the_optimiser_in_step(rng, update: str) -> None:
    level = _quantizer(update=update).levels[0].train()
    rows = torch.randn(400, 4)
    parameters = [level.codebook] if update == "gradient" else [torch.nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.AdamW(parameters)
    if update == "gradient":
        level.after_resize = lambda: grow_rows(optimizer, level.codebook)
        level(rows).losses["codebook"].backward()
        optimizer.step()
        optimizer.zero_grad()
    old, total = level.codebook.detach().clone(), float(level.ema_count.sum())
    report = expansion.double(level, rows, ExpansionSettings(expansion_minimum=0.1), rng)
    assert (report["codes_before"], report["codes"]) == (16, 32)
    assert torch.equal(level.codebook[:16], old)
    assert float(level.ema_count.sum()) == pytest.approx(total)
    found = level(rows)
    level.update(rows, found.codes)
    if update == "gradient":
        found.losses["codebook"].backward()
        optimizer.step()


def test_doubling_a_collapsed_book_is_refused_unless_forced(rng) -> None:
    level = _quantizer().levels[0]
    level.write(torch.arange(1, 16), torch.randn(15, 4) + 100)
    rows = torch.randn(400, 4)
    refused = expansion.double(level, rows, ExpansionSettings(), rng)
    assert "6.2% of the codes are used" in refused["reason"]
    assert len(level.codebook) == 16
    assert "reason" not in expansion.double(level, rows, ExpansionSettings(expansion_force=True), rng)
    assert "limit" in expansion.double(level, rows, ExpansionSettings(expansion_limit=40), rng)["reason"]

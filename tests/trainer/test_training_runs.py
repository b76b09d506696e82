"""Whole runs, short: the same seed gives the same bits, stopping costs nothing, and what is left behind can be read by the rest."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vqdoctor.checkpoint import open_source
from vqdoctor.errors import CorruptInput, MissingInput, UsageError
from vqdoctor.layouts import codes, find_quantizers
from vqdoctor.samples import find_sidecar
from vqdoctor.trainer.checkpoints import load, publish
from vqdoctor.trainer.config import as_toml
from vqdoctor.trainer.loop import train
from vqdoctor.trainer.plan import plan
from vqdoctor.trainer.recipes import RECIPES
from vqdoctor.trainer.schedules import OPTIMIZERS, make_optimizer, rate
from vqdoctor.trainer.settings import Config, OptimizerSettings

SMALL = Config().but(
    data="digits", rows=400, hidden_dim=(32,), code_dim=8, codes=(16,), levels=2, batch_size=64, epochs=4, keep=0, log_every=5,
    kmeans_epoch=1, dropout=0.1, reset_threshold=0.2, reset_unit="uniform", reinit_interval=7, reservoir_size=100, temperature=0.1,
)  # fmt: skip

QUIET = {"kmeans_epoch": None, "reset_threshold": None, "reinit_interval": None}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _run(out: Path, config: Config = SMALL, **options):
    ticks = itertools.count()
    return train(config, out=out, clock=lambda: float(next(ticks)), **options)


def _weights(out: Path) -> dict[str, torch.Tensor]:
    return load(out / "last.pt")["model"]


def _events(out: Path) -> list[dict]:
    return [line for line in map(json.loads, (out / "log.jsonl").read_text().splitlines()) if line["kind"] == "event"]


def _same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_a_seed_decides_a_run_to_the_bit(tmp_path, update: str) -> None:
    config = SMALL.but(update=update)
    first, second = (_run(tmp_path / name, config) for name in "ab")
    assert _same(_weights(tmp_path / "a"), _weights(tmp_path / "b"))
    assert first.last == second.last
    _run(tmp_path / "c", config.but(seed=1))
    assert not _same(_weights(tmp_path / "a"), _weights(tmp_path / "c"))


def test_the_callers_random_numbers_are_left_alone(tmp_path) -> None:
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    _run(tmp_path, SMALL.but(epochs=1))
    assert torch.equal(torch.randn(4), expected)


def test_the_callers_threads_are_left_alone_and_do_not_change_the_bits(tmp_path) -> None:
    torch.set_num_threads(2)
    try:
        _run(tmp_path / "two", SMALL.but(epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    _run(tmp_path / "one", SMALL.but(epochs=1))
    assert _same(_weights(tmp_path / "one"), _weights(tmp_path / "two"))


def test_with_amp_the_network_works_in_bfloat16_and_the_books_do_not(tmp_path) -> None:
    config, asked = SMALL.but(amp=True, whiten=True, uniformity_weight=0.3, reconstruction_scale="relative"), itertools.count(1)
    whole = _run(tmp_path / "whole", config)
    _run(tmp_path / "exact", config.but(amp=False))
    weights = _weights(tmp_path / "whole")
    assert not _same(weights, _weights(tmp_path / "exact"))
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert whole.last["loss"] < 0.1
    _run(tmp_path / "part", config, stop=lambda: next(asked) == 7)
    _run(tmp_path / "part", config, resume=True)
    assert _same(weights, _weights(tmp_path / "part"))


@pytest.mark.parametrize("after", [3, 5, 6, 11])
@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_stopped_and_resumed_ends_as_if_never_stopped(tmp_path, after: int, update: str) -> None:
    """A stop in mid-epoch, at an epoch's end, and after k-means and resets."""
    config, asked = SMALL.but(update=update), itertools.count(1)
    whole = _run(tmp_path / "whole", config)
    part = _run(tmp_path / "part", config, stop=lambda: next(asked) == after)
    assert part.interrupted
    assert not whole.interrupted
    resumed = _run(tmp_path / "part", config, resume=True)
    assert _same(_weights(tmp_path / "whole"), _weights(tmp_path / "part"))
    assert (resumed.last, resumed.best) == (whole.last, whole.best)


def test_a_run_goes_on_with_its_own_settings(tmp_path) -> None:
    """Not with the recipe's: what --scale, --set and --config said at the start need not be said again."""
    first = plan("vqfr", scale="seed", sets=("codes=16", "reinit_stop=none", "epochs=77"))
    (tmp_path / "config.toml").write_text(as_toml(first.config), encoding="utf-8")
    again = plan("vqfr", sets=("keep=3",), resumed=tmp_path)
    assert again.config == first.config.but(keep=3)
    assert again.scale == "seed"
    assert plan("vqfr", resumed=tmp_path / "none").scale == "demo"


def test_settings_are_on_disk_before_the_first_step(tmp_path) -> None:
    seen = []
    _run(tmp_path, stop=lambda: seen.append((tmp_path / "config.toml").is_file()) or True)
    assert seen == [True]


def test_a_model_that_did_not_quantise_yet_is_never_the_best(tmp_path) -> None:
    config = SMALL.but(warmup_steps=10, epochs=4, reset_threshold=None, codebook_init="normal", kmeans_epoch=None, patience=1)
    summary = _run(tmp_path, config.but(reinit_interval=None, learning_rate=0.0))
    assert summary.best["epoch"] >= 2
    assert summary.last["epoch"] >= 3


def test_an_expanded_book_can_be_resumed(tmp_path) -> None:
    config, asked = SMALL.but(update="gradient", expansion_interval=1, expansion_force=True, epochs=3), itertools.count(1)
    _run(tmp_path / "whole", config)
    _run(tmp_path / "part", config, stop=lambda: next(asked) == 8)
    _run(tmp_path / "part", config, resume=True)
    assert _same(_weights(tmp_path / "whole"), _weights(tmp_path / "part"))
    assert [event["detail"]["codes"] for event in _events(tmp_path / "whole") if event["event"] == "expanded"] == [32, 32, 64, 64]


def test_what_is_left_behind_is_what_the_contract_says(tmp_path) -> None:
    recipe = replace(RECIPES[0], expected={"usage.utilization": {"min": 0.01}, "collision.rate": {"max": 1.0}})
    summary = _run(tmp_path, recipe=recipe)
    assert {"log.jsonl", "last.pt", "best.pt", "last.features.npy", "best.features.npy", "config.toml", "summary.json"} <= {
        p.name for p in tmp_path.iterdir()
    }
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["ok"] is summary.ok is True
    assert written["expected"]["usage.utilization"] == {"min": 0.01}
    assert written["last"]["collision.items"] == 400
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (lines[0]["schema"], lines[0]["kind"]) == ("vqdoctor.log/1", "run")
    six = {
        "ema.active", "usage.batch_utilization", "usage.batch_entropy_bits", "usage.batch_entropy_normalized", "ema.entropy_bits",
        "ema.entropy_normalized",
    }  # fmt: skip
    assert all(
        any(six <= line["values"].keys() for line in lines if line["kind"] == "metrics" and line["level"] == level)
        for level in (0, 1)
    )
    assert {"kmeans-reinit", "checkpoint", "digest", "end"} <= {line["event"] for line in lines if line["kind"] == "event"}


def test_the_checkpoint_is_recognised_and_its_features_belong_to_it(tmp_path) -> None:
    _run(tmp_path)
    source = open_source(str(tmp_path / "last.pt"))
    (found,) = find_quantizers(source)
    assert (found.layout, found.name, found.structure, found.metric_basis) == (
        "vqdoctor-trainer",
        "quantizer",
        "residual",
        "stated",
    )
    assert found.ema is not None
    assert (found.ema.threshold, found.ema.threshold_unit, found.ema.basis) == (0.2, "uniform", "stated")
    np.testing.assert_array_equal(codes(source, found.levels[1]), _weights(tmp_path)["quantizer.layers.1.codebook"].numpy())
    sidecar = find_sidecar(tmp_path / "last.pt", lambda: "another")
    assert sidecar is not None
    assert sidecar.objections
    assert sidecar.facts["rows"] == len(np.load(sidecar.path)) == 400


def test_a_published_checkpoint_keeps_its_features(tmp_path) -> None:
    _run(tmp_path, SMALL.but(epochs=1))
    publish(tmp_path / "last.pt", tmp_path / "sick.pt")
    stated = json.loads((tmp_path / "sick.features.json").read_text())
    sidecar = find_sidecar(tmp_path / "sick.pt", lambda: stated["checkpoint_sha256"])
    assert sidecar is not None
    assert sidecar.objections == ()
    assert stated["checkpoint"] == "sick.pt"


def test_recent_and_best_checkpoints_stay_and_the_rest_goes(tmp_path) -> None:
    summary = _run(tmp_path, SMALL.but(keep=1, epochs=6, select="collision.rate"))
    kept = sorted(path.name for path in tmp_path.glob("epoch_*.pt"))
    assert 1 <= len(kept) <= 2
    assert kept[-1].startswith("epoch_0006_collision_")
    assert any(name.endswith(f"collision_{summary.best['collision.rate']:.4f}.pt") for name in kept)
    assert {path.name for path in tmp_path.glob("epoch_*.features.npy")} == {name.replace(".pt", ".features.npy") for name in kept}


def test_early_stopping_waits_and_then_ends(tmp_path) -> None:
    summary = _run(
        tmp_path, SMALL.but(epochs=40, patience=2, learning_rate=0.0, update="gradient", codebook_init="normal", **QUIET)
    )
    assert summary.last["epoch"] == 3


def test_a_skipped_re_estimation_says_why(tmp_path) -> None:
    _run(
        tmp_path,
        SMALL.but(
            codes=(256,), reservoir_size=300, reinit_interval=2, batch_size=32, kmeans_epoch=None, epochs=1, codebook_init="normal"
        ),
    )
    reasons = [event["detail"]["reason"] for event in _events(tmp_path) if event["event"] == "skipped"]
    assert "too few samples (64 < 257)" in reasons


def test_a_reservoir_smaller_than_the_codes_is_refused_at_the_start(tmp_path) -> None:
    with pytest.raises(UsageError, match="reservoir_size 10 is smaller than the 16 codes"):
        _run(tmp_path, SMALL.but(reservoir_size=10))


@pytest.mark.parametrize("update", ["ema", "gradient"])
@pytest.mark.parametrize("interval", [None, 5])
def test_all_four_modes_of_the_sparse_sdf_document_run(tmp_path, update: str, interval: int | None) -> None:
    summary = _run(
        tmp_path, SMALL.but(update=update, reinit_interval=interval, kmeans_epoch=None, codebook_init="uniform", epochs=2)
    )
    done = [event for event in _events(tmp_path) if event["event"] == "kmeans-reinit"]
    assert bool(done) is (interval is not None)
    assert summary.last["usage.n"] == 40
    for event in done:
        assert {"seconds", "samples", "codes", "before", "after"} <= event["detail"].keys()
        assert event["detail"]["before"].keys() == {"min", "max", "mean", "std"}


def test_before_the_warm_up_ends_nothing_is_quantised_and_the_book_waits(tmp_path) -> None:
    _run(
        tmp_path,
        SMALL.but(warmup_steps=10, kmeans_epoch=None, codebook_init="normal", reset_threshold=None, epochs=2, reinit_interval=10),
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    terms = {line["step"]: line["values"].keys() for line in lines if line["kind"] == "scalars" and "lr" in line["values"]}
    assert "loss.commitment" not in terms[10]
    assert [event["step"] for event in _events(tmp_path) if event["event"] == "kmeans-reinit"] == [10, 10]


@pytest.mark.parametrize("settings", [{"metric": "cosine"}, {"sinkhorn_epsilons": (0.0, 0.003)}, {"rotation": True}])
def test_options_of_the_quantiser_train(tmp_path, settings: dict) -> None:
    summary = _run(tmp_path, SMALL.but(temperature=0.0, epochs=8, weight_start="torch", seed=1, **settings))
    assert summary.last["usage.utilization"] > 0.2
    assert summary.last["loss"] < 0.2


def test_a_shared_book_is_stored_once_and_read_as_shared(tmp_path) -> None:
    _run(tmp_path, SMALL.but(shared=True, epochs=2))
    (found,) = find_quantizers(open_source(str(tmp_path / "last.pt")))
    assert [level.shared_with for level in found.levels] == [None, 0]


def test_rates_and_optimisers() -> None:
    settings = OptimizerSettings(learning_rate=1.0, final_rate=0.1, schedule="linear", warmup_epochs=10)
    assert [round(rate(settings, epoch, 100), 3) for epoch in (0, 5, 10, 55, 100)] == [0, 0.5, 1, 0.55, 0.1]
    for name in OPTIMIZERS:
        parameter = torch.nn.Parameter(torch.ones(3))
        optimizer = make_optimizer(OptimizerSettings(optimizer=name, learning_rate=0.1), [parameter])
        parameter.sum().backward()
        optimizer.step()
        assert (parameter < 1).all()
    with pytest.raises(UsageError, match="adamw"):
        make_optimizer(OptimizerSettings(optimizer="adamm"), [])


def test_resuming_from_nothing_says_what_it_needs(tmp_path) -> None:
    with pytest.raises(MissingInput, match=r"last\.pt"):
        _run(tmp_path, resume=True)
    (tmp_path / "last.pt").write_bytes(b"junk")
    with pytest.raises(CorruptInput):
        _run(tmp_path, resume=True)
    torch.save({"model": {}}, tmp_path / "last.pt")
    with pytest.raises(CorruptInput, match="not a checkpoint of the trainer"):
        _run(tmp_path, resume=True)


def test_a_folder_with_a_run_in_it_is_not_written_over(tmp_path) -> None:
    _run(tmp_path, SMALL.but(epochs=1))
    before = (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match="holds a run already"):
        _run(tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == before

"""Recipes are documented, plan without torch, and the quick ones keep their word; each sick run makes its disease and only then."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from judged_logs import fired, known

from vqdoctor.checkpoint import open_source
from vqdoctor.errors import UsageError
from vqdoctor.layouts import ema_counts, find_quantizers
from vqdoctor.metrics.ema import ema_life
from vqdoctor.trainer.loop import train, train_plan
from vqdoctor.trainer.plan import plan
from vqdoctor.trainer.recipes import RECIPES, find
from vqdoctor.trainer.settings import Config
from vqdoctor.trainer.sick import SICK, WELL

inspect = pytest.importorskip("vqdoctor.app.api").inspect


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _clock() -> float:
    return 0.0


def _run(name: str, out: Path, *sets: str):
    return train_plan(plan(name, sets=sets), out=out, clock=_clock)


@pytest.mark.parametrize("recipe", [*RECIPES, *SICK], ids=lambda one: one.name)
def test_every_recipe_says_what_it_is_and_its_settings_are_settings(recipe) -> None:
    for words in (recipe.seed, recipe.shows, recipe.encoder, recipe.schedule, recipe.split):
        assert len(words) > 3
    assert find(recipe.name) is recipe
    flat = plan(recipe.name).config.flat()
    if recipe.scale == "seed":
        assert all(flat[name] == value for name, value in recipe.settings.items())
    assert recipe.name.startswith("sick-") is (recipe.rule is not None)


def test_planning_needs_no_torch() -> None:
    code = "import sys; from vqdoctor.trainer.plan import plan; plan('vqfr', sets=('codes=64',)); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=60).returncode == 0


def test_a_demo_is_a_twentieth_in_the_same_proportions() -> None:
    demo, whole = plan("vqfr"), plan("vqfr", scale="seed")
    for name, value in {"epochs": 480, "warmup_steps": 10_000, "reinit_interval": 2000, "reinit_stop": 30_000}.items():
        assert whole.config.flat()[name] == value
        assert demo.config.flat()[name] == value // 20
    assert any("divided by 20" in note for note in demo.notes)
    assert whole.notes == ()


def test_what_is_set_last_wins(tmp_path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[model]\ncode_dim = 5\nhidden_dim = [9]\n", encoding="utf-8")
    flat = plan(
        "rq-tuned", config_path=str(path), sets=("code_dim=6",), overrides={"epochs": 3, "seed": None}, data="mixture"
    ).config.flat()
    assert (flat["hidden_dim"], flat["code_dim"], flat["epochs"], flat["seed"], flat["data"]) == ((9,), 6, 3, 0, "mixture")


def test_an_unknown_recipe_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="rq-tuned"):
        plan("rq-tunned")


def test_the_illusion_stays_within_the_life_of_a_count_and_is_seen_in_the_file(tmp_path) -> None:
    summary = _run("vq-ema-illusion", tmp_path)
    assert summary.ok
    life = ema_life(1.0, 1e-5, 0.99)
    assert life == 1146
    source = open_source(str(tmp_path / "last.pt"))
    (found,) = find_quantizers(source)
    assert source.info["step"] < life
    assert (ema_counts(source, found.levels[0]) >= 1e-5).all()
    assert summary.last["usage.used"] <= 2


def test_the_improved_settings_cure_it_on_the_same_data(tmp_path) -> None:
    sick, cured = _run("vq-collapse", tmp_path / "a"), _run("vq-improved", tmp_path / "b")
    assert sick.ok
    assert cured.ok
    assert cured.last["loss"] < sick.last["loss"]


def test_near_neighbours_get_ids_of_their_own_from_whitening_and_uniformity(tmp_path) -> None:
    """Photograph patches: most of their variance is brightness, and half of them have a neighbour at a fiftieth of it."""
    data = ("data=photographs", "rows=700", "epochs=16", "hidden_dim=64", "batch_size=128", "codes=32", "eval_interval=16")
    cured = _run("rq-tuned", tmp_path / "a", *data)
    plain = _run("rq-tuned", tmp_path / "b", *data, "whiten=false", "uniformity_weight=0")
    assert cured.last["collision.rate"] < 0.5 * plain.last["collision.rate"]
    assert cured.last["loss"] < 0.06  # answering the mean patch: 0.1


def test_residual_kmeans_feeds_the_plus_recipe(tmp_path) -> None:
    data = ("rows=700", "codes=16", "epochs=20")
    plus = _run("rq-kmeans-plus", tmp_path, *data)
    alone = json.loads((tmp_path / "rq-kmeans" / "summary.json").read_text())
    assert plus.best["collision.rate"] <= alone["best"]["collision.rate"]
    index = json.loads((tmp_path / "rq-kmeans" / "items.index.json").read_text())
    assert len(index) == 700
    assert len({tuple(tokens) for tokens in index.values()}) == alone["best"]["collision.unique"]
    assert all(token.startswith(f"<{letter}_") for token, letter in zip(index["0"], "abc", strict=True))


def test_a_well_run_has_none_of_the_diseases(tmp_path) -> None:
    train(Config().but(**WELL), out=tmp_path, clock=_clock)
    report = inspect(str(tmp_path / "last.pt"))
    assert {finding.rule for finding in report.findings if finding.severity != "info"} == set()
    assert report.verdict == "healthy"


def test_every_disease_names_a_rule_and_where_it_shows() -> None:
    assert len({recipe.rule for recipe in SICK}) == len(SICK) - 1  # two ways to collapse
    assert {recipe.evidence for recipe in SICK} == {"checkpoint", "features", "log"}
    assert all(known(recipe.rule) for recipe in SICK if recipe.evidence != "log")


@pytest.mark.parametrize("recipe", [one for one in SICK if one.evidence != "log"], ids=lambda one: one.name)
def test_a_sick_run_makes_its_rule_fire(recipe, tmp_path) -> None:
    _run(recipe.name, tmp_path)
    report = inspect(str(tmp_path / "last.pt"))
    assert recipe.rule in {finding.rule for finding in report.findings if finding.severity != "info"}


def _log(name: str, out: Path) -> list[dict]:
    _run(name, out)
    rule = find(name).rule
    assert not known(rule) or rule in fired(out)
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_healthy_log_has_none_of_the_diseases(tmp_path) -> None:
    train(Config().but(**WELL), out=tmp_path, clock=_clock)
    assert not fired(tmp_path) & {recipe.rule for recipe in SICK}


def test_expansion_while_collapsed_is_in_the_log(tmp_path) -> None:
    lines = _log("sick-expand-while-collapsed", tmp_path)
    grown = [line["detail"] for line in lines if line.get("event") == "expanded"]
    assert [one["codes"] for one in grown] == [128, 256, 512]
    assert max(one["utilization"] for one in grown) < 0.05


def test_a_frozen_book_has_the_same_digest_throughout(tmp_path) -> None:
    lines = _log("sick-frozen-book", tmp_path)
    hashes = [line["detail"]["hash"] for line in lines if line.get("event") == "digest"]
    assert len(hashes) == 6
    assert len(set(hashes)) == 1

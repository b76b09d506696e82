"""Settings from files: the seeds' own blocks, verbatim, and what a mistake is told."""

import tomllib
import warnings
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqdoctor.errors import CorruptInput, MissingInput, UnsupportedInput, UsageError
from vqdoctor.trainer.config import apply, as_toml, assignments, read
from vqdoctor.trainer.settings import CHOICES, LIMITS, SECTION_OF, Config

SEEDS = Path(__file__).parents[1] / "data" / "seed_configs"


def _from(name: str) -> tuple[dict, tuple[str, ...]]:
    if name.endswith(("yml", "yaml")):
        pytest.importorskip("yaml")
    config, notes = apply(Config(), read(str(SEEDS / name)))
    return config.flat(), notes


def test_sparse_sdf() -> None:
    flat, notes = _from("000_sparse_sdf.json")
    assert (flat["codes"], flat["update"], flat["reinit_interval"], flat["reservoir_size"]) == ((8192,), "gradient", 2000, 16384)
    assert len(notes) == 1
    assert "models.vqvae.name" in notes[0]


def test_vqfr_and_its_beta_on_the_other_term() -> None:
    flat, notes = _from("001_vqfr.yml")
    assert (flat["codes"], flat["code_dim"], flat["warmup_steps"], flat["reinit_interval"]) == ((1024,), 256, 10_000, 2000)
    assert (flat["reinit_stop"], flat["reservoir_size"]) == (30_000, 16_384)
    assert (flat["beta_on_codebook"], flat["commitment_weight"], flat["update"]) == (True, 0.25, "gradient")
    assert any("in_dim" in note for note in notes)


def test_improved_vq_vae() -> None:
    flat, notes = _from("002_improved.py")
    assert (flat["codes"], flat["code_dim"], flat["decay"], flat["commitment_weight"]) == ((64,), 256, 0.7, 10.0)
    assert (flat["entropy_weight"], flat["reconstruction_weight"], flat["loss_type"]) == (2.0, 0.7, "l1")
    assert (flat["lowest_share"], flat["lowest_interval"], flat["reset_threshold"]) == (0.3, 1, 1.0)
    assert (flat["temperature"], flat["codebook_init"], flat["commitment_warmup_epochs"]) == (2.5, "uniform", 5.0)
    assert flat["expansion_interval"] is None
    assert sorted(note.split()[0] for note in notes) == ["TRAINER_CONFIG.adversarial_weight", "TRAINER_CONFIG.perceptual_weight"]


def test_rq_vae_with_rates_that_yaml_takes_for_text() -> None:
    flat, notes = _from("004_rqvae.yaml")
    assert (flat["hidden_dim"], flat["code_dim"], flat["levels"], flat["codes"]) == ((256, 128), 32, 3, (64,))
    assert (flat["commitment_weight"], flat["commitment_warmup_epochs"]) == (0.25, 50.0)
    assert (flat["learning_rate"], flat["final_rate"], flat["schedule"]) == (1e-3, 1e-4, "linear")
    assert (flat["epochs"], flat["batch_size"], flat["val_ratio"], flat["normalize_input"]) == (200, 512, 0.1, False)
    assert notes == ()


def test_minionerec_keys() -> None:
    given = {
        "e_dim": 32, "layers": [512, 256], "num_emb_list": [256, 128, 64], "loss_type": "l1", "quant_loss_weight": 0.5, "beta": 0.3,
        "sk_epsilons": [0.0, 0.0, 0.003], "sk_iters": 20, "kmeans_init": True, "kmeans_iters": 10, "dropout_prob": 0.1, "bn": True,
        "warmup_epochs": 5, "eval_step": 2, "lr": "1e-4",
    }  # fmt: skip
    flat = apply(Config(), given)[0].flat()
    assert (flat["code_dim"], flat["hidden_dim"], flat["codes"], flat["levels"]) == (32, (512, 256), (256, 128, 64), 3)
    assert (flat["sinkhorn_epsilons"], flat["sinkhorn_iters"]) == ((0.0, 0.0, 0.003), 20)
    assert (flat["kmeans_epoch"], flat["kmeans_iters"], flat["dropout"], flat["batch_norm"]) == (0, 10, 0.1, True)
    assert (flat["quantization_weight"], flat["commitment_weight"], flat["learning_rate"]) == (0.5, 0.3, 1e-4)
    assert (flat["warmup_epochs"], flat["eval_interval"]) == (5.0, 2)


@pytest.mark.parametrize("order", [("use_kmeans_reinit", "kmeans_interval"), ("kmeans_interval", "use_kmeans_reinit")])
def test_a_switch_that_is_off_wins_over_its_details_in_any_order(order) -> None:
    values = {"use_kmeans_reinit": False, "kmeans_interval": 500}
    assert apply(Config(), {key: values[key] for key in order})[0].reinit.reinit_interval is None
    values["use_kmeans_reinit"] = True
    assert apply(Config(), {key: values[key] for key in order})[0].reinit.reinit_interval == 500


@pytest.mark.parametrize(
    ("key", "nearest"), [("ema_decey", "ema_decay"), ("codebok_size", "codebook_size"), ("batchsize", "batch_size")]
)
def test_an_unknown_key_is_told_the_nearest_name(key: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply(Config(), {"model": {key: 1}})
    assert f"model.{key}" in str(caught.value)
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("epochs=many", "a whole number"), ("epochs=2.5", "a whole number"), ("decay=2", "from 0 to 1"), ("network=mpl",
        "one of mlp"),
        ("shared=perhaps", "true or false"), ("codes=64,x", "a list"), ("epochs=", "a whole number"), ("decay", "key=value"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_what_is_needed(pair: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        apply(Config(), assignments((pair,)))


def test_text_of_the_command_line_becomes_values() -> None:
    pairs = ("quantizer.codes=64, 32", "levels=2", "clip=none", "learning_rate=1e-4", "shared=true", "sinkhorn_epsilons=[0,0.003]")
    flat = apply(Config(), assignments(pairs))[0].flat()
    assert (flat["codes"], flat["levels"], flat["clip"], flat["learning_rate"]) == ((64, 32), 2, None, 1e-4)
    assert (flat["shared"], flat["sinkhorn_epsilons"]) == (True, (0.0, 0.003))


def test_what_is_written_reads_back_as_the_same_settings() -> None:
    config = Config().but(codes=(8, 4), levels=2, clip=0.5, data='odd "name"\\ü.npy', reset_threshold=2.0, kmeans_epoch=1)
    again, notes = apply(Config(), tomllib.loads(as_toml(config)))
    assert (again, notes) == (config, ())


def test_settings_of_earlier_checkpoints_are_understood() -> None:
    for frozen in (True, False):
        assert apply(Config(), {"quantizer": {"frozen": frozen}})[0].quantizer.book_moves is not frozen


def test_every_setting_has_one_name() -> None:
    names = [one.name for section in fields(Config) for one in fields(getattr(Config(), section.name))]
    assert len(names) == len(set(names)) == len(SECTION_OF)
    assert set(CHOICES) | set(LIMITS) <= set(names)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.json", '{"epochs": ', CorruptInput), ("a.json", "[1]", CorruptInput), ("a.toml", "= 3", CorruptInput), ("a.ini",
        "x", UnsupportedInput),
        ("a.py", "A = {'epochs': open('x')}", CorruptInput), ("a.py", "A = {", CorruptInput), ("a.json",
        "[" * 100_000, CorruptInput),
    ],
)  # fmt: skip
def test_a_broken_file_is_an_error_of_the_file(tmp_path, name: str, text: str, error: type) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error):
        read(str(path))
    with pytest.raises(MissingInput):
        read(str(tmp_path / "none.json"))


def test_what_python_says_of_a_file_is_not_passed_on(tmp_path) -> None:
    """It quotes the file, and what stands in there could act on a terminal."""
    path = tmp_path / "config.py"
    path.write_text('epochs = 3\ndata = "\\\x1b"\n', encoding="utf-8")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert read(str(path))["epochs"] == 3
    assert not told


def test_comments_are_dropped_and_text_in_quotes_is_not(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"data": "http://x/*y*/", /* no */ "epochs": 3, // yes\n}', encoding="utf-8")
    assert read(str(path)) == {"data": "http://x/*y*/", "epochs": 3}


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.floats())))
def test_whatever_is_given_ends_in_settings_or_one_clear_error(given: dict) -> None:
    try:
        apply(Config(), given)
    except UsageError as error:
        assert str(error)

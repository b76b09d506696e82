"""Names of other projects: metric, unit, level, part of the data; and what must not be taken for a codebook's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from vqdoctor.logs import Vocabulary, explain_name, looks_like_log, read_runs
from vqdoctor.logs.alias_table import ALIASES, METRICS
from vqdoctor.model import SeriesKey

SAMPLES = Path(__file__).parents[2] / "sample_checkpoints"
KNOWN = [  # name, company, metric, scale, offset, level, scope
    ("train_indices", ("train_commit_loss",), "usage.batch_utilization", 0.01, 0, None, "train"),
    ("active %", ("cmt loss",), "usage.batch_utilization", 0.01, 0, None, None),
    ("run-7 - val/codebook_usage", (), "usage.utilization", 1, 0, None, "validation"),
    ("codebook_usage_2", (), "usage.utilization", 1, 0, 2, None),
    ("eval_codebook_usage_0", (), "usage.utilization", 1, 0, 0, "validation"),
    ("rqvae_entropy", (), "levels.joint_entropy_bits", 1 / math.log(2), 0, None, None),
    ("p_unique_ids", (), "collision.rate", -1, 1, None, "batch"),
    ("train/frac_unique_ids", (), "collision.rate", -1, 1, None, "batch"),
    ("train/layer_1/frac_layer_coverages_epoch", (), "usage.batch_utilization", 1, 0, 1, "train"),
    ("train/layer_1/id_entropy", (), "usage.batch_entropy_bits", 1 / math.log(2), 0, 1, "train"),
    ("val_ema/cluster_usage", (), "usage.batch_used", 1, 0, None, "validation"),
    ("val/perplexity", ("val/cluster_usage",), "usage.batch_perplexity", 1, 0, None, "validation"),
    ("train/ppl_3", ("train/vqloss",), "usage.batch_perplexity", 1, 0, 3, "train"),
    ("loss/train/perplexity", ("loss/train/quantization",), "usage.batch_perplexity", 1, 0, None, "train"),
    ("./Train/PPL", ("./Train/Commit",), "usage.batch_perplexity", 1, 0, None, "train"),
    ("Train/perplexity", ("Train/loss_commit",), "usage.batch_perplexity", 1, 0, None, "train"),
    ("Val/loss_perplexity", ("Train/loss_commit",), "usage.batch_perplexity", 1, 0, None, "validation"),
    ("val/perplexity.HF", ("val/commit_loss.HF",), "usage.batch_perplexity", 1, 0, None, "validation"),
    ("vq/perplexity", (), "usage.batch_perplexity", 1, 0, None, None),
    ("train_Unused_code", (), "usage.unseen", 1, 0, None, "train"),
    ("test_unused_code", (), "usage.unseen", 1, 0, None, "test"),
    ("codebooks-wo-pad/entropy-level-1/codebook0", (), "usage.entropy_bits", 1 / math.log(2), 0, 1, None),
    ("rvq_entropy_4", (), "ema.entropy_normalized", 1, 0, 4, None),
    ("rvq_expired", (), "ema.utilization", -1, 1, None, None),
    ("usages.2", ("vq_loss",), "ema.utilization", 0.01, 0, 2, None),
    ("codebook_usage %", (), "usage.utilization", 0.01, 0, None, None),
    ("CodebookEntropy", (), "usage.entropy_bits", 1, 0, None, None),
    ("codebook_occupied_window", (), "usage.used", 1, 0, None, None),
    ("codebook_usage_total", (), "usage.utilization", 1, 0, None, None),
    ("collision", (), "collision.rate", 1, 0, None, None),
    ("usage", ("used_curr",), "ema.active", 1, 0, None, None),
    ("num_unique_indices", (), "usage.batch_used", 1, 0, None, None),
    ("val/usage.perplexity", (), "usage.perplexity", 1, 0, None, "validation"),
    ("levels.gain_db.1", (), "levels.gain_db", 1, 0, 1, None),
]


@pytest.mark.parametrize(("name", "company", "metric", "scale", "offset", "level", "scope"), KNOWN)
def test_known(name, company, metric, scale, offset, level, scope):
    meaning = explain_name(name, company)
    assert (meaning.metric, meaning.scale, meaning.offset, meaning.level, meaning.scope) == (metric, scale, offset, level, scope)


@pytest.mark.parametrize(
    "name",
    [
        "codebook_utilization", "dead_codes", "AR_iter_loss/z_voc_usage", "code_perplexity", "prob_perplexity", "max_id_duplicates",
        "pretrain/n_different_codes", "train/codebook_entropy", "累积熵值",
    ],
)  # fmt: skip
def test_known_but_not_to_be_told(name):
    meaning = explain_name(name, ["vq_loss"])
    assert meaning.metric is None and meaning.note


@pytest.mark.parametrize(
    ("name", "company"),
    [
        ("perplexity", ()), ("eval/perplexity", ("eval/loss", "learning_rate")), ("ppl", ("loss",)), ("usage", ("gpu", "cpu")),
        ("utilization", ("gpu_mem",)), ("entropy", ("policy_loss", "value_loss")), ("usage.gpu", ()), ("u", ("v",)), ("unique", ("total",)),
        ("ppl_q1", ("ce_q1", "vq_loss")), ("ppl", ("ce", "codebook_acc")), ("val/ppl", ("text_loss", "commit_loss")), ("total", ("free",)),
    ],
)  # fmt: skip
def test_no_codebook_s(name, company):
    assert explain_name(name, company).metric is None


def test_training_terms():
    scalars = {
        "loss": "loss", "train/loss_step": "loss", "total_loss": "loss", "train/commit_loss": "loss.commitment", "Commit": "loss.commitment",
        "vq/commitment_loss": "loss.commitment", "rec_loss": "loss.reconstruction", "recon_error": "loss.reconstruction",
        "vq/codebook_loss": "loss.codebook", "loss_latent": "loss.codebook", "lr": "lr", "learning_rate": "lr", "loss.commitment": "loss.commitment",
        "loss.entropy": "loss.entropy", "loss.uniformity": "loss.uniformity", "loss.validation": "loss.validation", "entropy_loss": "loss.entropy",
        "train/codebook_entropy_loss": "loss.entropy", "lr-AdamW": None, "mel/loss": None, "grad_norm": None,
    }  # fmt: skip
    assert {name: explain_name(name).scalar for name in scalars} == scalars


@pytest.mark.parametrize("log", sorted(SAMPLES.glob("*.log.jsonl")), ids=lambda path: path.name)
def test_every_name_that_our_own_trainer_logs_is_known(log):
    [run], _ = read_runs(log, clock=lambda: 0.0)
    assert run.keys
    assert [one.key.name for one in run.series() if one.meaning.metric is None and one.meaning.scalar is None] == []


def test_the_user_binds_a_name():
    vocabulary = Vocabulary(["ppl", "loss"], {"ppl": "usage.batch_perplexity"})
    assert vocabulary.meaning(SeriesKey("ppl", level=2)).metric == "usage.batch_perplexity"
    assert vocabulary.meaning(SeriesKey("ppl", level=2)).level == 2


def test_names_that_the_monitor_gives_to_tensorboard_are_known():
    found = explain_name("enc.VQ/1/usage.batch_utilization")
    assert (found.metric, found.quantizer, found.level) == ("usage.batch_utilization", "enc.VQ", 1)
    assert explain_name("vq/1/usage.nothing").metric is None


def test_the_part_of_the_data_may_stand_behind_a_name():
    assert (explain_name("vq/commitment_loss/train").scope, explain_name("loss/val").scope) == ("train", "validation")


def test_the_log_s_own_scope_and_quantiser():
    meaning = Vocabulary(["usage.used"]).meaning(SeriesKey("usage.used", "vq", 1, "best"))
    assert (meaning.quantizer, meaning.level, meaning.scope) == ("vq", 1, "best")
    assert explain_name("codebook_usage.Level_32").quantizer == "Level_32"


def test_the_table_names_metrics_of_ours_only():
    assert {alias.metric for alias in ALIASES} - {None} <= METRICS
    assert all(alias.note for alias in ALIASES if alias.metric is None)


def test_words_in_prose_are_the_names_they_spell():
    found = explain_name("codebook usage %")
    assert (found.metric, found.scale) == ("usage.utilization", 0.01)
    assert explain_name("model size").metric is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("log.json", True), ("20240101_120000.log.json", True), ("losses.csv", True), ("train_log.json", True),
        ("catalog.json", False), ("blog.json", False), ("config.json", False), ("items.csv", False),
    ],
)  # fmt: skip
def test_files_that_are_named_like_logs(name, is_one):
    assert looks_like_log(name) == is_one

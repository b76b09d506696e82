"""K from Lightning's hparams.yaml beside a log: where it is clear which number it is, said where it comes from; else not taken."""

from __future__ import annotations

import json
import os

import pytest

import vqdoctor
from vqdoctor.app.gating.logs import log_subjects
from vqdoctor.app.gating.request import At
from vqdoctor.app.watching.book_sizes import LARGEST, sizes_in
from vqdoctor.app.watching.watcher import Watcher
from vqdoctor.render.vital_signs import levels

CLEAR = {
    "n_embed: 512\nlr: 0.001\n": [("n_embed", (512,))],
    "model:\n  quantizer:\n    num_embeddings: 1024\n": [("model.quantizer.num_embeddings", (1024,))],
    "encoder: {n_embed: 768}\nvq: {n_embed: 512, dim: 8}\n": [("vq.n_embed", (512,))],
    "codebook_size: 512\nn_embed: 512\n": [("codebook_size", (512,)), ("n_embed", (512,))],
    "codebook_sizes: [8, 16, 8]\n": [("codebook_sizes", (8, 16, 8))],
    "num_emb_list: !!python/tuple\n- 256\n- 256\n": [("num_emb_list", (256,))],
    "args: !!python/object:argparse.Namespace\n  n_codes: 64\n  shared: &id001 [1]\n  again: *id001\n": [("args.n_codes", (64,))],
    "vocab_size: 32000\nvq: {codebook_size: 512}\n": [("vq.codebook_size", (512,))],
    "quantizer: {vocab_size: 4096}\ntext: {vocab_size: 32000}\n": [("quantizer.vocab_size", (4096,))],
    "codebook_sizes: {lf: 32, hf: 32}\n": [("codebook_sizes.lf", (32,)), ("codebook_sizes.hf", (32,))],
}
NONE = (
    "", "lr: 0.1", "n_embed: null", "n_embed: '512'", "n_embed: 1", "n_embed: -5", "n_embed: 5.5", "n_embed: 99999999999",
    "n_embed: *x", "? {n_embed: 512}\n: 3", "n_embed: {a: {b: 512}}", "a: [n_embed, 512]", "n_embed: !!python/name:os.system ''",
)  # fmt: skip


@pytest.mark.parametrize("text", CLEAR)
def test_keys_that_say_the_size_of_a_codebook(text):
    assert sizes_in(text) == CLEAR[text]


@pytest.mark.parametrize("text", NONE)
def test_what_says_none(text):
    try:
        assert sizes_in(text) == []
    except ValueError:
        assert "*x" in text


@pytest.mark.parametrize("text", ["[" * 40, "a: " * 40, "a: 'b", "\x00", "a: [1, 2"])
def test_broken_or_deep_settings_are_an_error_of_ours(text):
    with pytest.raises(ValueError):
        sizes_in(text)


@pytest.fixture
def run_of(tmp_path):
    """A run of Lightning's with this hparams.yaml."""

    def made(text, header="epoch,step,val/usage.used,val/usage.entropy_normalized", row="0,{},16,0.5"):
        (tmp_path / "metrics.csv").write_text(header + "\n" + "".join(row.format(step) + "\n" for step in (9, 19, 29)))
        (tmp_path / "hparams.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return vqdoctor.watch_once(str(tmp_path)).runs[0]

    return made


def test_k_is_taken_and_said_to_be_from_there(run_of, tmp_path):
    run = run_of("model: {n_embed: 64}\n")
    [level] = levels(run)
    assert (level.codes, level.last("real"), level.last("perplexity")) == (64, 0.25, pytest.approx(8.0))
    [event] = run.events
    assert (event.kind, dict(event.detail)) == ("book-size", {"codes": 64, "file": "hparams.yaml", "key": "model.n_embed"})
    assert run.notes == ()


def test_a_gate_judges_by_it_too(tmp_path):
    """Two codes in use are a collapse of 64, and may be all that there are."""
    (tmp_path / "metrics.csv").write_text("step,usage.used\n" + "".join(f"{step},2\n" for step in range(40)))
    found = [report.findings for _, report in log_subjects(str(tmp_path), At(), {}, "")]
    (tmp_path / "hparams.yaml").write_text("n_embed: 64\n")
    known = [report.findings for _, report in log_subjects(str(tmp_path), At(), {}, "")]
    assert found == [()] and [finding.rule for finding in known[0]] == ["VQ501"]


def test_a_size_a_level(run_of):
    run = run_of("codebook_sizes: [64, 32]\n", "step,layer_0/frac_layer_coverages,layer_1/frac_layer_coverages", "{},0.5,0.25")
    assert [level.codes for level in levels(run)] == [64, 32]


def test_sizes_of_levels_are_no_size_of_all_of_them_together(run_of):
    assert levels(run_of("codebook_sizes: [64, 32]\n"))[0].codes is None


def test_arguments_that_a_program_printed_as_numbers(tmp_path):
    """T2M-GPT prints its arguments as JSON over many lines; others one a line."""
    (tmp_path / "run.log").write_text(
        '{\n    "nb_code": 512,\n    "batch_size": 256\n}\n'
        + "".join(f"Train. Iter {i} : \t Commit. 0.01 \t PPL. 45.0 \t Recons.  0.01\n" for i in (100, 200))
    )
    [run] = vqdoctor.watch_once(str(tmp_path)).runs
    assert levels(run)[0].codes == 512
    assert [dict(event.detail) for event in run.events] == [{"codes": 512, "key": "nb_code"}]
    for line in ("codes: 12\n", "n_embed: 512\nmodel.n_embed: 768\n", "n_embed: 512\nstep 5\nn_embed: 511\n", "n_embed: 5.5\n"):
        (tmp_path / "run.log").write_text(line + "step 1: perplexity: 5, vq_loss: 1\nstep 2: perplexity: 6, vq_loss: 1\n")
        assert levels(vqdoctor.watch_once(str(tmp_path)).runs[0])[0].codes is None


def test_what_is_ambiguous_broken_or_large_is_not_taken_and_said(run_of):
    for text, words in (
        ("a: {n_embed: 64}\nb: {n_embed: 32}\n", "cannot be told: a.n_embed 64, b.n_embed 32"),
        ("a: [", "hparams.yaml is not used"),
        ("[" * 99, "too deeply nested"),
        (b"n_embed: 64\n" + b"#" * LARGEST, "over 64 KiB"),
        ("\x1b[2Ja: {n_embed: 5}\nb: {n_embed: 6}\n", "not used"),
    ):
        run = run_of(text)
        assert levels(run)[0].codes is None and run.events == ()
        [note] = run.notes
        assert words in note and "\x1b" not in note and "\n" not in note


def test_a_pipe_in_its_place_stops_nothing(run_of, tmp_path):
    run_of("")
    (tmp_path / "hparams.yaml").unlink()
    os.mkfifo(tmp_path / "hparams.yaml")
    assert "pipe" in vqdoctor.watch_once(str(tmp_path / "metrics.csv")).runs[0].notes[0]


def test_a_log_that_tells_k_itself_is_believed(run_of, tmp_path):
    run_of("n_embed: 64\n")
    head = {"schema": "vqdoctor.log/1", "kind": "run", "run": "r", "config": {"codes": 32}}
    row = {"kind": "metrics", "step": 1, "quantizer": "vq", "level": 0, "values": {"usage.used": 8}}
    (tmp_path / "metrics.csv").unlink()
    (tmp_path / "log.jsonl").write_text(json.dumps(head) + "\n" + json.dumps(row) + "\n")
    [run] = vqdoctor.watch_once(str(tmp_path)).runs
    assert levels(run)[0].codes == 32 and [event.kind for event in run.events] == ["run"]


def test_a_language_model_has_no_codebook_whatever_its_vocabulary(run_of):
    run = run_of("vocab_size: 32000\n", "epoch,step,train/loss,perplexity", "0,{},2.5,11.2")
    assert run.events == () and run.notes == () and levels(run) == ()


def test_settings_that_come_later_or_change_are_taken(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,usage.used\n1,16\n2,16\n")
    watcher = Watcher([tmp_path / "metrics.csv"], clock=lambda: 1e9)
    assert levels(watcher.finish().runs[0])[0].codes is None
    (tmp_path / "hparams.yaml").write_text("n_embed: 64\n")
    assert levels(watcher.finish().runs[0])[0].codes == 64
    (tmp_path / "hparams.yaml").write_text("n_embed: 128\n")
    assert levels(watcher.finish().runs[0])[0].codes == 128

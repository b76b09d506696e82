"""Capture any model, inspect its checkpoint: the rows and the model's own codes lie beside it, and agree where they should."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ, GroupedResidualVQ, ResidualVQ, VectorQuantize
from watched_models import HandWritten, Net, Secretive, unchanged

import vqdoctor
from vqdoctor.errors import SampleError, UsageError
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.settings import QuantizerSettings


def saved(model: nn.Module, folder: Path, name: str = "ckpt.pt") -> Path:
    torch.save(model.state_dict(), folder / name)
    return folder / name


def agreements(report) -> list[float | None]:
    (quantizer,) = report.quantizers
    return [level.metrics["match.agreement"] for level in quantizer.levels]


def batches(*shape: int, n: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(*shape, generator=generator) for _ in range(n)]


AGREEING = {
    "plain": (lambda: VectorQuantize(dim=8, codebook_size=16), (4, 50, 8)),
    "cosine": (lambda: VectorQuantize(dim=8, codebook_size=16, use_cosine_sim=True), (4, 50, 8)),
    "projected": (lambda: VectorQuantize(dim=8, codebook_dim=4, codebook_size=16), (4, 50, 8)),
    "residual": (lambda: ResidualVQ(dim=8, codebook_size=16, num_quantizers=3), (4, 50, 8)),
    "heads": (lambda: VectorQuantize(dim=8, codebook_size=16, heads=2, separate_codebook_per_head=True), (4, 50, 8)),
    "ours": (lambda: ResidualQuantizer((16, 16), 8, QuantizerSettings()), (200, 8)),
}


@pytest.mark.parametrize("name", AGREEING)
def test_what_was_captured_agrees_with_what_inspect_looks_up(name: str, tmp_path: Path) -> None:
    make, shape = AGREEING[name]
    torch.manual_seed(0)
    model = Net(make())
    checkpoint = saved(model, tmp_path)
    with unchanged(model):
        found = vqdoctor.capture(model, batches(*shape), checkpoint)
    assert (found.n, found.seen, found.width, found.name) == (600, 600, 8, "quantizer")
    report = vqdoctor.inspect(str(checkpoint))
    assert agreements(report) == [1.0] * found.levels
    assert report.sample is not None and report.sample.n == 600 and not report.sample.population
    assert not report.source.warnings and "VQ209" not in {finding.rule for finding in report.findings}


@pytest.mark.parametrize(
    ("quantizer", "shape"),
    [
        (lambda: VectorQuantize(dim=8, codebook_size=16, accept_image_fmap=True), (2, 8, 8, 8)),
        (lambda: VectorQuantize(dim=8, codebook_size=16, channel_last=False), (2, 8, 64)),
        (lambda: VectorQuantize(dim=8, codebook_size=16, channel_last=False), (16, 8, 8)),
        (HandWritten, (2, 8, 8, 8)),
    ],
    ids=["image", "channels first", "square", "hand-written"],
)
def test_channels_are_put_last(quantizer, shape, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.quantizer = quantizer()
    checkpoint = saved(model, tmp_path)
    (images,) = batches(*shape, n=1)
    vqdoctor.capture(model, [images], checkpoint)
    rows = np.load(tmp_path / "ckpt.features.npy")
    np.testing.assert_array_equal(rows, images.movedim(1, -1).reshape(-1, 8).numpy())
    assert agreements(vqdoctor.inspect(str(checkpoint), metric="l2")) == [1.0]


def test_the_note_binds_the_rows_to_the_checkpoint(tmp_path: Path) -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16))
    checkpoint = saved(model, tmp_path)
    found = vqdoctor.capture(model, batches(2, 50, 8), tmp_path / "ckpt", rows=64, checkpoint=checkpoint, rng_seed=3)
    note = json.loads(found.note.read_text())
    assert note["schema"] == "vqdoctor.features/1" and len(note["checkpoint_sha256"]) == 64
    assert {name: note[name] for name in ("module", "mode", "rows", "seen", "width", "population", "codes")} == {
        "module": "quantizer", "mode": "eval", "rows": 64, "seen": 300, "width": 8, "population": False, "codes": True,
    }  # fmt: skip
    assert np.load(found.features).shape == (64, 8)
    codes = np.load(tmp_path / "ckpt.codes.npy")
    assert codes.shape == (64,) and codes.dtype == np.int32
    saved(Net(VectorQuantize(dim=8, codebook_size=16)), tmp_path)
    report = vqdoctor.inspect(str(checkpoint))
    assert report.sample is None and "names another checkpoint" in report.source.warnings[0]


def test_the_same_seed_draws_the_same_rows_from_all_alike(tmp_path: Path) -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16))
    drawn = []
    for seed in (0, 0, 1):
        vqdoctor.capture(model, batches(2, 500, 8, n=4), tmp_path / "x", rows=100, rng_seed=seed)
        drawn.append(np.load(tmp_path / "x.features.npy"))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    every = np.concatenate([model.encoder(batch).detach().reshape(-1, 8).numpy() for batch in batches(2, 500, 8, n=4)])
    places = [int(np.flatnonzero((every == row).all(1))[0]) for row in drawn[0]]
    assert places == sorted(places) and places[-1] > 3000 and places[0] < 1000


def test_batches_may_be_arguments(tmp_path: Path) -> None:
    class Two(Net):
        def forward(self, rows, scale):
            return self.quantizer(self.encoder(rows) * scale)

    model = Two(VectorQuantize(dim=8, codebook_size=16))
    rows = torch.randn(1, 30, 8)
    for batch in ((rows, 2.0), {"rows": rows, "scale": 2.0}):
        vqdoctor.capture(model, [batch], tmp_path / "x")
        np.testing.assert_array_equal(np.load(tmp_path / "x.features.npy"), (model.encoder(rows) * 2)[0].detach().numpy())


def test_train_mode_is_as_training_sees_it(tmp_path: Path) -> None:
    model = Net(nn.Sequential())
    model.encoder, model.quantizer = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), VectorQuantize(dim=8, codebook_size=16)
    model.eval()
    model.quantizer.train()
    found = vqdoctor.capture(model, batches(1, 30, 8), tmp_path / "x", mode="train")
    assert json.loads(found.note.read_text())["mode"] == "train"
    assert (np.load(found.features) == 0).mean() > 0.3
    assert model.quantizer.training and not model.encoder.training
    with pytest.raises(UsageError, match="no mode"):
        vqdoctor.capture(model, [], tmp_path / "x", mode="test")


class Cosine(nn.Module):
    """Looks up by cosine, which its names do not say."""

    def __init__(self) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(16, 8) * torch.linspace(0.2, 3, 16)[:, None])

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        codes = (F.normalize(rows, dim=-1) @ F.normalize(self.codebook, dim=-1).T).argmax(-1)
        return self.codebook[codes], codes


def test_another_metric_than_assumed_is_a_finding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net(Cosine())
    checkpoint = saved(model, tmp_path)
    vqdoctor.capture(model, batches(4, 50, 8), checkpoint)
    report = vqdoctor.inspect(str(checkpoint))
    (finding,) = [finding for finding in report.findings if finding.rule == "VQ209"]
    assert finding.severity == "warning" and "--metric cosine" in str(finding.next)
    assert 0 < finding.evidence["match.agreement"] < 0.9 and finding.evidence["match.agreement_rows"] == 600
    again = vqdoctor.inspect(str(checkpoint), metric="cosine")
    assert agreements(again) == [1.0] and "VQ209" not in {finding.rule for finding in again.findings}


def test_codes_of_other_rows_are_warned_of_and_not_used(tmp_path: Path) -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16))
    checkpoint = saved(model, tmp_path)
    vqdoctor.capture(model, batches(4, 50, 8), checkpoint)
    np.save(tmp_path / "ckpt.codes.npy", np.zeros(599, int))
    report = vqdoctor.inspect(str(checkpoint))
    assert agreements(report) == [None] and report.sample is not None
    assert "599 rows of 1 codes beside 600 rows" in report.source.warnings[0]
    (tmp_path / "ckpt.codes.npy").write_bytes(b"no array")
    assert "They are not used" in vqdoctor.inspect(str(checkpoint)).source.warnings[0]


def test_rows_that_had_no_finite_value_keep_codes_and_rows_together(tmp_path: Path) -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16))
    nn.init.eye_(model.encoder.weight)
    checkpoint = saved(model, tmp_path)
    (rows,) = batches(4, 50, 8, n=1)
    rows[0, 3] = torch.nan
    vqdoctor.capture(model, [rows], checkpoint)
    report = vqdoctor.inspect(str(checkpoint))
    assert report.sample is not None and (report.sample.n, report.sample.dropped) == (199, 1)
    assert agreements(report) == [1.0]


def test_groups_are_captured_side_by_side_without_codes(tmp_path: Path) -> None:
    model = Net(GroupedResidualVQ(dim=8, codebook_size=16, num_quantizers=2, groups=2))
    checkpoint = saved(model, tmp_path)
    np.save(tmp_path / "ckpt.codes.npy", np.zeros(3))  # of an earlier capture
    found = vqdoctor.capture(model, batches(4, 50, 8), checkpoint)
    assert (found.width, found.codes, found.name) == (8, None, "quantizer.rvqs")
    assert not (tmp_path / "ckpt.codes.npy").exists()
    report = vqdoctor.inspect(str(checkpoint))
    assert [one.levels[0].metrics["usage.n"] for one in report.quantizers] == [600, 600]


@pytest.mark.parametrize("kind", ["encodec", "dac"])
def test_codecs_of_transformers(kind: str, tmp_path: Path) -> None:
    """DAC's quantiser returns levels in the middle; EnCodec's is never called as a module, so its `encode` is heard."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "dac":
        model = transformers.DacModel(
            transformers.DacConfig(
                encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[2, 4], n_codebooks=3, codebook_size=16,
                codebook_dim=4,
            )
        )  # fmt: skip
    else:
        model = transformers.EncodecModel(
            transformers.EncodecConfig(
                num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, target_bandwidths=[1.5], upsampling_ratios=[4, 2],
                sampling_rate=800, num_lstm_layers=1, num_residual_layers=1,
            )
        )  # fmt: skip
        for layer in model.quantizer.layers:
            nn.init.normal_(layer.codebook.embed, std=0.1)
            layer.codebook.inited.fill_(1)
    checkpoint = saved(model, tmp_path)
    with unchanged(model):
        found = vqdoctor.capture(model, batches(1, 1, 800), checkpoint)
    assert found.name == "quantizer" and found.n == 300
    assert {share for share in agreements(vqdoctor.inspect(str(checkpoint))) if share is not None} == {1.0}


def test_what_cannot_be_captured_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="returns no indices below K"):
        vqdoctor.capture(Net(Secretive()), batches(5, 8), tmp_path / "x")
    two = nn.ModuleDict({"vq_a": VectorQuantize(dim=8, codebook_size=16), "vq_b": VectorQuantize(dim=8, codebook_size=16)})
    with pytest.raises(UsageError, match="has 2 quantisers: vq_a, vq_b"):
        vqdoctor.capture(two, [], tmp_path / "x")
    with pytest.raises(SampleError, match="no row reached the quantiser"):
        vqdoctor.capture(two, [], tmp_path / "x", quantizer="vq_b")
    with pytest.raises(UsageError, match="folder"):
        vqdoctor.capture(two, [], tmp_path, quantizer="vq_b")
    with pytest.raises(OSError):
        vqdoctor.capture(two, [], tmp_path / "x", quantizer="vq_b", checkpoint=tmp_path / "missing.pt")
    assert not os.listdir(tmp_path)


def test_a_model_without_a_quantiser_is_told_the_option_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no quantiser was found.* Name its module: quantizer="path'):
        vqdoctor.capture(nn.Linear(4, 4), [torch.zeros(2, 4)], tmp_path / "x")


def test_implicit_quantisers_have_codes_too(tmp_path: Path) -> None:
    found = vqdoctor.capture(Net(FSQ([5, 5]), width=2), batches(1, 30, 2), tmp_path / "fsq")
    assert (found.n, found.width, found.levels) == (90, 2, 1)
    assert np.load(tmp_path / "fsq.codes.npy").max() < 25

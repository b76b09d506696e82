"""A real Trainer with a real quantiser: the log, the latents, the end."""

from __future__ import annotations

import json

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from vector_quantize_pytorch import VectorQuantize
from vqdoctor_lightning import CodebookDoctor

import vqdoctor

ROWS = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
ALIKE = ROWS[:1].repeat(256, 1)  # one code serves them all


class Small(pl.LightningModule):
    """A quantiser between two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.vq, self.decoder = torch.nn.Linear(8, 8), VectorQuantize(dim=8, codebook_size=16), torch.nn.Linear(8, 8)

    def training_step(self, batch, number):
        quantised, _, commitment = self.vq(self.encoder(batch[0])[:, None])
        loss = torch.nn.functional.mse_loss(self.decoder(quantised)[:, 0], batch[0]) + commitment.sum()
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def fit(folder, doctor, model=None, epochs=2, rows=ROWS, **more):
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(rows), batch_size=32)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    trainer = pl.Trainer(
        max_epochs=epochs, default_root_dir=folder, callbacks=[doctor, *more.pop("callbacks", ())], **quiet, **more
    )
    trainer.fit(model or Small(), loader)
    return trainer


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_holds_use_and_what_the_module_logs(tmp_path):
    doctor = CodebookDoctor(every=4, features=False)
    fit(tmp_path, doctor, enable_checkpointing=False)
    assert doctor.log_path == tmp_path / "log.jsonl"
    (run,) = vqdoctor.watch_once(doctor.log_path).runs
    steps = {series.key.name: series.n for series in run.series}
    assert run.state == "ended" and run.last_step == 16
    assert steps["usage.batch_utilization"] == 4 and steps["train_loss"] == 4


def test_accumulated_batches_are_one_step(tmp_path):
    doctor = CodebookDoctor(every=1, features=False)
    fit(tmp_path, doctor, enable_checkpointing=False, accumulate_grad_batches=4)
    (run,) = vqdoctor.watch_once(doctor.log_path).runs
    assert run.last_step == 4


def test_latents_lie_beside_each_checkpoint_and_inspect_finds_them(tmp_path):
    saving = ModelCheckpoint(tmp_path / "saved", every_n_epochs=1, save_top_k=-1, save_last=True)
    fit(tmp_path, CodebookDoctor(every=4), callbacks=[saving])
    found = sorted((tmp_path / "saved").glob("*.ckpt"))
    assert len(found) == 3
    for checkpoint in found:
        report = vqdoctor.inspect(checkpoint)
        assert report.sample is not None and report.sample.n > 0
        assert report.quantizers[0].levels[0].metrics["usage.utilization"] > 0


def test_a_run_with_a_collapsed_codebook_fails_where_that_is_asked_for(tmp_path):
    fit(tmp_path / "never", CodebookDoctor(every=1), rows=ALIKE, enable_checkpointing=False)
    with pytest.raises(vqdoctor.VqdoctorError, match="VQ501"):
        fit(tmp_path, CodebookDoctor(every=1, fail_on="error"), rows=ALIKE, enable_checkpointing=False)


def test_bounds_of_the_gate_hold_at_the_end(tmp_path):
    doctor = CodebookDoctor(every=1, fail_on="error", gate={"max": {"usage.batch_utilization": 0.01}})
    with pytest.raises(vqdoctor.VqdoctorError, match=r"usage\.batch_utilization"):
        fit(tmp_path, doctor, enable_checkpointing=False)


@pytest.mark.parametrize("wrong", [{"fail_on": "mild"}, {"fail_on": "error", "gate": {"min": {"usage.utilisation": 1}}}])
def test_a_wrong_setting_is_refused_before_the_run(wrong):
    with pytest.raises(vqdoctor.VqdoctorError):
        CodebookDoctor(**wrong)


def test_a_run_that_dies_is_a_failed_run(tmp_path):
    class Dies(Small):
        def training_step(self, batch, number):
            if number == 3:
                raise RuntimeError("out of luck")
            return super().training_step(batch, number)

    doctor = CodebookDoctor(every=1)
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(tmp_path, doctor, Dies(), enable_checkpointing=False)
    end = lines(doctor.log_path)[-1]
    assert (end["event"], end["detail"]["reason"]) == ("end", "error")


def test_several_quantisers_are_watched_and_cost_no_run(tmp_path):
    class Two(Small):
        def __init__(self) -> None:
            super().__init__()
            self.other = VectorQuantize(dim=8, codebook_size=16)

        def training_step(self, batch, number):
            self.other(batch[0][:, None])
            return super().training_step(batch, number)

    doctor = CodebookDoctor(every=4)
    with pytest.warns(RuntimeWarning, match="kept no latents"):
        fit(tmp_path, doctor, Two(), callbacks=[ModelCheckpoint(tmp_path / "saved")])
    assert {line.get("quantizer") for line in lines(doctor.log_path)} >= {"vq", "other"}

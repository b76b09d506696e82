"""A real Trainer with a real quantiser: the log, the latents, the end."""

from __future__ import annotations

import pytest
import torch
from transformers import Trainer, TrainingArguments
from vector_quantize_pytorch import VectorQuantize
from vqdoctor_transformers import CodebookDoctor

import vqdoctor

ROWS = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
ALIKE = ROWS[:1].repeat(256, 1)  # one code serves them all


class Small(torch.nn.Module):
    """A quantiser between two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.vq, self.decoder = torch.nn.Linear(8, 8), VectorQuantize(dim=8, codebook_size=16), torch.nn.Linear(8, 8)

    def forward(self, x):
        quantised, _, commitment = self.vq(self.encoder(x)[:, None])
        return {"loss": torch.nn.functional.mse_loss(self.decoder(quantised)[:, 0], x) + commitment.sum()}


def train(folder, doctor, model=None, epochs=2, rows=ROWS, **more):
    arguments = {"per_device_train_batch_size": 32, "save_strategy": "no", "logging_steps": 4, "report_to": [], "use_cpu": True}
    arguments |= {"num_train_epochs": epochs, "disable_tqdm": True, **more}
    trainer = Trainer(
        model=model or Small(),
        args=TrainingArguments(str(folder), **arguments),
        train_dataset=[{"x": row} for row in rows],
        callbacks=[doctor],
    )
    trainer.train()


def test_the_log_holds_use_and_what_the_trainer_logs(tmp_path):
    doctor = CodebookDoctor(every=4)
    train(tmp_path, doctor)
    assert doctor.log_path == tmp_path / "log.jsonl"
    (run,) = vqdoctor.watch_once(doctor.log_path).runs
    steps = {series.key.name: series.n for series in run.series}
    assert run.state == "ended" and run.last_step == 16
    assert steps["usage.batch_utilization"] == 4 and steps["loss"] >= 3 and steps["lr"] >= 3


def test_accumulated_batches_are_one_step(tmp_path):
    doctor = CodebookDoctor(every=1)
    train(tmp_path, doctor, gradient_accumulation_steps=4)
    (run,) = vqdoctor.watch_once(doctor.log_path).runs
    assert run.last_step == 4


def test_latents_lie_beside_each_checkpoint_and_inspect_finds_them(tmp_path):
    train(tmp_path, CodebookDoctor(every=4), save_strategy="steps", save_steps=8)
    found = sorted(tmp_path.glob("checkpoint-*/model.safetensors"))
    assert len(found) == 2
    for checkpoint in found:
        report = vqdoctor.inspect(checkpoint)
        assert report.sample is not None and report.sample.n > 0
        assert report.quantizers[0].levels[0].metrics["usage.utilization"] > 0


def test_a_run_with_a_collapsed_codebook_fails_where_that_is_asked_for(tmp_path):
    train(tmp_path / "never", CodebookDoctor(every=1), rows=ALIKE)
    with pytest.raises(vqdoctor.VqdoctorError, match="VQ501"):
        train(tmp_path, CodebookDoctor(every=1, fail_on="error"), rows=ALIKE)


def test_bounds_of_the_gate_hold_at_the_end(tmp_path):
    doctor = CodebookDoctor(every=1, fail_on="error", gate={"max": {"usage.batch_utilization": 0.01}})
    with pytest.raises(vqdoctor.VqdoctorError, match=r"usage\.batch_utilization"):
        train(tmp_path, doctor)


@pytest.mark.parametrize("wrong", [{"fail_on": "mild"}, {"fail_on": "error", "gate": {"min": {"usage.utilisation": 1}}}])
def test_a_wrong_setting_is_refused_before_the_run(wrong):
    with pytest.raises(vqdoctor.VqdoctorError):
        CodebookDoctor(**wrong)

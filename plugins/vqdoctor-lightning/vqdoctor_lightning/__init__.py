"""vqdoctor in a Lightning run: one callback.

    trainer = Trainer(callbacks=[CodebookDoctor(every=100, fail_on="error")])

It puts `vqdoctor.Monitor` on the module that is fitted, hands it what the module logs, keeps a sample of latents beside each
checkpoint, and gates the log when the run ends. It judges nothing itself: rules and thresholds are vqdoctor's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

import vqdoctor

__all__ = ["CodebookDoctor"]


class CodebookDoctor(pl.Callback):
    """Watches the quantisers of the module in training.

    Args:
        out: folder of the log, or a file that ends in .jsonl; None: the logger's folder, else the trainer's `default_root_dir`.
        every: optimiser steps between reports.
        fail_on: "info", "warning" or "error": `fit` ends in an error where the log has a finding so grave; "never" judges nothing.
        gate: what else must hold at the end of `fit`, arguments of `vqdoctor.gate`, as ``{"min": {"usage.utilization": 0.9}}``.
        features: keep a sample of latents beside each checkpoint that Lightning saves (`<stem>.features.npy`).
        monitor: further arguments of `vqdoctor.Monitor` (quantizers, reservoir, tensorboard, …).

    Attributes:
        monitor: the `vqdoctor.Monitor` of the run, None before it. log_path: its log.

    Raises:
        vqdoctor.VqdoctorError: at once, where fail_on or gate name something that is not there; before the first step, where the
            module holds no quantiser; at the end of `fit`, where the gate fails.
    """

    def __init__(
        self,
        out: str | Path | None = None,
        *,
        every: int = 100,
        fail_on: str = "never",
        gate: Mapping[str, Any] | None = None,
        features: bool = True,
        **monitor: Any,
    ) -> None:
        self.out, self.every, self.features = out, every, features
        self.monitor: vqdoctor.Monitor | None = None
        self.log_path: Path | None = None
        self._asked = {**(gate or {}), "fail_on": fail_on}
        self._arguments = monitor
        self._step = 0
        self._seen: set[tuple[str, int]] = set()
        vqdoctor.gate(**self._asked)  # without a path only its settings are checked: not after a week of training

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The monitor goes on before the first forward."""
        folder = Path(self.out or trainer.log_dir or trainer.default_root_dir)
        self.log_path = folder if folder.suffix == ".jsonl" else folder / "log.jsonl"
        self.monitor = vqdoctor.Monitor(pl_module, folder, every=self.every, rank=trainer.global_rank, **self._arguments)
        self._step, self._seen = trainer.global_step, set(_checkpoints(trainer))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step, unless gradients are still being accumulated. What the module logged is looked at where a report is due."""
        if self.monitor is not None and trainer.global_step > self._step:
            self._step = trainer.global_step
            self.monitor.step(self._step, **(trainer.callback_metrics if self._step % self.every == 0 else {}))
            self._keep_features(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The log says that the run failed, and of what."""
        if self.monitor is not None:
            self.monitor.close(exception)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The log is closed, and gated where that was asked for."""
        if self.monitor is None:
            return
        self._keep_features(trainer)
        self.monitor.close()
        if trainer.is_global_zero and self._asked["fail_on"] != "never":
            vqdoctor.gate(str(self.log_path), **self._asked).raise_for_failure()

    def _keep_features(self, trainer: pl.Trainer) -> None:
        """Latents beside each checkpoint that was saved since the last look."""
        if self.monitor is None or not self.features or not trainer.is_global_zero:
            return
        for saved in _checkpoints(trainer):
            if saved not in self._seen:
                self._seen.add(saved)
                try:
                    self.monitor.save_features(saved[0])
                except (
                    vqdoctor.VqdoctorError,
                    OSError,
                ) as error:  # several quantisers, no reservoir, a full disk: no reason to stop
                    warnings.warn(f"vqdoctor kept no latents beside {saved[0]}: {error}", RuntimeWarning, stacklevel=2)


def _checkpoints(trainer: pl.Trainer) -> Iterator[tuple[str, int]]:
    """Path and time of each checkpoint file that the trainer's callbacks say they have written."""
    for callback in trainer.checkpoint_callbacks:
        named = (
            *getattr(callback, "best_k_models", ()),
            *(getattr(callback, f"{which}_model_path", "") for which in ("best", "last")),
        )
        for path in dict.fromkeys(filter(None, named)):
            if Path(path).is_file():
                yield str(path), Path(path).stat().st_mtime_ns

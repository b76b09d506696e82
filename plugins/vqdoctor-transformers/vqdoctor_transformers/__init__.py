"""vqdoctor in a run of transformers' Trainer: one callback.

    trainer = Trainer(model=model, …, callbacks=[CodebookDoctor(every=100, fail_on="error")])

It puts `vqdoctor.Monitor` on the model, hands it what the Trainer logs, and gates the log when the run ends. It judges nothing
itself: rules and thresholds are vqdoctor's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import vqdoctor

__all__ = ["CodebookDoctor"]

WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class CodebookDoctor(TrainerCallback):
    """Watches the quantisers of the model in training.

    Args:
        out: folder of the log, or a file that ends in .jsonl; None: the Trainer's output folder.
        every: optimiser steps between reports.
        fail_on: "info", "warning" or "error": `train` ends in an error on a finding that grave; "never" judges nothing.
        gate: what else must hold when training ends, arguments of `vqdoctor.gate`, as ``{"min": {"usage.utilization": 0.9}}``.
        features: keep a sample of latents beside each checkpoint that the Trainer saves (`model.features.npy`).
        monitor: further arguments of `vqdoctor.Monitor` (quantizers, reservoir, tensorboard, …).

    Attributes:
        monitor: the `vqdoctor.Monitor` of the run, None before it. log_path: its log.

    Raises:
        vqdoctor.VqdoctorError: at once, where fail_on or gate name something that is not there; before the first step, where the
            model holds no quantiser; when training ends, where the gate fails.
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
        self._scalars: dict[str, float] = {}
        vqdoctor.gate(**self._asked)  # without a path only its settings are checked: not after a week of training

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """The monitor goes on before the first forward."""
        folder = Path(self.out or args.output_dir)
        self.log_path = folder if folder.suffix == ".jsonl" else folder / "log.jsonl"
        if self.monitor is not None:
            self.monitor.close()  # the run before died of an error, of which no callback is told
        self.monitor = vqdoctor.Monitor(model, folder, every=self.every, rank=args.process_index, **self._arguments)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """What the Trainer logs goes into the next report."""
        numbers = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float)}
        self._scalars |= {"lr" if name == "learning_rate" else name: value for name, value in numbers.items()}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """An optimiser step is done."""
        if self.monitor is not None:
            scalars, self._scalars = self._scalars, {}
            self.monitor.step(state.global_step, **scalars)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Latents beside the weights."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        saved = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
        if self.monitor is None or not self.features or saved is None or not state.is_world_process_zero:
            return
        try:
            self.monitor.save_features(saved)
        except (vqdoctor.VqdoctorError, OSError) as error:  # several quantisers, no reservoir, a full disk: no reason to stop
            warnings.warn(f"vqdoctor kept no latents beside {saved}: {error}", RuntimeWarning, stacklevel=2)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The log is closed, and gated where that was asked for."""
        if self.monitor is None:
            return
        self.monitor.close()
        self.monitor = None
        if args.process_index == 0 and self._asked["fail_on"] != "never":
            vqdoctor.gate(str(self.log_path), **self._asked).raise_for_failure()

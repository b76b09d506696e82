"""The state of one training run and what can be done with it: an epoch, a step, an evaluation, a checkpoint.

All chance comes from the run's seed and all time from the caller's clock. What happens is said through the log and a progress
callback. How a run goes from first to last is in `loop`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqdoctor.errors import UsageError
from vqdoctor.monitor.log import LogWriter
from vqdoctor.trainer import checkpoints, data, distributed, losses, models, schedules, vitals
from vqdoctor.trainer.quantizers import expansion
from vqdoctor.trainer.settings import Config
from vqdoctor.trainer.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: step of steps, its epoch, the latest vital signs of the worst level and losses."""

    step: int
    steps: int
    epoch: int
    values: Mapping[str, Any]


class Run:
    """One run. Attributes that change: `epoch`, `upkeep.step`, `scores` of kept checkpoints, `last` and `best` metrics, `waited`
    evaluations.
    """

    def __init__(self, config: Config, recipe: str, out: Path, clock: Callable[[], float]) -> None:
        self.config, self.recipe, self.out, self.clock = config, recipe, out, clock
        if not config.run.ranks_agree and config.revival.reset_threshold is not None:
            raise UsageError("ranks that do not agree would wait for each other at a reset", hint="Use --set reset_threshold=none.")
        torch.manual_seed(config.run.seed)
        self.rng = np.random.default_rng(config.run.seed)
        self.device = torch.device(config.run.device)
        self.dataset = data.load(config.data)
        self.rows = torch.as_tensor(self.dataset.rows, device=self.device)
        self.training_rows, self.validation_rows = self._split()
        self.model = models.build(config, self.dataset.shape).to(self.device)
        self.model.fit_inputs(self.rows[self.training_rows])
        if config.quantizer.codebooks:
            models.load_books(config.quantizer.codebooks, self.model.quantizer)
        for tensor in self.model.state_dict().values():
            distributed.from_first(tensor)
        self.optimizer = schedules.make_optimizer(config.optimizer, self.model.parameters())
        self._remember_writes()
        first = distributed.rank() == 0
        self.log = LogWriter(out / "log.jsonl" if first else None, run=recipe, config=config.nested(), clock=clock)
        self.upkeep = Upkeep(config, self.model, self.rng, self.log, clock)
        self.epoch = 0
        self.scores: dict[str, tuple[int, float]] = {}
        self.best: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.waited = 0

    @property
    def steps_an_epoch(self) -> int:
        """Steps of one pass: the last partial batch is left out unless it is the only one."""
        return max(1, len(self.training_rows) // (self.config.run.batch_size * distributed.world()))

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_an_epoch * self.config.run.epochs

    def _split(self) -> tuple[Tensor, Tensor]:
        """Numbers of the training rows and of the validation rows; with val_ratio 0 all rows are both."""
        order = np.random.default_rng(self.config.run.seed).permutation(len(self.rows))
        held = round(self.config.data.val_ratio * len(order))
        return torch.as_tensor(np.sort(order[held:])), torch.as_tensor(np.sort(order[:held] if held else order))

    def _remember_writes(self) -> None:
        """Let the optimiser's memory of a book follow whatever is written into it."""
        for level in self.model.quantizer.books():
            level.pools_ranks = self.config.run.ranks_agree
            if level.learns:
                level.after_write = partial(schedules.forget_rows, self.optimizer, level.codebook)
                level.after_resize = partial(schedules.grow_rows, self.optimizer, level.codebook)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """The epoch's batches (rows of this rank), in an order that depends on seed and epoch alone."""
        order = np.random.default_rng([self.config.run.seed, epoch]).permutation(len(self.training_rows))
        size, world = self.config.run.batch_size, distributed.world()
        for i in range(self.steps_an_epoch):
            start = (i * world + distributed.rank()) * size
            yield self.rows[self.training_rows[order[start : start + size]]]

    def step(self, inputs: Tensor) -> dict[str, Tensor]:
        """One optimiser step on inputs (N, *shape): the terms of the loss, and the codes under "codes" where it quantised."""
        now = self.upkeep.step / self.steps_an_epoch
        rate = schedules.rate(self.config.optimizer, now, self.config.run.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms = self._forward(inputs)
        codes = terms.pop("codes", None)
        width = self.model.quantizer.levels[0].codebook.shape[1]
        beta = losses.commitment_now(self.config.loss, now)
        loss = losses.total(self.config, terms, beta=beta, values=inputs[0].numel(), width=width, usual=self.usual_error)
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.run.ranks_agree:
            distributed.average_gradients(p for group in self.optimizer.param_groups for p in group["params"])
        if self.config.optimizer.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip)
        self.optimizer.step()
        self.upkeep.step += 1
        found = {name: term.detach() for name, term in terms.items()} | {"loss": loss.detach(), "lr": torch.tensor(rate)}
        return found if codes is None else found | {"codes": codes}

    def _forward(self, inputs: Tensor) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.optimizer.amp):
            latents = self.model.encode(inputs)
        latents = latents.float()  # the quantiser works in full precision whatever the encoder did
        self.upkeep.collect(latents)
        terms: dict[str, Tensor] = {}
        if self.config.loss.uniformity_weight:
            terms["uniformity"] = losses.uniformity(latents, self.config.loss.uniformity_sharpness)
        values = latents
        if self.upkeep.quantises:
            values, terms["codes"], parts = self.model.quantizer(latents)
            terms |= parts
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.optimizer.amp):
            outputs = self.model.decode(values)
        terms["reconstruction"] = losses.reconstruction(self.config, outputs.float(), inputs)
        return terms

    @cached_property
    def usual_error(self) -> float:
        """Reconstruction error of always answering the mean training row; 1 where every row is that."""
        rows = self.rows[self.training_rows]
        return float(losses.reconstruction(self.config, rows.mean(0).expand_as(rows), rows)) or 1.0

    def train_epoch(self, progress: Callable[[Progress], None], stop: Callable[[], bool]) -> bool:
        """The rest of the current epoch; True where `stop` asked to end before it was over."""
        done = self.upkeep.step - self.epoch * self.steps_an_epoch
        self.model.train()
        for i, inputs in enumerate(self.batches(self.epoch)):
            if i < done:
                continue
            if i == 0:
                self.upkeep.start_epoch(self.epoch, partial(self.latents, first=inputs))
            found = self.step(inputs)
            self.upkeep.end_step()
            if self.upkeep.step % self.config.run.log_every == 0:
                progress(Progress(self.upkeep.step, self.steps, self.epoch, self._tell(found)))
            if distributed.decided(stop()):
                return True
        self.epoch += 1
        return False

    @torch.no_grad()
    def latents(self, rows: int | None, first: Tensor | None = None) -> Tensor:
        """Latents of so many training rows, or of `first`, the step's own batch; under several ranks of this rank's share."""
        if rows is None and first is not None:
            return self.model.encode(first)
        picked = self.rng.permutation(len(self.training_rows))[:rows][distributed.rank() :: distributed.world()]
        return vitals.encode_all(self.model, self.rows[self.training_rows[picked]])[0]

    def codes(self) -> np.ndarray:
        """The nearest codes (M, L) of all rows."""
        return vitals.encode_all(self.model, self.rows)[1].cpu().numpy()

    def _tell(self, found: dict[str, Tensor]) -> dict[str, Any]:
        step, codes = self.upkeep.step, found.pop("codes", None)
        scalars = {
            "loss" if name == "loss" else "lr" if name == "lr" else f"loss.{name}": float(value) for name, value in found.items()
        }
        self.log.scalars(step, scalars)
        shown: dict[str, Any] = dict(scalars)
        if codes is not None:
            for i, (level, column) in enumerate(zip(self.model.quantizer.levels, codes.T, strict=True)):
                values = vitals.of_step(level, column, self.config)
                self.log.metrics(step, values, level=i)
                shown |= {name: value for name, value in values.items() if i == 0}
        return shown

    def evaluate(self) -> tuple[dict[str, Any], Tensor]:
        """Metrics over all rows and the validation loss, written to the log; and the latents (M, D)."""
        latents, codes = vitals.encode_all(self.model, self.rows)
        per_row = len(codes) // len(self.rows)  # an image has many positions
        held = (self.validation_rows[:, None] * per_row + torch.arange(per_row)).flatten()
        levels = self._measure_levels(codes[held.to(codes.device)].cpu().numpy())
        result = vitals.worst(levels) | {"loss": self._validation_loss(), "epoch": self.epoch}
        if per_row == 1:
            together = vitals.of_identifiers(codes.cpu().numpy(), self.sizes, self.distinct_rows)
            self.log.metrics(self.upkeep.step, together)
            result |= together
        self.log.scalars(self.upkeep.step, {"loss.validation": result["loss"]})
        self._compare_ranks()
        return result, latents

    @property
    def sizes(self) -> tuple[int, ...]:
        """K of each level as it is now."""
        return tuple(len(level.codebook) for level in self.model.quantizer.levels)

    @cached_property
    def distinct_rows(self) -> int:
        """Different rows of the data: more different IDs there cannot be."""
        return len(np.unique(self.dataset.rows.reshape(len(self.rows), -1), axis=0))

    def _measure_levels(self, codes: np.ndarray) -> list[dict[str, Any]]:
        """usage.* of codes (n, L) and ema.* of each level, logged."""
        found = vitals.of_codes(codes, self.sizes)
        for i, (level, values) in enumerate(zip(self.model.quantizer.levels, found, strict=True)):
            values |= vitals.of_counts(level, self.config)
            self.log.metrics(self.upkeep.step, values, level=i)
            self.log.usage(self.upkeep.step, np.bincount(codes[:, i], minlength=self.sizes[i]), level=i)
        return found

    def _compare_ranks(self) -> None:
        """Log the hash of each level's book on each rank; they must be equal."""
        for i, level in enumerate(self.model.quantizer.levels):
            for rank, digest in enumerate(distributed.digests(level.codebook)):
                self.log.event(self.upkeep.step, "digest", {"level": i, "rank": rank, "hash": digest})

    @torch.no_grad()
    def _validation_loss(self) -> float:
        """Reconstruction error on the validation rows through nearest codes, or without them during the warm-up."""
        self.model.eval()
        total = 0.0
        for part in self.validation_rows.split(4096):
            inputs = self.rows[part]
            latents = self.model.encode(inputs)
            values = self.model.quantizer(latents).values if self.upkeep.quantises else latents
            total += float(losses.reconstruction(self.config, self.model.decode(values), inputs)) * len(part)
        self.model.train()
        return total / len(self.validation_rows)

    def score(self, found: Mapping[str, Any]) -> float:
        """The selection metric, smaller is better; infinite where it is undefined or was measured before anything was quantised."""
        value = found.get(self.config.run.select)
        if self.unquantised(found) or not isinstance(value, (int, float)) or math.isnan(value):
            return math.inf
        return -value if self.config.run.select.startswith("usage.") else value

    def unquantised(self, found: Mapping[str, Any]) -> bool:
        """Whether an evaluation fell into the warm-up, in which latents pass as they are: its loss compares with no later one."""
        return found["epoch"] * self.steps_an_epoch < self.config.reinit.warmup_steps

    def checkpoint(self) -> dict[str, Any]:
        """Everything that resuming needs, in tensors and plain values."""
        reservoir = self.upkeep.reservoir.state()
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "config": self.config.nested(),
            "step": self.upkeep.step, "epoch": self.epoch, "vqdoctor": checkpoints.about(self.config, self.recipe),
            "resume": {
                "torch": torch.get_rng_state(), "numpy": json.dumps(self.rng.bit_generator.state),
                "reservoir": torch.as_tensor(reservoir["rows"]), "seen": reservoir["seen"], "best": self.best, "last": self.last,
                "scores": {name: list(value) for name, value in self.scores.items()}, "waited": self.waited,
                "revived": self.upkeep.revived,
            },
        }  # fmt: skip

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take over a `checkpoint`, as if the run had never stopped."""
        state, resume = content["model"], content["resume"]
        for i, level in enumerate(self.model.quantizer.levels):
            book = state[f"quantizer.layers.{i}.codebook"]
            if len(book) != len(level.codebook):  # it was expanded
                expansion.resize(level, book.to(self.device))
        self.model.load_state_dict(state)
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(resume["torch"])
        self.rng.bit_generator.state = json.loads(resume["numpy"])
        self.upkeep.reservoir.restore({"seen": resume["seen"], "rows": resume["reservoir"].numpy()})
        self.upkeep.step, self.epoch, self.upkeep.revived = content["step"], content["epoch"], resume["revived"]
        self.scores = {name: (epoch, score) for name, (epoch, score) in resume["scores"].items()}
        self.best, self.last, self.waited = resume["best"], resume["last"], resume["waited"]

"""When codebooks are started, re-estimated, revived and doubled: the schedule, and a log line for each time it happened or was
skipped.

What each does is in `quantizers`; here is only when, on which rows, and what is written about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqdoctor.errors import UsageError
from vqdoctor.monitor.log import LogWriter
from vqdoctor.samples.reservoir import Reservoir
from vqdoctor.trainer.distributed import gathered
from vqdoctor.trainer.models import Autoencoder
from vqdoctor.trainer.quantizers import expansion, reinit, reset
from vqdoctor.trainer.settings import Config


class Upkeep:
    """Keeps the books of one model.

    Args:
        clock: seconds, for how long a re-estimation took.
    """

    def __init__(
        self, config: Config, model: Autoencoder, rng: np.random.Generator, log: LogWriter, clock: Callable[[], float]
    ) -> None:
        settings = config.reinit
        if settings.reinit_interval is not None and settings.reservoir_size < max(config.sizes):
            raise UsageError(
                f"reservoir_size {settings.reservoir_size} is smaller than the {max(config.sizes)} codes: k-means could never run",
                hint=f"Use at least {2 * max(config.sizes)}.",
            )
        self.config, self.model, self.rng, self.log, self.clock = config, model, rng, log, clock
        self.reservoir = Reservoir(settings.reservoir_size, rng)
        self.step = 0
        self.revived = 0

    @property
    def quantises(self) -> bool:
        """False during the warm-up, when latents pass as they are."""
        return self.step >= self.config.reinit.warmup_steps

    def collect(self, latents: Tensor) -> None:
        """Take a step's latents (N, D) into the reservoir while re-estimations are still to come."""
        settings = self.config.reinit
        if settings.reinit_interval is None or (settings.reinit_stop is not None and self.step >= settings.reinit_stop):
            return
        self.reservoir.add(gathered(latents.detach()).cpu().numpy())

    def start_epoch(self, epoch: int, latents: Callable[[int | None], Tensor]) -> None:
        """What is due at an epoch's first step. latents: gives that many encoded training rows, None: those of the first batch."""
        if epoch == self.config.reinit.kmeans_epoch:
            self._start(latents(self.config.reinit.kmeans_rows))
        self._reset_lowest(epoch, latents)
        self._expand(epoch, latents)

    def end_step(self) -> None:
        """What is due after `self.step` steps."""
        self._revive_starving()
        if reinit.due(self.config.reinit, self.step):
            self._reestimate()
        every = self.config.run.log_every
        if self.revived and self.step % every == 0:
            self.log.event(self.step, "dead-reset", {"codes": self.revived, "steps": every})
            self.revived = 0

    def _start(self, rows: Tensor) -> None:
        began = self.clock()
        rows = gathered(rows)
        for level, report in enumerate(reinit.start(self.model.quantizer, rows, self.config.reinit, self.rng)):
            self._tell(level, report, began)

    def _reestimate(self) -> None:
        began = self.clock()
        rows = torch.as_tensor(self.reservoir.rows(), device=next(self.model.quantizer.buffers()).device)
        for level, report in enumerate(reinit.reestimate(self.model.quantizer, rows, self.config.reinit, self.rng)):
            self._tell(level, report, began)
        self.reservoir.clear()

    def _tell(self, level: int, report: dict[str, Any], began: float) -> None:
        event = "skipped" if "reason" in report else "kmeans-reinit"
        self.log.event(self.step, event, {"level": level, "seconds": round(self.clock() - began, 3), **report})

    def _revive_starving(self) -> None:
        settings = self.config.revival
        if settings.reset_threshold is None or self.step % settings.reset_interval:
            return
        for level, rows in self.model.quantizer.seen:
            codes = reset.starving(level, settings)
            self.revived += reset.revive(level, codes, rows, self.rng, undone=settings.revival == "undone")

    def _reset_lowest(self, epoch: int, latents: Callable[[int | None], Tensor]) -> None:
        settings = self.config.revival
        if not settings.lowest_share or not epoch or epoch % settings.lowest_interval:
            return
        for i, (level, rows) in enumerate(self.model.quantizer.residuals(latents(None))):
            done = reset.revive(level, reset.lowest(level, settings.lowest_share), rows, self.rng)
            self.log.event(self.step, "dead-reset", {"level": i, "codes": done, "lowest_share": settings.lowest_share})

    def _expand(self, epoch: int, latents: Callable[[int | None], Tensor]) -> None:
        settings = self.config.expansion
        if settings.expansion_interval is None or not epoch or epoch % settings.expansion_interval:
            return
        for i, (level, rows) in enumerate(self.model.quantizer.residuals(latents(self.config.reinit.reservoir_size))):
            report = expansion.double(level, rows, settings, self.rng)
            self.log.event(
                self.step, "skipped" if "reason" in report else "expanded", {"level": i, "action": "expansion", **report}
            )

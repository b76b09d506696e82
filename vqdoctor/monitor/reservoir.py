"""A uniform sample of the rows that a quantiser is given, kept on their own device.

Which rows are kept is drawn on the host, where the number of rows is known without asking the device; so a step costs a small
copy and never a wait. The logic is that of `vqdoctor.samples.reservoir`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vqdoctor.samples.reservoir import Slots


class DeviceReservoir:
    """At most `size` rows (…, D) of a stream of tensors, each with the same probability.

    Args:
        rng: where the draws come from: torch's own generators stay untouched, so that a watched run is the same run.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._slots = Slots(size, rng)
        self._rows: Tensor | None = None

    @property
    def seen(self) -> int:
        """Rows added so far."""
        return self._slots.seen

    @property
    def held(self) -> int:
        """Rows kept."""
        return self._slots.held

    @torch.no_grad()
    def add(self, rows: Tensor) -> None:
        """The next rows, (n, D), on any device; of another width or device than before, the sample starts over."""
        if self._rows is None or self._rows.shape[1:] != rows.shape[1:] or self._rows.device != rows.device:
            self._slots = Slots(self._size, self._rng)
            self._rows = rows.new_empty((self._size, *rows.shape[1:]))
        kept, slots = (self._to(rows.device, places) for places in self._slots.take(len(rows)))
        if len(kept):
            self._rows.index_copy_(0, slots, rows.detach().index_select(0, kept).to(self._rows.dtype))

    def rows(self) -> np.ndarray:
        """What is held, (m, D) float32; waits for the device."""
        if self._rows is None:
            return np.zeros((0, 0), dtype=np.float32)
        return self._rows[: self.held].float().cpu().numpy().copy()

    @staticmethod
    def _to(device: torch.device, places: np.ndarray) -> Tensor:
        return torch.from_numpy(places).to(device, non_blocking=True)

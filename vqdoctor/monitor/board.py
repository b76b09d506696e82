"""The same numbers for TensorBoard, where its package is installed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any


class Board:
    """Scalars as TensorBoard events; does nothing, with one warning, where the package is missing."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warnings.warn("the package tensorboard is not installed: only the log is written", RuntimeWarning, stacklevel=2)
            return
        self._writer = SummaryWriter(str(folder))

    def add(self, step: int, values: Mapping[str, Any], before: str = "") -> None:
        """The numbers among `values`, each under its name behind `before`."""
        for name, value in values.items() if self._writer is not None else ():
            if isinstance(value, int | float):
                self._writer.add_scalar(before + name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()

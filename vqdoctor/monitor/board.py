"""The same numbers for TensorBoard, where its package is installed."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping
from typing import Any

from vqdoctor.logs.readers import ECHO


class Board:
    """Scalars as TensorBoard events; nothing, with one warning, where its package cannot be loaded: a run goes on without.

    Args:
        folder: where the event file goes. Its name says that it repeats a log, so that `watch` does not take it for another run.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = str(folder)
        self._writer: Any = None
        self._tried = False

    def add(self, step: int, values: Mapping[str, Any], before: str = "") -> None:
        """The numbers among `values`, each under its name behind `before`."""
        for name, value in values.items() if self._opened() else ():
            if isinstance(value, int | float):
                self._writer.add_scalar(before + name, value, step)

    def close(self) -> None:
        """Write what is buffered; a later number begins another file."""
        if self._writer is not None:
            self._writer.close()
            self._writer, self._tried = None, False

    def _opened(self) -> bool:
        if not self._tried:
            self._tried = True
            try:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(self._folder, filename_suffix=ECHO)
            except Exception as error:  # a package at odds with its own parts may raise anything
                text = f"nothing is written for TensorBoard, only the log: {type(error).__name__}: {error}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
        return self._writer is not None


def board(folder: str | os.PathLike[str], wanted: bool | None) -> Board | None:
    """For `folder` where it is `wanted`; None asks whether the package is installed, without loading it."""
    if wanted is None:
        wanted = importlib.util.find_spec("tensorboard") is not None
    return Board(folder) if wanted else None

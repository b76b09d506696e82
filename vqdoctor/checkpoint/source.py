"""The one `TensorSource` of this room: specs and extents, however they were found. The readers of containers only fill it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from vqdoctor.checkpoint.extents import Extent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.values import fits, read_tensor
from vqdoctor.errors import CorruptInput, VqdoctorError, printable
from vqdoctor.model import TensorSpec


class CheckpointSource:
    """An opened checkpoint; see `vqdoctor.model.TensorSource`. Also a context manager that closes itself.

    Tensors whose bytes are missing are listed, with a warning, and refused when read: the others of a cut file stay readable.

    Raises:
        LimitExceeded: names that no model has; whoever looks at them takes time and memory with more than their length.
    """

    def __init__(
        self,
        files: Iterable[RegularFile],
        kind: str,
        specs: Mapping[str, TensorSpec],
        extents: Mapping[str, Extent],
        limits: Limits,
        *,
        path: str | None = None,
        info: Mapping[str, Any] | None = None,
        tree: Any = None,
        warnings: Iterable[str] = (),
    ) -> None:
        limits.check("name_characters", sum(map(len, specs)))
        limits.check("path_characters", max(map(len, specs), default=0))
        self._files = list(files)
        self._extents = extents
        self._limits = limits
        self.path = self._files[0].path if path is None else path
        self.kind = kind
        self.bytes = sum(file.bytes for file in self._files)
        self.specs = specs
        self.info: Mapping[str, Any] = info or {}
        self.tree = tree
        self.warnings: tuple[str, ...] = (*warnings, *self._missing())  # grows where reading shows damage

    @property
    def extents(self) -> Mapping[str, Extent]:
        """Where each storage's bytes are, by the id that specs use."""
        return self._extents

    @property
    def files(self) -> tuple[RegularFile, ...]:
        """The open files."""
        return tuple(self._files)

    def _missing(self) -> list[str]:
        lost = [name for name, spec in self.specs.items() if not self._is_there(spec)]
        if not lost:
            return []
        return [f"The bytes of {len(lost):,} of {len(self.specs):,} tensors are not all in the file (first: {printable(lost[0])})."]

    def _is_there(self, spec: TensorSpec) -> bool:
        extent = self._extents.get(spec.storage)
        return extent is not None and fits(spec, extent)

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """The tensor's values, or rows start:stop of its first axis. See `TensorSource.read`."""
        spec = self.specs[name]
        extent = self._extents.get(spec.storage)
        try:
            if extent is None:
                raise CorruptInput("the file does not hold its bytes.")
            values = read_tensor(spec, extent, self._limits, start, stop)
        except VqdoctorError as error:
            error.where = f"{self.path}, tensor {printable(name)}"
            raise
        if extent.damaged:
            self._warn(f"Tensor {printable(name)} differs from its checksum: the file is damaged, or was saved with checksums off.")
        return values

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings = (*self.warnings, warning)

    def close(self) -> None:
        """Gives back the file handles."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""The log `vqdoctor.log/1`: JSON lines that only grow, so that a crash costs at most the line being written.

It lives with the monitor because any training loop may write one; the bundled trainer is one such loop. Reading is the business
of `logs`. Source of the format: the contract, §7.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import orjson

SCHEMA = "vqdoctor.log/1"


class LogWriter:
    """Appends to one log; every line is flushed as it is written.

    Args:
        path: file to append to; the run line is written only where the file is new or empty.
        run: name of the run. config: plain values, kept in the run line. clock: seconds since the epoch, for `time`.

    A writer with ``path=None`` writes nothing: what ranks other than the first hold.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, run: str, config: Mapping[str, Any], clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._file: BinaryIO | None = None
        if path is None:
            return
        self._file = open(path, "a+b")  # noqa: SIM115  (closed by close(): a run is longer than a block)
        if self._file.tell() == 0:
            self._write({"schema": SCHEMA, "kind": "run", "time": clock(), "run": run, "config": dict(config)})
            return
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) != b"\n":  # a crash cut the last line off; what comes now is no part of it
            self._file.write(b"\n")

    def metrics(self, step: int, values: Mapping[str, Any], *, quantizer: str = "quantizer", level: int = 0) -> None:
        """Codebook metrics of one level, by contract name; an undefined value is None."""
        self._write(
            {
                "kind": "metrics",
                "step": step,
                "time": self._clock(),
                "quantizer": quantizer,
                "level": level,
                "values": plain(values),
            }
        )

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Losses, the learning rate and whatever else has no codebook."""
        self._write({"kind": "scalars", "step": step, "time": self._clock(), "values": plain(values)})

    def usage(self, step: int, counts: np.ndarray, *, quantizer: str = "quantizer", level: int = 0) -> None:
        """Hits a code, (K,) integers, stored sparse."""
        used = np.flatnonzero(counts)
        pairs = [[int(code), int(counts[code])] for code in used]
        self._write({"kind": "usage", "step": step, "quantizer": quantizer, "level": level, "codes": len(counts), "counts": pairs})

    def event(self, step: int, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Something that happened once: kmeans-reinit, dead-reset, skipped, expanded, digest, checkpoint, end."""
        self._write({"kind": "event", "step": step, "time": self._clock(), "event": event, "detail": plain(detail or {})})

    def close(self) -> None:
        """Close the file; writing again is an error of the caller."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        self._file.write(orjson.dumps(line, default=_told, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS) + b"\n")
        self._file.flush()


def _told(value: Any) -> Any:
    """What an event or a configuration may hold beside plain values: tensors as lists of numbers, anything else as its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with non-finite numbers as text ("nan", "inf", "-inf"): JSON has no word for them, and None means undefined.

    Example:
        >>> plain({"loss": float("nan"), "usage.used": None})
        {'loss': 'nan', 'usage.used': None}
    """
    return {name: str(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()}

"""A log reader for vqdoctor: the run files that Weights & Biases writes (`wandb/offline-run-…/run-….wandb`), read as they grow.

Nothing of the wandb package is needed, and nothing leaves the machine. What `run.log` was given becomes series, the run's settings
and its end become events; media, tables, console output and system statistics are passed over.
"""

from __future__ import annotations

import math
import struct
from typing import Any, ClassVar

from vqdoctor.logs import Faults, Found, Gatherer
from vqdoctor.model import Event, SeriesKey
from vqdoctor_wandb import messages
from vqdoctor_wandb.records import HEADER, Records

__all__ = ["RunFile"]

OWN = ("_step", "_timestamp", "_runtime", "_wandb")


class RunFile:
    """See `vqdoctor.logs.Reader`."""

    name: ClassVar[str] = "wandb"
    by_lines: ClassVar[bool] = False

    def __init__(self) -> None:
        self.faults = Faults()
        self._records = Records(self.faults)
        self._gather = Gatherer()
        self._row = 0
        self._step = 0.0

    @property
    def held(self) -> int:
        """Bytes of a record still being written."""
        return self._records.held

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """Whether a file begins as a run file does."""
        return head.startswith(HEADER)

    @classmethod
    def owns(cls, name: str) -> bool:
        """Whether a file of a folder is a run file."""
        return name.startswith("run-") and name.endswith(".wandb")

    def feed(self, data: bytes) -> list[Found]:
        """Points and events of the records that `data` completes."""
        events: list[Found] = []
        for record in self._records.feed(data):
            try:
                for number, content in messages.fields(record):
                    if isinstance(content, bytes):
                        events += self._taken(number, content)
            except (ValueError, struct.error):
                self.faults.add("record")
        return [*events, *self._gather.take()]

    def finish(self) -> list[Found]:
        """Nothing: a record that is cut off holds no number."""
        return []

    def _taken(self, number: int, content: bytes) -> list[Event]:
        if number == messages.HISTORY:
            self._history(content)
        elif number == messages.RUN:
            return [Event("run", None, _described(content))]
        elif number == messages.EXIT:
            code = next(
                (messages.signed(value) for field, value in messages.fields(content) if field == 1 and isinstance(value, int)), 0
            )
            return [Event("end", self._step, {"reason": "error" if code else "finished", "exit": code})]
        return []

    def _history(self, content: bytes) -> None:
        """One call of `run.log`: its numbers, at its step."""
        values: dict[str, Any] = {}
        step: float | None = None
        for field, value in messages.fields(content):
            if field == messages.ITEM and isinstance(value, bytes):
                name, found = messages.named_value(value)
                values[name] = found
            elif field == messages.STEP and isinstance(value, bytes):
                step = next(
                    (float(messages.signed(each)) for part, each in messages.fields(value) if part == 1 and isinstance(each, int)),
                    0.0,
                )
        said = values.get("_step", step)
        self._step = float(said) if _is_number(said) else self._step
        time = float(values["_timestamp"]) if _is_number(values.get("_timestamp")) else math.nan
        for name, value in values.items():
            if name not in OWN and _is_number(value):
                self._gather.one(SeriesKey(name), self._row, self._step, float(value), time)
        self._row += 1


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 1 << 1000  # a larger one is no float
    return isinstance(value, float)


def _described(content: bytes) -> dict[str, Any]:
    """Name and settings of a run."""
    name, config = "", {}
    for field, value in messages.fields(content):
        if field == messages.NAME and isinstance(value, bytes):
            name = value.decode("utf-8", "replace")
        elif field == messages.CONFIG and isinstance(value, bytes):
            items = [each for part, each in messages.fields(value) if part == messages.UPDATE and isinstance(each, bytes)]
            config |= dict(map(messages.named_value, items))
    return {"run": name, "config": {key: value for key, value in config.items() if key not in OWN}}

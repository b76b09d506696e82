"""A watch as a file: what came from the logs, and when, so that it can be seen again at any speed, elsewhere, without the files.

`vqdoctor.recording/1`, a JSON object a line: the bytes of the logs as they came ("log"), what was measured in checkpoints
("found"), states of runs ("state"), each with the seconds since the beginning. The paths in it are names only: nothing is opened
by them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, get_args

import numpy as np

from vqdoctor.app.watching.run import Condition
from vqdoctor.errors import UnsupportedInput
from vqdoctor.json_text import dumped, loaded
from vqdoctor.logs import Chunk, Found, Run, Runs, State
from vqdoctor.logs.store import Budget
from vqdoctor.model import Event, Points, SeriesKey

SCHEMA = "vqdoctor.recording/1"
SOURCE = "checkpoints"
"""What a run keeps the points of checkpoints under, behind its own path."""
LONGEST = 1 << 26  # bytes of a line
STARTS = ("", "new", "rotated", "restarted")
STATES = get_args(State)


class Tape:
    """Writes a recording. file: opened for bytes. clock: seconds.

    Raises:
        OSError: (by every method) it cannot be written.
    """

    def __init__(self, file: IO[bytes], clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._begun = clock()
        self._states: dict[str, str] = {}
        self._write({"schema": SCHEMA, "time": self._begun})

    def took(self, chunks: Iterable[Chunk], states: Mapping[str, str]) -> None:
        """Bytes that came from logs, and how the runs are doing after them."""
        for chunk in chunks:
            data = base64.b64encode(chunk.data).decode()
            self._write({"at": self._at(), "kind": "log", "path": chunk.path, "start": chunk.start, "data": data})
        for path, state in states.items():
            if self._states.get(path) != state:
                self._states[path] = state
                self._write({"at": self._at(), "kind": "state", "run": path, "state": state})

    def found(self, run: str, found: Iterable[Found]) -> None:
        """Points and events from a checkpoint."""
        self._write({"at": self._at(), "kind": "found", "run": run, "found": [_plain(one) for one in found]})

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _at(self) -> float:
        return round(self._clock() - self._begun, 3)

    def _write(self, row: Mapping[str, Any]) -> None:
        self._file.write(dumped(row, default=str) + b"\n")
        self._file.flush()


class Replay:
    """A recording as a source: see `source.Source`.

    Args:
        path: of the recording. speed: how many times as fast. clock: seconds. bindings: see `WatchRequest`.

    Raises:
        UnsupportedInput: it is no recording. OSError: it cannot be read.
    """

    def __init__(
        self, path: str, speed: float, clock: Callable[[], float], bindings: Mapping[str, str], budget: Budget | None = None
    ) -> None:
        self.path = path
        self.missing = False
        self.failures: dict[str, str] = {}
        self._speed, self._clock = speed, clock
        self._file = open(path, "rb")  # noqa: SIM115 - read as time goes by, closed by `close`
        head = _parsed(self._file.readline(LONGEST))
        if head.get("schema") != SCHEMA:
            self._file.close()
            raise UnsupportedInput(
                "this is no recording of a watch.", where=path, hint="vqdoctor watch PATH --record FILE makes one."
            )
        self._runs = Runs(bindings=bindings, budget=budget)
        self._states: dict[str, str] = {}
        self._grew: dict[str, float] = {}
        self._begun = clock()
        self._next = self._read()

    @property
    def behind(self) -> int:
        """Bytes of what is due."""
        data = self._next.get("data") if self._next and self._due() else None
        return len(data) + 1 if isinstance(data, str) else int(self._next is not None and self._due())

    @property
    def over(self) -> bool:
        """Whether it has been seen to its end."""
        return self._next is None

    def poll(self, budget: int) -> set[str]:
        """Let happen what is due."""
        changed: set[str] = set()
        while self._next is not None and self._due() and budget > 0:
            try:
                budget -= len(self._next.get("data", ""))
                changed |= self._happen(self._next)
                self._next = self._read()
            except (KeyError, TypeError, ValueError):  # not a line that a recording has
                self._next = None
        if self._next is None:
            changed |= {path for path, state in self._states.items() if state not in ("ended", "failed")}
            self._states.update(dict.fromkeys(changed, "ended"))
        return changed

    def runs(self) -> Sequence[Run]:
        """All runs so far."""
        return list(self._runs.by_path.values())

    def condition(self, run: Run) -> Condition:
        """As it was when it was recorded; over at the end of the recording."""
        now = self._clock()
        silence = max(0.0, (now - self._grew.get(run.path, now)) * min(self._speed, 1e9))
        return Condition(self._states.get(run.path, "ended" if self.over else "live"), silence=silence)

    def modified(self, run: Run) -> float:
        """When it last grew."""
        return self._grew.get(run.path, 0.0)

    def end(self, path: str, outcome: State = "ended") -> None:
        """Nothing: the states are in the recording."""

    def finish(self) -> None:
        """All that was recorded, whatever its time."""
        self._speed = float("inf")
        while self._next is not None:
            self.poll(LONGEST)
        self.poll(LONGEST)
        for run in self.runs():
            run.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _due(self) -> bool:
        whole = self._speed == float("inf")
        return self._next is not None and (whole or self._next["at"] <= (self._clock() - self._begun) * self._speed)

    def _read(self) -> dict[str, Any] | None:
        """The next line that says something; None at the end, or where the file is broken."""
        row = _parsed(self._file.readline(LONGEST))
        return row if isinstance(row.get("at"), int | float) else None

    def _happen(self, row: Mapping[str, Any]) -> set[str]:
        if row.get("kind") == "log":
            start = row.get("start")
            chunk = Chunk(str(row["path"]), base64.b64decode(str(row["data"])), start if start in STARTS else "")
            changed = {run.path for run in self._runs.take([chunk], self)}
        elif row.get("kind") == "found":
            run = self._runs.at(str(row["run"]))
            run.add(os.path.join(run.path, SOURCE), [one for each in row["found"] if (one := _found(each)) is not None])
            changed = {run.path}
        else:
            if row.get("state") in STATES:
                self._states[str(row.get("run"))] = row["state"]
            return set()
        self._grew.update(dict.fromkeys(changed, self._clock()))
        return changed


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        row = loaded(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _plain(found: Found) -> dict[str, Any]:
    if isinstance(found, Event):
        return {"event": found.kind, "step": found.step, "time": found.time, "detail": dict(found.detail)}
    key = found.key
    place = {"name": key.name, "quantizer": key.quantizer, "level": key.level, "scope": key.scope}
    return place | {"steps": found.steps, "values": found.values, "times": found.times}


def _found(row: Mapping[str, Any]) -> Found | None:
    """What `_plain` made; None where it is something else."""
    if "event" in row:
        detail, step, time = row.get("detail"), _number(row.get("step")), _number(row.get("time"))
        return Event(str(row["event"]), step, detail if isinstance(detail, dict) else {}, time)
    columns = [np.array([np.nan if x is None else x for x in row[name]], float) for name in ("steps", "values", "times")]
    level = row.get("level") if type(row.get("level")) is int else None
    if len({len(column) for column in columns}) > 1 or not isinstance(row.get("name"), str):
        return None
    return Points(SeriesKey(row["name"], _word(row.get("quantizer")), level, _word(row.get("scope"))), *columns)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None

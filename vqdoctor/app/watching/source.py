"""Where a watch gets its runs from: the logs at one path. A recording is another source of the same shape (`recording`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from vqdoctor.app.watching.arrivals import Arrivals
from vqdoctor.app.watching.checkpoints import Looked, look_at
from vqdoctor.app.watching.placing import Placing
from vqdoctor.app.watching.recording import Tape
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.run import Condition
from vqdoctor.logs import Follower, Run, Runs, looks_like_log
from vqdoctor.logs.follow import LONG_AGO
from vqdoctor.logs.store import Budget

ORDER = ("failed", "lagging", "live", "stalled", "waiting", "ended")
"""Of the states of a run's several logs, the first of these that any has."""


class Source(Protocol):
    """Runs, and how their logs are doing.

    Attributes:
        path: what the user named. missing: nothing is there yet. behind: bytes there are to read.
        failures: why a log cannot be read, by path.
    """

    path: str

    @property
    def missing(self) -> bool: ...

    @property
    def behind(self) -> int: ...

    @property
    def failures(self) -> dict[str, str]: ...

    def poll(self, budget: int) -> set[str]:
        """Take what is new, about `budget` bytes; paths of the runs that changed."""
        ...

    def runs(self) -> Sequence[Run]:
        """All runs, in any order."""
        ...

    def condition(self, run: Run) -> Condition:
        """How its logs are doing."""
        ...

    def modified(self, run: Run) -> float:
        """When it last changed, seconds since the epoch."""
        ...

    def finish(self) -> None:
        """No more will come: what is left becomes points."""
        ...

    def close(self) -> None:
        """Let go of all files."""
        ...


class LogSource:
    """The logs at one path.

    Args:
        path: a log or a folder. request: see `WatchRequest`. clock: seconds since the epoch. budget: of points, for all sources.
        tape: what comes is recorded on it.
    """

    def __init__(
        self, path: str, request: WatchRequest, clock: Callable[[], float], budget: Budget, tape: Tape | None = None
    ) -> None:
        self.path = path
        self._tape = tape
        self._clock = clock
        self._follower = Follower(path, wanted=looks_like_log, clock=clock)
        self._runs = Runs(bindings=request.bindings, budget=budget)
        self._arrivals = Arrivals(path, partial(look_at, rules=request.rules), clock) if request.checkpoints else None
        self._placing = Placing(path, self._runs, tape)

    @property
    def missing(self) -> bool:
        """Whether neither file nor folder is there."""
        return not os.path.exists(self.path)

    @property
    def behind(self) -> int:
        """Bytes there are to read."""
        return self._follower.behind

    @property
    def failures(self) -> dict[str, str]:
        """Why a log cannot be read, by path."""
        return self._follower.failures

    def poll(self, budget: int) -> set[str]:
        """Take what is new; paths of the runs that changed."""
        chunks = self._follower.poll(budget)
        changed = {run.path for run in self._runs.take(chunks, self._follower)}
        for path in self.failures:
            if os.path.isfile(path):
                self._runs.at(path)  # it cannot be read, and that is to be seen
        if self._tape is not None:
            self._tape.took(chunks, {run.path: self.condition(run).state for run in self.runs()})
        return changed | self._place(self._arrivals.poll() if self._arrivals else [])

    def runs(self) -> Sequence[Run]:
        """All runs; of a folder without the files whose name is a log's and that turned out to hold nothing of a run."""
        named = not os.path.isdir(self.path)
        return [run for run in self._runs.by_path.values() if named or run.path in self.failures or not _is_something_else(run)]

    def condition(self, run: Run) -> Condition:
        """How its logs are doing."""
        follower, logs = self._follower, self._logs(run)
        notes = [f"{os.path.basename(path)}: cannot be read ({why})" for path, why in self.failures.items() if path in logs]
        notes += self._placing.notes(self._arrivals.skipped) if self._arrivals else []
        if not logs:
            return self._condition_of_checkpoints(run, notes)
        states = {follower.state(path) for path in logs}
        silences = [silence for path in logs if (silence := follower.silence(path)) is not None]
        return Condition(
            state=next((state for state in ORDER if state in states), "waiting"),
            behind=sum(follower.behind_in(path) for path in logs),
            silence=min(silences, default=None),
            usual_gap=max((follower.usual_gap(path) for path in logs), default=0.0),
            notes=tuple(notes),
        )

    def modified(self, run: Run) -> float:
        """When it last changed."""
        tails = self._follower.tails
        of_logs = max((tails[path].modified or 0.0 for path in self._logs(run)), default=0.0)
        return of_logs or self._placing.modified.get(run.path, 0.0)

    def finish(self) -> None:
        """What is left becomes points, and checkpoints that are there are looked at."""
        for run in self._runs.by_path.values():
            run.finish()
        if self._arrivals:
            self._place(self._arrivals.finish())

    def close(self) -> None:
        """Let go of all files."""
        self._follower.close()
        if self._arrivals:
            self._arrivals.close()

    def _place(self, found: Iterable[Looked]) -> set[str]:
        return {path for looked in found if (path := self._placing.take(looked)) is not None}

    def _condition_of_checkpoints(self, run: Run, notes: list[str]) -> Condition:
        """Of a run that has no log: it goes on until nothing has come for as long as ends a log."""
        silence = max(0.0, self._clock() - self._placing.modified.get(run.path, 0.0))
        state = "ended" if silence > LONG_AGO else "live"
        return Condition(state, notes=tuple(notes))

    def _logs(self, run: Run) -> list[str]:
        return [path for path in (*run.logs, run.path) if path in self._follower.tails]


def _is_something_else(run: Run) -> bool:
    """Whether what was read of a file is neither a number, an event nor a fault: a table of items, say."""
    return bool(run.reader) and not run.keys and not run.events and not run.notes

"""Where a watch gets its runs from: the logs at one path. A recording is another source of the same shape (`recording`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.logs import Follower, Run, Runs, looks_like_log
from vqdoctor.logs.store import Budget

ORDER = ("failed", "lagging", "live", "stalled", "waiting", "ended")
"""Of the states of a run's several logs, the first of these that any has."""


class Source(Protocol):
    """Runs, and how their logs are doing.

    Attributes:
        path: what the user named. missing: nothing is there yet. behind: bytes there are to read.
    """

    path: str

    @property
    def missing(self) -> bool: ...

    @property
    def behind(self) -> int: ...

    def poll(self, budget: int) -> set[str]:
        """Take what is new, about `budget` bytes; paths of the runs that changed."""
        ...

    def runs(self) -> Sequence[Run]:
        """All runs, in any order."""
        ...

    def condition(self, run: Run) -> dict[str, Any]:
        """state, behind, silence, usual_gap and notes of a run, for `WatchedRun.look`."""
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
    """

    def __init__(self, path: str, request: WatchRequest, clock: Callable[[], float], budget: Budget) -> None:
        self.path = path
        self._follower = Follower(path, wanted=looks_like_log, clock=clock)
        self._runs = Runs(bindings=request.bindings, budget=budget)

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
        changed = {run.path for run in self._runs.take(self._follower.poll(budget), self._follower)}
        for path in self.failures:
            if os.path.isfile(path):
                self._runs.at(path)  # it cannot be read, and that is to be seen
        return changed

    def runs(self) -> Sequence[Run]:
        """All runs."""
        return list(self._runs.by_path.values())

    def condition(self, run: Run) -> dict[str, Any]:
        """See `Source.condition`."""
        follower, logs = self._follower, self._logs(run)
        states = {follower.state(path) for path in logs}
        silences = [silence for path in logs if (silence := follower.silence(path)) is not None]
        return {
            "state": next((state for state in ORDER if state in states), "waiting"),
            "behind": sum(follower.behind_in(path) for path in logs),
            "silence": min(silences, default=None),
            "usual_gap": max((follower.usual_gap(path) for path in logs), default=0.0),
            "notes": [
                f"{os.path.basename(path)}: cannot be read ({why})" for path, why in follower.failures.items() if path in logs
            ],
        }

    def modified(self, run: Run) -> float:
        """When it last changed."""
        tails = self._follower.tails
        return max((tails[path].modified or 0.0 for path in self._logs(run)), default=0.0)

    def finish(self) -> None:
        """What is left becomes points."""
        for run in self._runs.by_path.values():
            run.finish()

    def close(self) -> None:
        """Let go of all files."""
        self._follower.close()

    def _logs(self, run: Run) -> list[str]:
        return [path for path in (*run.logs, run.path) if path in self._follower.tails]

"""The reducer: what is new in logs and folders, to one view.

    with Watcher(["runs/"], WatchRequest(), clock=time.time) as watcher:
        view = watcher.poll()       # bounded work; again after half a second, or at once while something is behind

A look reads at most a few megabytes of each path, so that a screen stays alive while a long history is read. Not to be called from
two threads at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from vqdoctor.app.request import Progress, Silent
from vqdoctor.app.watching.names import run_name
from vqdoctor.app.watching.recording import Tape
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.run import WatchedRun
from vqdoctor.app.watching.source import LogSource, Source
from vqdoctor.app.watching.view import RunView, WatchView
from vqdoctor.diagnosis import parse_overrides
from vqdoctor.logs import Run
from vqdoctor.logs.store import Budget

READ = 1 << 22  # bytes of one look, of each path


class Watcher:
    """Watches any number of paths: logs, which need not exist yet, and folders of runs.

    Args:
        paths: what the user named. request: see `WatchRequest`. clock: seconds since the epoch.
        sources: where bytes come from; the files at `paths` if not given. tape: what comes from those files is recorded on it.

    Raises:
        UsageError: a rule, a threshold or a severity of the request is not known.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        request: WatchRequest | None = None,
        *,
        clock: Callable[[], float],
        sources: Sequence[Source] | None = None,
        tape: Tape | None = None,
    ) -> None:
        self.request = request or WatchRequest()
        self._clock = clock
        self._overrides = parse_overrides(self.request.rules)
        budget = Budget()
        self._sources = sources or [LogSource(os.fspath(path), self.request, clock, budget, tape) for path in dict.fromkeys(paths)]
        self._watched: dict[str, WatchedRun] = {}
        self._view = WatchView((), 0, self._missing())

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def behind(self) -> int:
        """Bytes that are there and not yet read: while it is not 0, look again at once."""
        return sum(source.behind for source in self._sources)

    @property
    def failures(self) -> dict[str, str]:
        """Why a log cannot be read, by path."""
        return {path: why for source in self._sources for path, why in source.failures.items()}

    def poll(self, budget: int = READ) -> WatchView:
        """What there is to see now. The view's version, and that of each run in it, stays while nothing changed.

        Args:
            budget: bytes to read of each path, about.
        """
        return self._look(budget, whole=False)

    def finish(self, progress: Progress | None = None) -> WatchView:
        """Read all that is there, to the last unfinished line, and judge it: for one picture of a log, not for following it.

        Args:
            progress: told of bytes read, and of checkpoints that are being looked at.
        """
        progress = progress or Silent()
        self.poll()
        progress.start("reading logs", self.behind)
        while left := self.behind:
            for source in self._sources:
                source.poll(READ)
            progress.advance(max(0, left - self.behind))
        progress.start("looking at checkpoints", None)
        for source in self._sources:
            source.finish()
        progress.stop()
        return self._look(READ, whole=True)

    def close(self) -> None:
        """Let go of all files."""
        for source in self._sources:
            source.close()

    def _look(self, budget: int, *, whole: bool) -> WatchView:
        runs: dict[
            str, tuple[float, RunView]
        ] = {}  # by where they really are: a path may be named twice, and lie in a named folder
        changed = False
        for source in self._sources:
            grown = source.poll(budget)
            for run in source.runs():
                watched = self._watch(run)
                changed |= watched.look(source.condition(run), changed=whole or run.path in grown, now=whole)
                if watched.view is not None:
                    runs.setdefault(watched.real, (source.modified(run), watched.view))
        ordered = tuple(view for _, view in sorted(runs.values(), key=lambda pair: -pair[0]))
        missing = self._missing()
        before = self._view
        changed |= [view.path for view in ordered] != [view.path for view in before.runs] or missing != before.missing
        self._view = replace(before, runs=ordered, missing=missing, version=before.version + changed)
        return self._view

    def _watch(self, run: Run) -> WatchedRun:
        watched = self._watched.get(run.path)
        if watched is None:
            name = run_name(run.path, {one.name for one in self._watched.values()})
            watched = self._watched[run.path] = WatchedRun(
                run, name, bindings=self.request.bindings, overrides=self._overrides, clock=self._clock
            )
        return watched

    def _missing(self) -> tuple[str, ...]:
        return tuple(source.path for source in self._sources if source.missing)

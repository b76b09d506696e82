"""A watcher that also does what the user asked to be done about what is seen: alarms, and the memory of what was told.

The dashboard polls it as it would the watcher; the plain lines come from it too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from vqdoctor.app.request import Progress
from vqdoctor.app.watching.alarm import Alarm
from vqdoctor.app.watching.changes import Change, Changes
from vqdoctor.app.watching.goal import Goal, Outcome, reached
from vqdoctor.app.watching.view import WatchView
from vqdoctor.app.watching.watcher import READ, Watcher
from vqdoctor.json_text import dumped
from vqdoctor.model import Finding
from vqdoctor.render.to_json import finding_object


class Attended:
    """Polls a watcher and attends to what changes.

    Args:
        watcher: what is watched. goal: when to stop; `outcome` says so.
        changes: what was told before. alarm: called for each new finding. going: whether more runs are to come.

    Attributes:
        view: as of the last look. news: what changed in it. outcome: "" go on, else why to stop.
    """

    def __init__(
        self,
        watcher: Watcher,
        goal: Goal,
        *,
        changes: Changes | None = None,
        alarm: Alarm | None = None,
        going: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watcher = watcher
        self.goal = goal
        self.view = WatchView(())
        self.news: Sequence[Change] = ()
        self.outcome: Outcome = ""
        self._changes = changes or Changes()
        self._alarm = alarm
        self._going = going
        self._clock = clock
        self._begun = clock()

    @property
    def behind(self) -> int:
        """As of the watcher."""
        return self.watcher.behind

    @property
    def left(self) -> float:
        """Seconds until the time is up; infinite where there is no limit."""
        return float("inf") if self.goal.timeout is None else max(0.0, self._begun + self.goal.timeout - self._clock())

    def poll(self, budget: int = READ) -> WatchView:
        """As of the watcher; then the alarm is rung for what is new."""
        return self._attend(self.watcher.poll(budget))

    def finish(self, progress: Progress | None = None) -> WatchView:
        """As of the watcher."""
        return self._attend(self.watcher.finish(progress))

    def close(self) -> None:
        """As of the watcher."""
        self.watcher.close()

    def _attend(self, view: WatchView) -> WatchView:
        self.view, self.news = view, self._changes.since(view)
        if self._alarm is not None:
            for change in self.news:
                if isinstance(change.of, Finding):
                    self._alarm.ring(finding_json(change, change.of))
        self.outcome = reached(view, self.goal, self._clock() - self._begun)
        if self.outcome == "over" and self._going():
            self.outcome = ""
        return view


def finding_json(change: Change, finding: Finding) -> bytes:
    """What `--on-finding` gets: the finding as every report has it, with the run's name, path and step beside it."""
    about = {"run": change.run, "path": change.path, "step": change.view.last_step}
    return dumped(about | finding_object(finding)) + b"\n"

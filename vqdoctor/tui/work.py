"""Long work beside a screen: a use case in a thread of its own, which the screen looks in on; nothing of it blocks a key.

The thread is a daemon: whoever leaves the dashboard in the middle of reading does not wait for it. What must not be broken off (a
file being written) is waited for by `join`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from rich.text import Text

from vqdoctor.app.request import Progress
from vqdoctor.render.figures import count, share
from vqdoctor.tui.themes import Look

T = TypeVar("T")
LOOK_IN = 0.1
"""Seconds between two looks at work that goes on."""
_TURNING, _ASCII_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"


class Cancelled(BaseException):
    """Raised inside work that is no longer wanted, at its next step."""


class Work(Generic[T]):
    """One run of `job`, which is told where to say how far it is.

    Attributes:
        label, done, total: where it is; total None where that is unknown.
        result: what the job returned. error: what it raised. finished: one of the two is there.
    """

    def __init__(self, job: Callable[[Progress], T]) -> None:
        self.label, self.done, self.total = "", 0, None
        self.result: T | None = None
        self.error: BaseException | None = None
        self.finished = False
        self.unwanted = False
        self._since = time.monotonic()
        self._job = job
        self._thread = Thread(target=self._run, daemon=True, name="vqdoctor-work")

    label: str
    done: int
    total: int | None

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def cancel(self) -> None:
        """It is no longer wanted: it ends at its next step, and its result is of no use."""
        self.unwanted = True

    def _run(self) -> None:
        try:
            self.result = self._job(self)
        except BaseException as error:
            self.error = error
        self.finished = True

    def start(self, label: str, total: int | None) -> None:
        """A pass begins."""
        self._heed()
        self.label, self.done, self.total = label, 0, total

    def advance(self, n: int) -> None:
        """n more are done."""
        self._heed()
        self.done += n

    def stop(self) -> None:
        """The pass is over."""
        self.done, self.total = 0, None

    def _heed(self) -> None:
        if self.unwanted:
            raise Cancelled

    def line(self, look: Look, width: int = 60) -> Text:
        """How far it is: what is being done, a bar where the end is known, seconds."""
        seconds = time.monotonic() - self._since
        turning = _TURNING if look.unicode else _ASCII_TURNING
        text = Text.assemble((turning[int(seconds / LOOK_IN) % len(turning)], look.real), f" {look.say(self.label or 'opening')}")
        if self.total:
            part = min(1.0, self.done / self.total)
            room = max(8, min(30, width - len(text) - 20))
            full, rest = ("█", "░") if look.unicode else ("#", ".")
            filled = round(part * room)
            text.append(" ").append(full * filled, look.real).append(rest * (room - filled), look.dim).append(
                look.fold(f" {share(part)}")
            )
        elif self.done:
            text.append(look.fold(f" {count(self.done)}"))
        return text.append(f"  {seconds:.0f} s", look.dim)

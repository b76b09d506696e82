"""`vqdoctor watch` on a terminal: one thread reads and judges, the other draws what that has found.

The reader hands over whole views, at most ten a second, fewer where drawing them would take more than a quarter of a core; nothing
is drawn when nothing has changed. Whatever the reader raises ends the screen and is raised again by `run_watch`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from textual.message import Message

from vqdoctor.app.watching.view import WatchView
from vqdoctor.tui.base import BaseApp, Rules
from vqdoctor.tui.watch_screen import WatchScreen

POLL = 0.25  # seconds between looks while nothing is waiting to be read
FRAME = 0.1  # seconds between two pictures, at least
REST = 4.0  # a picture that took t seconds of CPU is followed by none for this many times t


class WatcherLike(Protocol):
    """What is followed: `app.watching.watcher.Watcher`, a replay, a test's."""

    def poll(self) -> WatchView:
        """Read what is new; what there is to see now."""

    def close(self) -> None:
        """Let go of the files."""


class Arrived(Message, bubble=False):
    """There is a new view; posted by the reader."""

    def __init__(self, view: WatchView) -> None:
        super().__init__()
        self.view = view


class Over(Message, bubble=False):
    """The reader has ended by itself."""

    def __init__(self, status: int | None) -> None:
        super().__init__()
        self.status = status


class Reader(threading.Thread):
    """Polls until it is stopped, and hands over what changed.

    Args:
        make: gives the watcher; called in this thread. show: takes a view, from this thread. until: may end it all with a status.
        over: called with the status when it ends by itself. interval: seconds between looks.
    """

    def __init__(
        self,
        make: Callable[[], WatcherLike],
        show: Callable[[WatchView], None],
        over: Callable[[int | None], None],
        until: Callable[[WatchView], int | None] | None,
        interval: float,
    ) -> None:
        super().__init__(name="vqdoctor-reader", daemon=True)
        self.failure: BaseException | None = None
        self._make, self._show, self._over, self._until, self._interval = make, show, over, until, interval
        self._stop_asked = threading.Event()
        self._drawing = _cpu_of(threading.current_thread())
        self._shown: int | None = None
        self._next = 0.0

    def run(self) -> None:
        """Follow; what goes wrong is kept for whoever waits for the end."""
        status: int | None = None
        try:
            watcher = self._make()
            try:
                status = self._follow(watcher)
            finally:
                watcher.close()
        except BaseException as error:
            self.failure = error
        if not self._stop_asked.is_set():
            self._over(status)

    def _follow(self, watcher: WatcherLike) -> int | None:
        before = self._drawing()
        while not self._stop_asked.is_set():
            view = watcher.poll()
            waiting = view.version != self._shown
            now = time.monotonic()
            if waiting and now >= max(self._next, self._next - FRAME + REST * (self._drawing() - before)):
                before, self._next, self._shown = self._drawing(), now + FRAME, view.version
                self._show(view)
                waiting = False
            status = self._until(view) if self._until else None
            if status is not None:
                self._show(view)
                return status
            behind = getattr(watcher, "behind", 0)
            self._stop_asked.wait(0.005 if behind else min(FRAME, self._interval) if waiting else self._interval)
        return None

    def stop(self) -> None:
        """End soon."""
        self._stop_asked.set()


def _cpu_of(thread: threading.Thread) -> Callable[[], float]:
    """CPU seconds that a thread has used, always 0 where the system does not tell."""
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None:
        return lambda: 0.0
    clock = time.pthread_getcpuclockid(thread.ident)
    return lambda: time.clock_gettime(clock)


class WatchApp(BaseApp):
    """The app around the screen. baseline: path of a run to pin."""

    TITLE = "vqdoctor watch"

    def __init__(
        self, make_watcher: Callable[[], WatcherLike], *, until: Callable[[WatchView], int | None] | None = None,
        interval: float = POLL, baseline: str | None = None, look: str | None = None, no_color: bool = False, unicode: bool = True,
        folder: str = ".", rules: Rules | None = None,
    ) -> None:  # fmt: skip
        super().__init__(look=look, no_color=no_color, unicode=unicode, folder=folder, rules=rules)
        self.watch_screen = WatchScreen(baseline)
        self.reader: Reader | None = None
        self._latest: WatchView | None = None
        self._make, self._until, self._interval = make_watcher, until, interval

    def on_mount(self) -> None:
        """The screen, and the thread that fills it."""
        self.push_screen(self.watch_screen)
        self.reader = Reader(self._make, self._show, self._over, self._until, self._interval)
        self.reader.start()

    def _show(self, view: WatchView) -> None:
        self._latest = view
        self.post_message(Arrived(view))

    def _over(self, status: int | None) -> None:
        self.post_message(Over(status))

    def on_arrived(self, message: Arrived) -> None:
        """A new view; passed over if a newer one has come while the terminal was slow."""
        if message.view is self._latest:
            self.watch_screen.take(message.view)

    def on_over(self, message: Over) -> None:
        """Nothing more will come, or need not."""
        self.exit(message.status)

    def on_unmount(self) -> None:
        """The reader ends with the app."""
        if self.reader is not None:
            self.reader.stop()


def run_watch(
    make_watcher: Callable[[], WatcherLike],
    *,
    until: Callable[[WatchView], int | None] | None = None,
    interval: float = POLL,
    baseline: str | None = None,
    look: str | None = None,
    no_color: bool = False,
    unicode: bool = True,
    folder: str = ".",
    rules: Rules | None = None,
) -> int | None:
    """Show the watch screen until the user leaves it; needs a terminal.

    Args:
        make_watcher: gives what is followed; it is made, polled and closed in a thread of its own.
        until: asked with every view; a status ends the screen.
        interval: seconds between looks. baseline: path of a run to pin.
        look: name of a theme. no_color: colours were turned off (``NO_COLOR`` is looked at by itself). unicode: whether the
            terminal's encoding has more than ASCII. folder: where `S` saves to.
        rules: the project's, for what is repaired from here.

    Returns:
        What `until` gave, 130 after control-C, None when the user left.

    Raises:
        Whatever `make_watcher` or its watcher raises.
    """
    app = WatchApp(
        make_watcher,
        until=until,
        interval=interval,
        baseline=baseline,
        look=look,
        no_color=no_color,
        unicode=unicode,
        folder=folder,
        rules=rules,
    )
    status = app.run()
    if app.reader is not None:
        app.reader.stop()
        app.reader.join(timeout=5)
        if app.reader.failure is not None:
            raise app.reader.failure
    return status

"""Tells a program of the user's about findings: `--on-finding CMD`.

The command is split into words once and started as it is: no shell, and nothing of a log ever becomes part of it. The finding
comes as JSON on its standard input. It runs beside the watch, one at a time, for a bounded time; what goes wrong is said and
changes nothing.
"""

from __future__ import annotations

import contextlib
import queue
import shlex
import subprocess
import threading
from collections.abc import Callable

from vqdoctor.errors import UsageError, printable

SECONDS = 60.0  # that one call may take
WAITING = 256  # findings that wait for their call; more are left out, and said


class Alarm:
    """Calls a command for each finding.

    Args:
        command: as the user typed it. say: told in a sentence what went wrong; called from another thread.
        seconds: that one call may take.

    Raises:
        UsageError: the command has no words, or its quotes do not close.
    """

    def __init__(self, command: str, say: Callable[[str], None], *, seconds: float = SECONDS) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--on-finding {printable(command)!r}: {printable(error)}.", hint="Close its quotes.") from None
        if not self._words:
            raise UsageError("--on-finding needs a command.", hint="For example: --on-finding 'notify-send vqdoctor'.")
        self._say = say
        self._seconds = seconds
        self._work: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def ring(self, finding: bytes) -> None:
        """Call the command with a finding, later; never blocks."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="on-finding", daemon=True)
            self._thread.start()
        try:
            self._work.put_nowait(finding)
        except queue.Full:
            self._say(f"--on-finding: over {WAITING} findings wait for {printable(self._words[0])}; one is left out")

    def close(self, seconds: float) -> None:
        """Wait for calls that are due, at most so long."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._work.put(None, timeout=seconds)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._say("--on-finding: not all calls had ended; the last findings may not have been told")

    def _run(self) -> None:
        while (finding := self._work.get()) is not None:
            self._call(finding)

    def _call(self, finding: bytes) -> None:
        name = printable(self._words[0])
        try:
            done = subprocess.run(self._words, input=finding, stdout=subprocess.DEVNULL, timeout=self._seconds, check=False)
        except subprocess.TimeoutExpired:
            self._say(f"--on-finding: {name} took over {self._seconds:g} s and was stopped")
        except (OSError, ValueError) as error:
            self._say(f"--on-finding: {name} could not be started: {printable(getattr(error, 'strerror', None) or error)}")
        else:
            if done.returncode:
                self._say(f"--on-finding: {name} ended with status {done.returncode}")

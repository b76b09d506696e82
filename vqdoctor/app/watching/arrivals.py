"""Checkpoints as they appear: found by name, left alone while they are written, looked at one at a time beside the watch.

Opening one takes as long as it takes, so a thread does it and the watch goes on; every state of a file is opened once. Where there
were many from the start, the newest are enough: the others are a time line (`vqdoctor compare FOLDER`).
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from vqdoctor.app.watching.checkpoints import Looked, Signature
from vqdoctor.errors import printable
from vqdoctor.logs.follow import RESCAN, logs_in
from vqdoctor.logs.readers.file_names import SUFFIXES

SETTLED = 10.0  # seconds after which a file that nobody touched is not being written
MOST = 64  # checkpoints of those that were there already
ASIDE = (".features", ".codes", ".undo")  # ends of stems of files that lie beside a checkpoint

Look = Callable[[str], Looked | None]


def looks_like_checkpoint(name: str) -> bool:
    """Whether a file of a folder is taken for a checkpoint by its name.

    Example:
        >>> [looks_like_checkpoint(name) for name in ("last.pt", "last.features.pt", "log.jsonl", ".last.pt.tmp")]
        [True, False, False, False]
    """
    stem, suffix = os.path.splitext(name.lower())
    return suffix in SUFFIXES and not name.startswith(".") and not stem.endswith(ASIDE)


def checkpoints_beside(log: str) -> tuple[str, ...] | None:
    """Names of what looks like a checkpoint in the folder of a log (or in `log`, a folder), newest first; None: not to be read."""
    folder = log if os.path.isdir(log) else os.path.dirname(log) or "."
    try:
        with os.scandir(folder) as entries:
            found = [(entry.stat().st_mtime, entry.name) for entry in entries if looks_like_checkpoint(entry.name)]
    except OSError:
        return None
    return tuple(name for _, name in sorted(found, reverse=True))


class Arrivals:
    """The checkpoints at one path.

    Args:
        path: a folder, or a log: then the checkpoints beside it. look: opens and measures one; None: it changed meanwhile.
        clock: seconds since the epoch.

    Attributes:
        skipped: how many were there from the start and are not looked at.
    """

    def __init__(self, path: str, look: Look, clock: Callable[[], float]) -> None:
        self.skipped = 0
        self._path = path
        self._look = look
        self._clock = clock
        self._seen: dict[str, Signature] = {}  # at the last scan
        self._taken: dict[str, Signature] = {}  # looked at, or about to be
        self._next_scan = float("-inf")
        self._work: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, Looked | None]] = queue.SimpleQueue()
        self._open = 0
        self._thread: threading.Thread | None = None

    @property
    def folder(self) -> str:
        """Where checkpoints are looked for."""
        return self._path if os.path.isdir(self._path) else os.path.dirname(self._path) or "."

    def poll(self) -> list[Looked]:
        """Checkpoints that have been looked at since the last call, in the order of their times."""
        now = self._clock()
        if now >= self._next_scan:
            self._scan(now)
            self._next_scan = now + max(RESCAN, 50 * (self._clock() - now))
        found: list[Looked] = []
        while not self._done.empty():
            found += self._received()
        return found

    def finish(self) -> list[Looked]:
        """As `poll`, of all that are there now: waits for the last, and takes every file for written."""
        self._scan(float("inf"))
        found: list[Looked] = []
        while self._open:
            found += self._received()
        return found

    def close(self) -> None:
        """Begin no other; the one that is open is not waited for."""
        self._work.put(None)

    def _received(self) -> list[Looked]:
        path, looked = self._done.get()
        self._open -= 1
        if looked is None:
            self._taken.pop(path, None)
        return [] if looked is None else [looked]

    def _scan(self, now: float) -> None:
        """Take the files that look the same as at the last scan, or are old enough."""
        seen = {path: signature for path in self._paths() if (signature := Signature.of(path)) is not None}
        fresh = [
            path
            for path, signature in seen.items()
            if signature != self._taken.get(path)
            and (signature == self._seen.get(path) or now - signature.modified > SETTLED)
            and signature.bytes
        ]
        fresh.sort(key=lambda path: (seen[path].modified, path))
        first, self._seen = not self._taken, seen
        self._taken.update({path: seen[path] for path in fresh})
        if first and len(fresh) > MOST:
            self.skipped, fresh = len(fresh) - MOST, fresh[-MOST:]
        for path in fresh:
            self._begin(path)

    def _paths(self) -> list[str]:
        if os.path.isdir(self._path):
            return logs_in(self._path, looks_like_checkpoint)
        try:
            with os.scandir(self.folder) as entries:
                return [entry.path for entry in entries if looks_like_checkpoint(entry.name) and entry.is_file()]
        except OSError:
            return []

    def _begin(self, path: str) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()
        self._open += 1
        self._work.put(path)

    def _run(self) -> None:
        """The thread: one after the other, until there is nothing more to do."""
        while (path := self._work.get()) is not None:
            try:
                looked = self._look(path)
            except Exception as error:  # whatever a file does to us must not end the watch
                looked = Looked(path, 0.0, trouble=f"{type(error).__name__}: {printable(error)}")
            self._done.put((path, looked))

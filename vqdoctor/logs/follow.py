"""Logs as they grow, one or a folder of them: what is new at each look, how each of them is doing. No formats here.

Polling, because it works everywhere: a look at a file that has not changed is one `stat`. Whoever hears of changes sooner may look
sooner; nothing is missed by looking late. Clock and sleep are given, so that tests need not wait.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Literal

from vqdoctor.logs.rotation import Position
from vqdoctor.logs.tail import BLOCK, Chunk, Tail

State = Literal["waiting", "live", "lagging", "stalled", "ended", "failed"]

LAG = 1 << 20  # bytes behind that are a lag
STALL = 60.0  # seconds of silence that are no stall whatever the usual gap
LONG_AGO = 3600.0  # a log that was this old when first seen, and has not grown since, has ended
GAPS = 32  # of which the median is the usual gap
OPEN = 64  # files held open at once
FILES, ENTRIES, DEPTH = 1000, 20_000, 6  # of a folder
RESCAN = 2.0  # seconds between looks for new files, at least


class Pulse:
    """When a log grew, and from that how it is doing.

    Attributes:
        over: "ended" or "failed" once the log itself has said so.
    """

    def __init__(self) -> None:
        self.over: State | None = None
        self._holds = False
        self._grew = False
        self._modified: float | None = None
        self._last = 0.0
        self._gaps: deque[float] = deque(maxlen=GAPS)

    def look(self, now: float, tail: Tail, read: bool) -> None:
        """The log was looked at. read: whether there was something new to read."""
        if self._modified is None and tail.modified is not None:
            self._last = min(now, tail.modified)
        elif tail.modified != self._modified:
            if self._grew:
                self._gaps.append(max(0.0, now - self._last))
            self._grew, self._last = True, now
        self._modified = tail.modified
        if read:
            self._holds, self.over = True, None

    def silence(self, now: float) -> float:
        """Seconds since it last grew."""
        return max(0.0, now - self._last)

    @property
    def usual_gap(self) -> float:
        """Seconds between growths, 0 before there are two gaps."""
        return median(self._gaps) if len(self._gaps) > 1 else 0.0

    def state(self, now: float, tail: Tail) -> State:
        """How the log is doing; see `Follower.state`."""
        silence = self.silence(now)
        if tail.failure is not None:
            return "failed"
        if not self._holds:
            return "waiting"
        if self.over is not None:
            return self.over
        if tail.behind > LAG:
            return "lagging"
        if not self._grew and silence > LONG_AGO:
            return "ended"
        return "stalled" if silence > max(STALL, 3 * self.usual_gap) else "live"


class Follower:
    """Follows a file, or the logs of a folder and the folders in it.

    Args:
        path: a file, which need not exist yet, or a folder.
        wanted: which names of a folder are logs.
        clock: seconds since the epoch.
        positions: where an earlier follower stopped, by path (`positions()` of it).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        wanted: Callable[[str], bool],
        clock: Callable[[], float],
        positions: Mapping[str, Position] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.tails: dict[str, Tail] = {}
        self._wanted = wanted
        self._clock = clock
        self._positions = dict(positions or {})
        self._pulses: dict[str, Pulse] = {}
        self._next_scan = 0.0

    def poll(self, budget: int = 1 << 23) -> list[Chunk]:
        """What is new in all logs, at most about `budget` bytes, the newest log first."""
        now = self._clock()
        if now >= self._next_scan:
            self._scan(now)
        chunks: list[Chunk] = []
        share = max(BLOCK, budget // max(1, len(self.tails)))
        for path in self.newest_first():
            found = self.tails[path].poll(share)
            self._pulses[path].look(now, self.tails[path], bool(found))
            chunks += found
        self._spare()
        return chunks

    def newest_first(self) -> list[str]:
        """The logs, the one that changed last first."""
        return sorted(self.tails, key=lambda path: (-(self.tails[path].modified or 0.0), path))

    def state(self, path: str) -> State:
        """How a log is doing.

        waiting: nothing of it yet. live: it grows, or may. lagging: there is more than was read. stalled: silent for three times
        its usual gap and a minute. ended: it said so, or has been silent since long before it was first seen. failed: it said so,
        or it cannot be read.
        """
        tail = self.tails.get(path)
        return "waiting" if tail is None else self._pulses[path].state(self._clock(), tail)

    def silence(self, path: str) -> float | None:
        """Seconds since a log last grew, None before it was seen."""
        tail = self.tails.get(path)
        return None if tail is None or tail.modified is None else self._pulses[path].silence(self._clock())

    def usual_gap(self, path: str) -> float:
        """Seconds between growths of a log, 0 where there were too few to say."""
        return self._pulses[path].usual_gap if path in self._pulses else 0.0

    def behind_in(self, path: str) -> int:
        """Bytes of a log that are there and not yet read."""
        return self.tails[path].behind if path in self.tails else 0

    @property
    def failures(self) -> dict[str, str]:
        """Why a log cannot be read, by path, for those that cannot."""
        return {path: tail.failure for path, tail in self.tails.items() if tail.failure is not None}

    def end(self, path: str, outcome: State = "ended") -> None:
        """Note that a log has said that its run is over, or has failed; if it grows again, that no longer holds."""
        if path in self._pulses:
            self._pulses[path].over = outcome

    @property
    def behind(self) -> int:
        """Bytes of all logs that are there and not yet read."""
        return sum(tail.behind for tail in self.tails.values())

    def positions(self, held: Mapping[str, int] | None = None) -> dict[str, Position]:
        """Where to go on later, by path. held: bytes that the reader of a path has taken and not used."""
        found = {path: tail.position((held or {}).get(path, 0)) for path, tail in self.tails.items()}
        return {path: position for path, position in found.items() if position is not None}

    def close(self) -> None:
        """Let go of all files."""
        for tail in self.tails.values():
            tail.close()

    def _scan(self, now: float) -> None:
        """Find logs that were not there before."""
        found = [self.path]
        if os.path.isdir(self.path):
            found = sorted(logs_in(self.path, self._wanted))
        for path in found:
            if path not in self.tails:
                self.tails[path] = Tail(path, self._positions.get(path))
                self._pulses[path] = Pulse()
        self._next_scan = now + max(RESCAN, 50 * (self._clock() - now))

    def _spare(self) -> None:
        """Close the files that have been silent longest, where too many are open."""
        held = [tail for tail in self.tails.values() if tail.is_open and not tail.behind]
        for tail in sorted(held, key=lambda tail: tail.modified or 0.0)[:-OPEN]:
            tail.close()


def logs_in(folder: str, wanted: Callable[[str], bool]) -> list[str]:
    """The wanted files of a folder and of those in it, the 1000 that changed last; hidden folders and linked ones are left out."""
    found: list[tuple[float, str]] = []
    folders, entries_left = deque([(folder, 0)]), ENTRIES
    while folders and entries_left > 0:
        here, depth = folders.popleft()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        entries_left -= len(entries)
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if depth < DEPTH and not entry.name.startswith("."):
                        folders.append((entry.path, depth + 1))
                elif wanted(entry.name) and entry.is_file():
                    found.append((entry.stat().st_mtime, entry.path))
            except OSError:
                continue
    return [path for _, path in sorted(found, reverse=True)[:FILES]]


def follow(follower: Follower, *, interval: float, sleep: Callable[[float], None]) -> Iterator[list[Chunk]]:
    """What is new, for ever: at once while there is more to read, else after `interval` seconds. Empty where nothing was new."""
    while True:
        yield follower.poll()
        if not follower.behind:
            sleep(interval)

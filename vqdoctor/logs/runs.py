"""Where the three meet: chunks of the follower go through a reader into a store.

A run is one log; the event files of a folder are one run, since TensorBoard's writer begins a file with each start. A log that was
begun anew is forgotten and read again, so that a run is at any time what reading its files now would give.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from vqdoctor.errors import MissingInput
from vqdoctor.logs.aliases import Vocabulary
from vqdoctor.logs.follow import Follower, State
from vqdoctor.logs.pyramid import Bins
from vqdoctor.logs.readers import READERS, AutoReader, Found, Reader, is_event_file, looks_like_log
from vqdoctor.logs.store import Budget, Column, SeriesStore, bins_of, series_of
from vqdoctor.logs.tail import Chunk, head_and_tail
from vqdoctor.model import Event, Meaning, Series, SeriesKey


class Log:
    """One file of a run: its reader and what it has found.

    Args:
        path: of the file, for its name. readers, budget: see `Run`.
    """

    def __init__(self, path: str, *, readers: Sequence[type[Reader]] = READERS, budget: Budget | None = None) -> None:
        self.path = path
        self.reader = AutoReader(os.path.basename(path), readers=readers)
        self.store = SeriesStore(budget)

    def feed(self, data: bytes) -> None:
        """The next bytes of the file."""
        self.store.add(self.reader.feed(data))

    def finish(self) -> None:
        """No more bytes for now: what is left becomes points."""
        self.store.add(self.reader.finish())

    @property
    def notes(self) -> list[str]:
        """What was left out, in sentences."""
        return [note for note in (self.reader.faults.summary(), self.store.faults.summary()) if note]


class Run:
    """One log, or the event files of one folder, as one set of series.

    Args:
        path: of the log or the folder.
        bindings: the user's own meanings of names, see `Vocabulary`.
        readers: asked in turn for the format of a file. budget: of points, shared by the run's logs (and other runs if given).
    """

    def __init__(
        self,
        path: str,
        *,
        bindings: Mapping[str, str] | None = None,
        readers: Sequence[type[Reader]] = READERS,
        budget: Budget | None = None,
    ) -> None:
        self.path = path
        self.logs: dict[str, Log] = {}
        self._bindings = bindings
        self._readers = readers
        self._budget = budget or Budget()
        self._restarts: list[Event] = []
        self._vocabulary = Vocabulary(())
        self._names: frozenset[str] = frozenset()

    def take(self, chunk: Chunk) -> None:
        """The next bytes of one of its logs."""
        log = self.logs.get(chunk.path)
        if log is not None and chunk.start in ("rotated", "restarted"):
            self._restarts.append(Event(chunk.start, detail={"file": os.path.basename(chunk.path)}))
            log.finish()
        if log is None or chunk.start == "restarted":
            if log is not None:
                log.store.release()
            log = self.logs[chunk.path] = Log(chunk.path, readers=self._readers, budget=self._budget)
        log.feed(chunk.data)

    def add(self, source: str, found: Iterable[Found]) -> None:
        """Points and events that are not from a log, such as a folder's checkpoints. source: what to keep them under."""
        if source not in self.logs:
            self.logs[source] = Log(source, readers=self._readers, budget=self._budget)
        self.logs[source].store.add(found)

    def finish(self) -> None:
        """No more bytes for now, in any log."""
        for log in self.logs.values():
            log.finish()

    @property
    def reader(self) -> str:
        """What its format is called, "" before it is known."""
        return next((log.reader.name for log in self.logs.values() if log.reader.name), "")

    @property
    def held(self) -> dict[str, int]:
        """Bytes that each log's reader has taken and not used, for `Follower.positions`."""
        return {path: log.reader.held for path, log in self.logs.items()}

    @property
    def keys(self) -> list[SeriesKey]:
        """The series of all logs, in the order in which they were first seen."""
        return list(dict.fromkeys(key for log in self._in_order() for key in log.store.keys))

    def meaning(self, key: SeriesKey) -> Meaning:
        """What a series of this run is; it may change as more names show up beside it."""
        return self._words(self.keys).meaning(key)

    def series(self) -> list[Series]:
        """All series as they stand. Where several files hold the same one, they follow each other by file name."""
        keys = self.keys
        words = self._words(keys)
        return [series_of(key, self._columns(key), words.meaning(key)) for key in keys]

    def bins(self, key: SeriesKey, first: float, last: float, width: int) -> Bins:
        """Part of a series as columns of a chart, in our units: see `Bins`. first, last: steps."""
        return bins_of(self._columns(key), self.meaning(key), first, last, width)

    @property
    def events(self) -> list[Event]:
        """Events of all logs, and what became of the files."""
        return [*(event for log in self._in_order() for event in log.store.events), *self._restarts]

    @property
    def usage(self) -> list[Event]:
        """Usage counts of all levels, a bounded number of them, by step."""
        return sorted((event for log in self._in_order() for event in log.store.usage()), key=lambda event: event.step or 0.0)

    @property
    def outcome(self) -> State | None:
        """ "ended" or "failed" where a log says so and no series went on after it."""
        last = next((event for event in reversed(self.events) if event.kind in ("end", "failed")), None)
        if last is None or (last.step is not None and any(column.last_step > last.step for column in self._all_columns())):
            return None
        return "failed" if last.kind == "failed" or last.detail.get("reason") == "error" else "ended"

    @property
    def notes(self) -> list[str]:
        """What was left out, in sentences that begin with the file."""
        return [f"{os.path.basename(log.path)}: {note}" for log in self._in_order() for note in log.notes]

    def _words(self, keys: Iterable[SeriesKey]) -> Vocabulary:
        names = frozenset(key.name for key in keys)
        if names != self._names:
            self._names, self._vocabulary = names, Vocabulary(names, self._bindings)
        return self._vocabulary

    def _in_order(self) -> list[Log]:
        return [self.logs[path] for path in sorted(self.logs)]

    def _all_columns(self) -> Iterator[Column]:
        return (column for key in self.keys for column in self._columns(key))

    def _columns(self, key: SeriesKey) -> list[Column]:
        found = (log.store.column(key) for log in self._in_order())
        return [column for column in found if column is not None]


class Informed(Protocol):
    """Who brought the chunks, and is told when a log says that it is over: a follower."""

    def end(self, path: str, outcome: State = "ended") -> None:
        """See `Follower.end`."""
        ...


class Runs:
    """All runs of a follower, by path. bindings, readers, budget: see `Run`; all share one budget."""

    def __init__(
        self,
        *,
        bindings: Mapping[str, str] | None = None,
        readers: Sequence[type[Reader]] = READERS,
        budget: Budget | None = None,
    ) -> None:
        self.by_path: dict[str, Run] = {}
        self._bindings = bindings
        self._readers = readers
        self._budget = budget or Budget()

    def take(self, chunks: Iterable[Chunk], follower: Informed) -> list[Run]:
        """Chunks to the runs they are of; the runs that changed. A log that says that it is over is reported to the follower."""
        changed: dict[str, Run] = {}
        for chunk in chunks:
            run = self.at(run_of(chunk.path))
            run.take(chunk)
            changed[run.path] = run
        for run in changed.values():
            if (outcome := run.outcome) is not None:
                for path in run.logs:
                    follower.end(path, outcome)
        return list(changed.values())

    def at(self, path: str) -> Run:
        """The run of this path, begun if there is none yet."""
        if path not in self.by_path:
            self.by_path[path] = Run(path, bindings=self._bindings, readers=self._readers, budget=self._budget)
        return self.by_path[path]

    def newest_first(self, follower: Follower) -> list[Run]:
        """The runs, the one whose log changed last first."""
        return list({path: self.by_path[path] for log in follower.newest_first() if (path := run_of(log)) in self.by_path}.values())


def run_of(path: str) -> str:
    """The run that a log is of: itself, or the folder of an event file."""
    return os.path.dirname(path) if is_event_file(path) else path


def read_runs(
    path: str | os.PathLike[str],
    *,
    clock: Callable[[], float],
    bindings: Mapping[str, str] | None = None,
    readers: Sequence[type[Reader]] = READERS,
) -> tuple[list[Run], Follower]:
    """Everything that the logs at `path` hold now, newest run first, and the follower that read it (closed).

    Raises:
        MissingInput: there is no such file or folder, or it cannot be read.
    """
    if not os.path.exists(path):
        raise MissingInput("there is no such file or folder", where=os.fspath(path), hint="Give a log or a folder of logs.")
    follower = Follower(path, wanted=looks_like_log, clock=clock)
    runs = Runs(bindings=bindings, readers=readers)
    runs.take(follower.poll(), follower)
    while follower.behind:
        runs.take(follower.poll(), follower)
    follower.close()
    tail = follower.tails.get(follower.path)
    if tail is not None and tail.failure is not None:
        raise MissingInput(f"it cannot be read: {tail.failure}", where=follower.path)
    for run in runs.by_path.values():
        run.finish()
    return runs.newest_first(follower), follower


def preview(path: str, *, size: int = 1 << 18, readers: Sequence[type[Reader]] = READERS) -> Log:
    """The beginning and the end of a large log: what a first picture shows while the rest is read. Steps between are missing.

    Raises:
        OSError: the file cannot be read.
    """
    head, tail = head_and_tail(path, size)
    log = Log(path, readers=readers)
    log.feed(head)
    if tail and log.reader.by_lines:
        log.finish()
        log.feed(tail)
    log.finish()
    return log

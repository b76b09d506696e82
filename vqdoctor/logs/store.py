"""The numbers of a log in memory: one column a series, bounded, thinned without losing a low or a high.

A step that falls begins a new segment (a run resumed from an earlier checkpoint, a log begun anew); steps that repeat are kept and
counted. When all columns together pass the budget, the longest gives up some of its older points: of every four, the lowest and the
highest stay. Counts, extremes and ends are of everything that came.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate

import numpy as np

from vqdoctor.logs.alias_table import SHARES
from vqdoctor.logs.aliases import Vocabulary
from vqdoctor.logs.faults import Faults
from vqdoctor.logs.pyramid import Bins, Pyramid
from vqdoctor.logs.said import tidy, weight
from vqdoctor.model import Event, Meaning, Points, Series, SeriesKey

SERIES = 500  # of a log
POINTS = 6_000_000  # of a budget, 24 bytes each
EVENTS = 10_000  # of a log; older ones are dropped
EVENT_BYTES = 64 << 20  # that they take together
USAGE = 512  # usage events of one level; then every other one is dropped
USAGE_BYTES = 128 << 20  # of all levels together
SLACK = 1e-3  # by which a share may go over 1, as it was rounded or summed
NO_SHARE = "over 1: no share"
"""Why a name that means a share does not here: a number of codes, or of percent, would be judged as something that it is not."""
LONGEST_NAME = 1000  # characters of a series' name; a longer one is data


class Budget:
    """Points that all columns of a run may hold together."""

    def __init__(self, points: int = POINTS) -> None:
        self.points = points
        self.used = 0
        self._columns: set[Column] = set()

    def take(self, column: Column, points: int) -> None:
        """Note that a column has grown, and thin the longest until all fit again."""
        self._columns.add(column)
        self.used += points
        while self.used > self.points:
            longest = max(self._columns, key=len)
            before = len(longest)
            if before < 64 or longest.thin() == before:
                return
            self.used -= before - len(longest)

    def release(self, column: Column) -> None:
        """Note that a column is gone."""
        if column in self._columns:
            self._columns.remove(column)
            self.used -= len(column)


class Column:
    """One series as it grows."""

    def __init__(self) -> None:
        self.n = self.duplicates = self.nonfinite = 0
        self.first = self.last = self.first_step = self.last_step = math.nan
        self.low, self.high = math.inf, -math.inf
        self._length = 0
        self._room = np.empty((2, 16))  # steps, values; a third row once a time is known
        self._levels = np.zeros(16, np.uint8)  # how often each point was thinned
        self._timed = False
        self._starts: list[int] = []
        self._pyramid = Pyramid()

    def __len__(self) -> int:
        return self._length

    @property
    def steps(self) -> np.ndarray:
        """(m,) float64, read-only."""
        return _frozen(self._room[0, : self._length])

    @property
    def values(self) -> np.ndarray:
        """(m,) float64, read-only."""
        return _frozen(self._room[1, : self._length])

    @property
    def times(self) -> np.ndarray:
        """(m,) float64, read-only; empty where none is known."""
        return _frozen(self._room[2, : self._length]) if self._timed else np.empty(0)

    @property
    def starts(self) -> np.ndarray:
        """(s,) int64: where segments begin."""
        return np.array(self._starts, dtype=np.int64)

    def append(self, steps: np.ndarray, values: np.ndarray, times: np.ndarray) -> None:
        """Finite points, at least one."""
        before = np.empty_like(steps)  # each point's step (a live log brings one at a time: no call more than it takes)
        before[0], before[1:] = self.last_step, steps[:-1]
        self.duplicates += int(np.count_nonzero(steps == before))
        if not self.n:
            self._starts.append(0)
            self.first, self.first_step = float(values[0]), float(steps[0])
        if (fallen := steps < before).any():
            self._starts += (self._length + np.flatnonzero(fallen)).tolist()
        self.n += len(values)
        self.last, self.last_step = float(values[-1]), float(steps[-1])
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self._timed = self._timed or not np.isnan(times).all()
        self._extend(steps, values, times)

    def thin(self) -> int:
        """Thin the older points to half as many where they are still closest; the new length.

        Of every four points the lowest and the highest stay. What was thinned oftenest, the beginning, is left alone until the
        rest is as thin, so that the whole run stays about equally fine; the newest quarter stays as it is.
        """
        old = self._length * 3 // 4
        levels = self._levels[:old]
        begin = int(np.argmax(levels <= levels[old // 2]))  # levels never rise
        end = begin + (old - begin) // 4 * 4
        blocks = self._room[1, begin:end].reshape(-1, 4)
        pair = np.stack([blocks.argmin(axis=1), blocks.argmax(axis=1)], axis=1)
        pair[pair[:, 0] == pair[:, 1]] = (0, 3)  # all equal
        pair.sort(axis=1)
        between = (pair + np.arange(begin, end, 4)[:, None]).ravel()
        self._levels[between] += 1
        kept = np.concatenate([np.arange(begin), between, np.arange(end, self._length)])
        self._room, self._levels, self._length = self._room[:, kept], self._levels[kept], len(kept)
        self._starts = [0, *(1 + np.flatnonzero(np.diff(self._room[0]) < 0)).tolist()]
        self._pyramid.clear()
        return self._length

    def bins(self, first: float, last: float, width: int) -> Bins:
        """The points from step `first` to `last` in about `width` columns of equal steps; see `Bins`."""
        return self._pyramid.bins(self.steps, self.values, self._starts, first, last, width)

    def _extend(self, *rows: np.ndarray) -> None:
        used = 3 if self._timed else 2
        length = self._length + len(rows[0])
        if length > self._room.shape[1] or used > len(self._room):
            room = np.empty((used, max(length, self._room.shape[1] * 3 // 2)))
            room[len(self._room) :, : self._length] = np.nan
            room[: len(self._room), : self._length] = self._room[:, : self._length]
            self._room = room
            self._levels = np.concatenate([self._levels[: self._length], np.zeros(room.shape[1] - self._length, np.uint8)])
        for row, more in zip(self._room, rows[:used], strict=True):
            row[self._length : length] = more
        self._length = length


class SeriesStore:
    """All series and events of one log.

    Args:
        budget: shared with the other logs of a run; its own if not given.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.faults = Faults()
        self._budget = budget or Budget()
        self._columns: dict[SeriesKey, Column] = {}
        self._refused: set[int] = set()
        self._infinite: set[SeriesKey] = set()
        self._events: deque[Event] = deque()
        self._event_bytes = 0
        self._usage: dict[tuple[object, object], list[Event]] = {}
        self._usage_bytes = 0

    def add(self, found: Iterable[Points | Event]) -> None:
        """Take what a reader found."""
        for item in found:
            if isinstance(item, Event):
                self._add_event(item)
            else:
                self._add_points(item)

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """The series, in the order in which they were first seen."""
        return tuple(self._columns)

    @property
    def events(self) -> list[Event]:
        """Events in the order of the log; non-finite values are among them, usage counts are not."""
        return list(self._events)

    def usage(self) -> list[Event]:
        """The usage counts of all levels, in the order of steps; of a long log every 2nd, 4th, …"""
        return sorted((event for events in self._usage.values() for event in events), key=lambda event: event.step or 0.0)

    def column(self, key: SeriesKey) -> Column | None:
        """The column of a series, as the log has it: no scale applied."""
        return self._columns.get(key)

    def series(self, bindings: Mapping[str, str] | None = None) -> list[Series]:
        """All series with what they mean. bindings: the user's own meanings, see `Vocabulary`."""
        vocabulary = Vocabulary((key.name for key in self._columns), bindings)
        return [series_of(key, [column], vocabulary.meaning(key)) for key, column in self._columns.items()]

    def release(self) -> None:
        """Give the budget back: the log is forgotten."""
        for column in self._columns.values():
            self._budget.release(column)

    def _add_points(self, points: Points) -> None:
        column = self._columns.get(points.key)
        if column is None:
            long = len(points.key.name) + len(points.key.quantizer or "") > LONGEST_NAME
            if long or len(self._columns) >= SERIES:
                self._refuse(points.key, "name" if long else "series")
                return
            column = self._columns[points.key] = Column()
        finite = np.isfinite(points.values) & np.isfinite(points.steps)
        steps, values, times = points.steps, points.values, points.times
        if not finite.all():
            self._note_infinite(points, finite, column)
            steps, values, times = steps[finite], values[finite], times[finite]
        elif points.key in self._infinite:
            self._infinite.remove(points.key)
        if len(values):
            column.append(steps, values, times)
            self._budget.take(column, len(values))

    def _note_infinite(self, points: Points, finite: np.ndarray, column: Column) -> None:
        """Count values that are no numbers, and make an event where they begin."""
        column.nonfinite += int(np.count_nonzero(~finite))
        before = np.concatenate([[points.key not in self._infinite], finite[:-1]])
        for i in np.flatnonzero(before & ~finite).tolist():
            step, time = float(points.steps[i]), float(points.times[i])
            detail = {"series": points.key.label, "value": str(float(points.values[i]))}
            self._add_event(
                Event("non-finite", step if math.isfinite(step) else None, detail, time if math.isfinite(time) else None)
            )
        if finite[-1]:
            self._infinite.discard(points.key)
        else:
            self._infinite.add(points.key)

    def _refuse(self, key: SeriesKey, why: str) -> None:
        if hash(key) not in self._refused and len(self._refused) < 100_000:
            self._refused.add(hash(key))  # names may be long
            self.faults.add(why)

    def _add_event(self, told: Event) -> None:
        event = tidy(told)
        if event.kind == "usage":
            self._add_usage(event)
            return
        self._events.append(event)
        self._event_bytes += weight(event)
        while len(self._events) > EVENTS or self._event_bytes > EVENT_BYTES:
            self._event_bytes -= weight(self._events.popleft())
            self.faults.add("event")

    def _add_usage(self, event: Event) -> None:
        place = (event.detail.get("quantizer"), event.detail.get("level"))
        if place not in self._usage and len(self._usage) >= SERIES:
            self.faults.add("event")
            return
        kept = self._usage.setdefault(place, [])
        kept.append(event)
        self._usage_bytes += weight(event)
        if len(kept) > USAGE:
            self._thin(kept)
        while self._usage_bytes > USAGE_BYTES:
            self._thin(max(self._usage.values(), key=lambda events: sum(map(weight, events))))

    def _thin(self, kept: list[Event]) -> None:
        """Drop every other one of the counts of a level."""
        self._usage_bytes -= sum(map(weight, kept[1::2] or kept))
        del kept[len(kept) > 1 :: 2]


def series_of(key: SeriesKey, columns: list[Column], meaning: Meaning) -> Series:
    """One series from its columns in the logs of a run, oldest first, in the units of its meaning."""
    columns = [column for column in columns if len(column)] or columns[:1]
    scale, offset = meaning.scale, meaning.offset
    values = _joined([column.values for column in columns])
    extremes = sorted([min(c.low for c in columns) * scale + offset, max(c.high for c in columns) * scale + offset])
    n = sum(column.n for column in columns)
    if n and meaning.metric in SHARES and extremes[1] > 1 + SLACK:
        meaning = replace(meaning, metric=None, note=NO_SHARE)
    lengths = accumulate(map(len, columns), initial=0)
    ends = (columns[0].first * scale + offset, columns[-1].last * scale + offset, *extremes)
    return Series(
        key, meaning, _joined([column.steps for column in columns]),
        values if (scale, offset) == (1.0, 0.0) else _frozen(values * scale + offset),
        _joined_times(columns), _joined([column.starts + at for column, at in zip(columns, lengths, strict=False)]),
        n, sum(column.duplicates for column in columns), sum(column.nonfinite for column in columns),
        *(ends if n else (None,) * 4), *((columns[0].first_step, columns[-1].last_step) if n else (None, None)),
    )  # fmt: skip


def bins_of(columns: list[Column], meaning: Meaning, first: float, last: float, width: int) -> Bins:
    """Part of a series from its columns, oldest log first, in the units of its meaning; see `Column.bins`."""
    parts = [column.bins(first, last, width) for column in columns]
    ends = (
        [part.lows * meaning.scale + meaning.offset for part in parts],
        [part.highs * meaning.scale + meaning.offset for part in parts],
    )
    lows, highs = ends if meaning.scale >= 0 else ends[::-1]
    lengths = np.cumsum([0, *(len(part.steps) for part in parts)])
    starts = [part.starts + at for part, at in zip(parts, lengths, strict=False)]
    return Bins(np.concatenate([part.steps for part in parts]), np.concatenate(lows), np.concatenate(highs), np.concatenate(starts))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else _frozen(np.concatenate(parts))


def _joined_times(columns: list[Column]) -> np.ndarray:
    """Times of all points; empty unless every column has them."""
    times = [column.times for column in columns]
    return _joined(times) if all(map(len, times)) else np.empty(0)


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view

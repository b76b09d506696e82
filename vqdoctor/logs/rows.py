"""Rows of keys and values (JSON objects, CSV records) to points: which key is the step, which the time, which are curves.

Shared by every reader whose format has named fields. Rows with the same keys are turned into columns together: a row costs one
`struct.pack`, about half of what parsing its JSON costs; whatever does not fit (text, null, lists, nested objects) is taken apart
value by value, with the same result.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np

from vqdoctor.logs.faults import Faults
from vqdoctor.logs.gather import UNKNOWN, Gatherer
from vqdoctor.logs.numbers import number
from vqdoctor.model import SeriesKey

FINE = (
    "step", "global_step", "_step", "current_steps", "trainer/global_step", "train/global_step", "iteration", "iter", "iters",
    "n_iter", "num_updates", "it",
)  # fmt: skip
COARSE = ("epoch", "ep", "_epoch")
TIMES = ("time", "timestamp", "_timestamp", "wall_time", "wall time", "ts")
EPOCH_SECONDS = 1e8  # smaller numbers under a time key are durations
KEYS = 2000  # of a row, and of what stands under one key of it
NAMES = 1 << 20  # characters of names that are remembered; beyond them they are data, and no store takes that many series
MEDIA = "_type"  # key of what wandb keeps beside numbers: histograms, pictures
INNER = 100  # keys of a nested object that are turned into columns
DEPTH, ITEMS = 8, 64  # nesting that is followed; numbers of a list that are curves of their own

Row = Mapping[str, Any]
NOTHING = SeriesKey("")


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows with the same keys: which hold plain numbers (as the first row did), which need a look each time.

    fine, coarse, time: the keys that say step, epoch and time; they are axes, not curves.
    """

    plain: tuple[str, ...]
    other: tuple[str, ...]
    fine: str | None = None
    coarse: str | None = None
    time: str | None = None

    @classmethod
    def of(cls, row: Row, *, axes: bool = True) -> Shape:
        """The shape of `row`; without `axes` every key is a curve."""
        low = {key.lower(): key for key in reversed(list(row))} if axes else {}
        fine, coarse, time = (next((low[key] for key in names if key in low), None) for names in (FINE, COARSE, TIMES))
        curves = [key for key in row if key not in (fine, coarse, time)]
        plain = tuple(key for key in curves if type(row[key]) in (int, float))
        return cls(plain, tuple(key for key in curves if key not in plain), fine, coarse, time)


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows are: ordinals in the file, steps and times, (n,) each."""

    ordinals: np.ndarray
    steps: np.ndarray
    times: np.ndarray

    def only(self, where: Any) -> Place:
        """Those of the rows `where`."""
        return Place(self.ordinals[where], self.steps[where], self.times[where])


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one shape as columns.

    plain: (len(shape.plain), n) float64, None where some row has no number there. other: values by key, for everything else.
    fine, coarse, time: what the rows say of their place, (n,) float64 with NaN, None where they have no such key.
    """

    shape: Shape
    plain: np.ndarray | None
    other: dict[str, list[Any]]
    fine: np.ndarray | None
    coarse: np.ndarray | None
    time: np.ndarray | None

    @classmethod
    def of(cls, rows: Sequence[Row], shape: Shape) -> Block:
        """Raises KeyError where a row lacks a key of the shape, and so is of another."""
        plain = _packed(rows, shape.plain)
        names = shape.other if plain is not None else (*shape.plain, *shape.other)
        axes = (None if name is None else floats([row[name] for row in rows]) for name in (shape.fine, shape.coarse, shape.time))
        return cls(shape, plain, {name: [row[name] for row in rows] for name in names}, *axes)


def blocks(rows: Sequence[Row], shape_of: Callable[[Row], Shape]) -> list[tuple[Block, Any]]:
    """Rows by shape, with where they were. Rows with as many keys are taken for one shape until a key is missed."""
    try:
        return _blocks_by(rows, list(map(len, rows)), shape_of)
    except KeyError:
        return _blocks_by(rows, list(map(tuple, rows)), shape_of)


def _blocks_by(rows: Sequence[Row], marks: list[Any], shape_of: Callable[[Row], Shape]) -> list[tuple[Block, Any]]:
    if marks.count(marks[0]) == len(marks):
        return [(Block.of(rows, shape_of(rows[0])), slice(None))]
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, mark in enumerate(marks):
        groups[mark].append(i)
    return [(Block.of(list(map(rows.__getitem__, where)), shape_of(rows[where[0]])), np.array(where)) for where in groups.values()]


class Table:
    """Blocks whose places are known."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._gather = Gatherer()
        self._keys: dict[tuple[Any, ...], SeriesKey] = {}
        self._characters = 0
        self.take = self._gather.take

    def add(self, block: Block, place: Place, about: SeriesKey = NOTHING) -> None:
        """Take a block. about: what its series have beside a name."""
        shape = block.shape
        if len(shape.plain) + len(shape.other) > KEYS:
            self._faults.add("keys", len(place.steps))
            shape = replace(shape, plain=shape.plain[:KEYS], other=shape.other[: max(0, KEYS - len(shape.plain))])
        if block.plain is not None:
            self._columns(shape.plain, block.plain[: len(shape.plain)], place, about)
        for name in shape.other if block.plain is not None else (*shape.plain, *shape.other):
            self._look_at(name, block.other[name], place, about)

    def _look_at(self, name: str, column: list[Any], place: Place, about: SeriesKey) -> None:
        """What rows hold under one key, where that is not simply a number each."""
        kinds = set(map(type, column))
        if kinds == {str} and all(number(word) is None for word in set(column)):
            return
        if kinds <= {int, float, type(None)}:
            there = np.array([value is not None for value in column])
            self._columns([name], floats(column)[None, there], place.only(there), about)
            return
        if kinds == {dict}:
            if all(MEDIA in item for item in column):
                return
            keys = list(map(tuple, column))
            packed = _packed(column, keys[0]) if len(keys[0]) <= INNER and keys.count(keys[0]) == len(keys) else None
            if packed is not None:
                self._columns([f"{name}.{key}" for key in keys[0]], packed, place, about)
                return
        self._one_by_one(name, column, place, about)

    def _columns(self, names: Sequence[str], packed: np.ndarray, place: Place, about: SeriesKey) -> None:
        if packed.size:
            keys = [self._key(name, about) for name in names]
            self._gather.columns(keys, packed, place.ordinals, place.steps, place.times)

    def _one_by_one(self, name: str, column: Sequence[Any], place: Place, about: SeriesKey) -> None:
        places = place.ordinals.tolist(), place.steps.tolist(), place.times.tolist()
        for item, ordinal, step, time in zip(column, *places, strict=True):
            for count, (leaf, value) in enumerate(leaves(item, name)):
                if count == KEYS:
                    self._faults.add("keys")
                    break
                self._gather.one(self._key(leaf, about), ordinal, step, value, time)

    def _key(self, name: str, about: SeriesKey) -> SeriesKey:
        cached = (name, about.quantizer, about.level, about.scope)
        key = self._keys.get(cached)
        if key is None:
            self._characters += len(name)
            if self._characters > NAMES:
                self._keys.clear()
                self._characters = len(name)
            key = self._keys[cached] = SeriesKey(*cached)
        return key


class Rows:
    """Rows as they come in a file; finds step and time of each.

    The step is the first of FINE that a row has. A row with an epoch only stands at its epoch, unless steps have been seen: then at
    the last step, as a row with neither does. Before any step or epoch, rows are numbered from 0.
    """

    def __init__(self, faults: Faults) -> None:
        self._table = Table(faults)
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._characters = 0
        self._count = 0
        self._has_steps = False
        self._last: float | None = None
        self.take = self._table.take

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows, in the order of the file."""
        if not rows:
            return
        fine, coarse, times = (np.full(len(rows), UNKNOWN) for _ in range(3))
        found = blocks(rows, self._shape)
        for block, where in found:
            for column, said in ((fine, block.fine), (coarse, block.coarse), (times, block.time)):
                if said is not None:
                    column[where] = said
        times[~(times > EPOCH_SECONDS)] = UNKNOWN
        place = Place(np.arange(self._count, self._count + len(rows)), self._placed(fine, coarse), times)
        self._count += len(rows)
        for block, where in found:
            self._table.add(block, place.only(where))

    def _shape(self, row: Row) -> Shape:
        keys = tuple(row)
        shape = self._shapes.get(keys)
        if shape is None:
            self._characters += sum(map(len, keys))
            if self._characters > NAMES:
                self._shapes.clear()
                self._characters = 0
            shape = self._shapes[keys] = Shape.of(row)
        return shape

    def _placed(self, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """The step of each row, from what the rows say (NaN where nothing)."""
        if np.isfinite(fine).all():
            self._has_steps, self._last = True, float(fine[-1])
            return fine
        steps = []
        for i, (step, epoch) in enumerate(zip(fine.tolist(), coarse.tolist(), strict=True)):
            if math.isfinite(step):
                self._has_steps, self._last = True, step
            elif math.isfinite(epoch) and not self._has_steps:
                self._last = epoch
            steps.append(self._count + i if self._last is None else self._last)
        return np.array(steps, dtype=np.float64)


def leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """The numbers of a nested value with their names: keys and places joined by dots.

    Example:
        >>> list(leaves({"loss": 1, "usages": [98.1, 97.0], "note": "x"}))
        [('loss', 1.0), ('usages.0', 98.1), ('usages.1', 97.0)]
    """
    if isinstance(value, (dict, list)):
        if MEDIA in value:
            return
        if depth < DEPTH and (isinstance(value, dict) or len(value) <= ITEMS):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from leaves(item, f"{name}.{key}" if name else str(key), depth + 1)
    elif (found := number(value)) is not None:
        yield name, found


def _packed(rows: Sequence[Row], names: tuple[str, ...]) -> np.ndarray | None:
    """The numbers under `names`, (len(names), n) float64; None where some row holds something else there."""
    if not names:
        return np.empty((0, len(rows)))
    pack = struct.Struct(f"={len(names)}d").pack
    pick = itemgetter(*names)
    try:
        if len(names) == 1:
            flat = b"".join([pack(pick(row)) for row in rows])
        else:
            flat = b"".join([pack(*pick(row)) for row in rows])
    except (struct.error, TypeError, OverflowError):  # null or text where the first row of this shape had a number
        return None
    return np.ascontiguousarray(np.frombuffer(flat).reshape(len(rows), len(names)).T)


def floats(column: Sequence[object]) -> np.ndarray:
    """The numbers of a column, (n,) float64, NaN where there is none."""
    if set(map(type, column)) <= {int, float}:
        with suppress(OverflowError):
            return np.array(column, dtype=np.float64)
    return np.array([UNKNOWN if (value := number(item)) is None else value for item in column])

"""Text that a training loop prints: progress bars, `key=value`, `key: value`, and the lines of known programs.

The reader of last resort, for everything that no other claims. It keeps what one line leaves to the next: the step, a heading's
scope, a dict whose name stood on the line before, and lines whose step comes after them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from vqdoctor.logs.aliases import explain_name
from vqdoctor.logs.faults import Faults
from vqdoctor.logs.gather import Gatherer
from vqdoctor.logs.lines import LineCutter
from vqdoctor.logs.readers.json_values import parse
from vqdoctor.logs.readers.reader import Found
from vqdoctor.logs.readers.text_known import (
    Known,
    event_of,
    heading_of,
    level_of,
    numbers_of,
    part_of,
    settings_of,
    speaker_of,
    tells_size,
)
from vqdoctor.logs.readers.text_line import Bar, Pair, bar_of, clean, pairs_of, stage_of, steps_of, told_of, without_noise
from vqdoctor.logs.rows import COARSE, FINE, leaves
from vqdoctor.model import Event, SeriesKey

NO_CURVES = frozenset((*FINE, *COARSE, "eta", "v_num"))
"""What says where a run stands, or which it is."""
COUNTS = ("usage.used", "usage.batch_used", "ema.active")
"""Metrics that count codes of a book."""
NAMES = 100_000  # that are remembered; more of them are data, and no store takes that many series


class Text:
    """The reader; see `Reader`."""

    name: ClassVar[str] = "text"
    by_lines: ClassVar[bool] = True

    def __init__(self) -> None:
        self.faults = Faults()
        self._cutter = LineCutter(self.faults, carriage=True)
        self._gather = Gatherer()
        self._events: list[Event] = []
        self._steps = Steps()
        self._counts: Counter[SeriesKey] = Counter()
        self._line = 0
        self._scope: str | None = None
        self._opened = ""  # name of the dict that the next line is
        self._ahead_bytes = 0
        self._ahead: dict[str, str] = {}  # by speaker, the line whose step has not been told yet
        self._begun: dict[str, Any] = {}  # what the start of a re-initialisation said
        self._codes: int | None = None  # of the book, as the log last said it
        self._from_one = True  # "Level 1" is the first, until a "Level 0" is seen

    @property
    def held(self) -> int:
        """Bytes of a partial last line, and of the lines just before it whose step it may tell."""
        return self._cutter.held + self._ahead_bytes

    @classmethod
    def claims(cls, name: str, head: bytes) -> bool:
        """Anything."""
        return True

    def feed(self, data: bytes) -> list[Found]:
        """Points and events of the lines that `data` completes."""
        return self._read(self._cutter.cut(data))

    def finish(self) -> list[Found]:
        """Those of a last line without an end, and of lines whose step never came."""
        found = self._read(self._cutter.rest())
        self._read_ahead()
        return found + self._read([])

    def _read(self, lines: list[bytes]) -> list[Found]:
        for line in lines:
            if text := clean(line):
                self._line += 1
                self._read_line(text)
            self._ahead_bytes = self._ahead_bytes + len(line) + 1 if self._ahead else 0
        events, self._events = self._events, []
        return [*self._gather.take(), *events]

    def _read_line(self, text: str) -> None:
        if text.startswith("{") and isinstance(row := parse(text.encode()), dict):
            self._read_row(row)
            return
        if (event := event_of(text)) is not None:
            self._tell(*event)
            return
        if (settings := settings_of(text)) is not None:
            self._events.append(Event("run", None, {"config": settings}))
            return
        if (scope := heading_of(text)) is not None:
            self._scope = scope
        elif "最佳模型" in text:  # "loaded the best model (epoch n)": its epoch is not where the log stands
            return
        stage, text = stage_of(text)
        bar, text = bar_of(text)
        fine, epoch, text = steps_of(without_noise(text))
        coarse = epoch if stage is None else stage
        if (fine, coarse, bar) == (None, None, None) and (speaker := speaker_of(text)) is not None:
            self._put_ahead(speaker, text)
            return
        self._read_numbers(text, fine, coarse, bar)
        if fine is not None or bar is not None:
            self._read_ahead()

    def _put_ahead(self, speaker: str, text: str) -> None:
        """Keep a line until its step is told. The same speaker twice, and no step between: this log tells none."""
        if speaker in self._ahead:
            self._read_ahead()
        self._ahead[speaker] = text

    def _read_ahead(self) -> None:
        """Read the lines that were waiting for their step."""
        waiting, self._ahead, self._ahead_bytes = self._ahead, {}, 0
        for text in waiting.values():
            self._read_numbers(text, None, None, None)

    def _read_numbers(self, text: str, fine: int | None, coarse: float | None, bar: Bar | None) -> None:
        known = numbers_of(text)
        about, text = level_of(text) if not known else (None, text)
        pairs = list(pairs_of(text, self._opened if text.strip("; ").startswith("{") else ""))
        self._opened = _opens(text)
        step, epoch = _axis(pairs, FINE, fine), _axis(pairs, COARSE, coarse)
        if (step, epoch, bar) != (None, None, None):
            self._steps.see(step, epoch, bar)
            self._scope = self._scope if heading_of(text) else None
        rest = _without(text, pairs)
        if not pairs and not known and (step, epoch, bar) != (None, None, None):
            told, rest = told_of(text)
            known = [Known(name, value) for name, value in told]
        part = self._scope or (part_of(rest) if pairs or known else None)
        for found in known:
            self._keep(SeriesKey(found.name, level=self._level(found.level), scope=found.scope or part), found.value)
        level = self._level(about) if pairs and not known else None
        for pair in pairs if not known else ():
            if pair.name.lower() not in NO_CURVES:
                self._keep(SeriesKey(pair.name, level=level, scope=part), pair.value)
                self._see_size(pair)

    def _see_size(self, pair: Pair) -> None:
        """Codes in use "2/256" tell the size of the book: said again only when it changes."""
        if pair.of not in (None, self._codes) and (explain_name(pair.name).metric in COUNTS or tells_size(pair.name)):
            self._codes = pair.of
            self._events.append(Event("book-size", self._steps.at, {"codes": pair.of}))

    def _read_row(self, row: dict[str, Any]) -> None:
        """A line that is a JSON object."""
        pairs = [Pair(name, value, 0, 0) for name, value in leaves(row)]
        self._steps.see(_axis(pairs, FINE, None), _axis(pairs, COARSE, None), None)
        for pair in pairs:
            if pair.name.lower() not in NO_CURVES:
                self._keep(SeriesKey(pair.name), pair.value)

    def _keep(self, key: SeriesKey, value: float) -> None:
        step = self._steps.at
        if step is None:
            if len(self._counts) >= NAMES:
                self._counts.clear()
            step = self._counts[key]
            self._counts[key] += 1
        self._gather.one(key, self._line, step, value)

    def _tell(self, kind: str, detail: dict[str, Any]) -> None:
        if kind == "kmeans-begin":
            self._begun = detail
        elif kind == "kmeans-reinit":
            detail, self._begun = {**self._begun, **detail}, {}
        self._events.append(Event(kind, self._steps.at, detail))

    def _level(self, said: int | None) -> int | None:
        if said is None:
            return None
        self._from_one = self._from_one and said > 0
        return said - self._from_one


class Steps:
    """Where a text log stands. Bars and steps that begin again with each epoch go on from where the last epoch ended.

    Attributes:
        at: the step, None before any step, epoch or bar was seen. Epochs count only as long as nothing finer has been seen.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._finer = False
        self._base, self._fine, self._epoch = 0.0, 0.0, 0.0
        self._bars: dict[int | None, tuple[int, int]] = {}

    def see(self, fine: float | None, coarse: float | None, bar: Bar | None) -> None:
        """What a line says of its place; the finest counts."""
        if fine is not None:
            if fine < self._fine and coarse is not None and coarse > self._epoch:
                self._base += self._fine
            self._fine = fine
            self.at, self._finer = self._base + fine, True
        elif bar is not None:
            base, done = self._bars.get(bar.total, (0, 0))
            another = coarse is not None and coarse > self._epoch and bar.total in self._bars
            base += (bar.total or done) if bar.done < done or (another and bar.done == done) else 0
            if len(self._bars) < 64 or bar.total in self._bars:
                self._bars[bar.total] = (base, bar.done)
            self.at, self._finer = float(base + bar.done), True
        elif coarse is not None and not self._finer:
            self.at = coarse
        if coarse is not None:
            self._epoch = coarse


def _axis(pairs: list[Pair], names: tuple[str, ...], said: float | None) -> float | None:
    """The step or epoch: as the line says it, else under a name that means one."""
    return said if said is not None else next((pair.value for pair in pairs if pair.name.lower() in names), None)


def _opens(text: str) -> str:
    """The name on a line that ends in a colon, "" on others: VQFR prints the name of a dict, and the dict on the next line."""
    if not text.endswith(":"):
        return ""
    name = text[:-1].rpartition(" ")[2]
    return name if name.isidentifier() else ""


def _without(text: str, pairs: list[Pair]) -> str:
    """What is left of a line once its names and numbers are out."""
    left, at = [], 0
    for pair in pairs:
        left.append(text[at : pair.start])
        at = max(at, pair.end)
    return "; ".join([*left, text[at:]])

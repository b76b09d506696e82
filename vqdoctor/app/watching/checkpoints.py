"""What one checkpoint says, as a point of a run: what its counters claim, its broken rows, and, with features beside it, real use.

The numbers are those of `vqdoctor inspect`. Beside them each book leaves a hash of every row, so that the next checkpoint can tell
which rows have not moved, even where it has overwritten this one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vqdoctor.errors import NoQuantizerError, VqdoctorError, printable
from vqdoctor.logs import Found, read_file_name
from vqdoctor.model import Event, Points, Report, SeriesKey

SCOPE = "checkpoint"
"""Of its series: the log may hold the same metrics, from batches."""
FROZEN = "frozen_rows"
"""Rows that are bit for bit what they were in the checkpoint before."""
OF_LEVELS = (
    "ema.active", "ema.utilization", "ema.perplexity", "ema.entropy_normalized", "ema.inconsistent_rows", "ema.illusion_gap",
    "geometry.nonfinite_rows", "geometry.zero_rows", "geometry.duplicate_rows", "geometry.untouched_rows",
    "usage.n", "usage.used", "usage.utilization", "usage.adjusted", "usage.perplexity", "usage.entropy_normalized", "usage.dead",
)  # fmt: skip
OF_QUANTIZERS = ("collision.unique", "collision.items", "collision.excess", "collision.rate", "collision.max_group")
STEPS = ("step", "global_step", "iter", "iteration")

Place = tuple[str, int]  # quantiser, level


@dataclass(frozen=True, slots=True)
class Signature:
    """What a file looked like from outside; equal twice, it is not being written."""

    bytes: int
    modified: float
    inode: int

    @classmethod
    def of(cls, path: str) -> Signature | None:
        """That of the file at `path`, None where there is none."""
        try:
            facts = os.stat(path)
        except OSError:
            return None
        return cls(facts.st_size, facts.st_mtime, facts.st_ino)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One checkpoint that was looked at.

    Attributes:
        report: None where it could not be opened or holds no quantiser. trouble: why it could not, in a sentence, else "".
        rows: (K,) uint64 hashes of each book's rows.
    """

    path: str
    modified: float
    report: Report | None = None
    trouble: str = ""
    rows: Mapping[Place, np.ndarray] = field(default_factory=dict)

    @property
    def step(self) -> float | None:
        """The step that it says it is of, None where it says none."""
        info = self.report.source.info if self.report is not None else {}
        return next((float(info[name]) for name in STEPS if isinstance(info.get(name), int | float)), None)

    @property
    def epoch(self) -> float | None:
        """The epoch that it says it is of."""
        epoch = self.report.source.info.get("epoch") if self.report is not None else None
        return float(epoch) if isinstance(epoch, int | float) else None


def look_at(path: str, rules: Mapping[str, Mapping[str, Any]]) -> Looked | None:
    """Open and measure a checkpoint; None where it changed meanwhile, so that it is to be looked at again."""
    from vqdoctor.app.inspect import inspect  # all that measures, which a watch without checkpoints does not need
    from vqdoctor.app.request import InspectRequest
    from vqdoctor.checkpoint import sniff

    before = Signature.of(path)
    if before is None:
        return None
    try:
        if sniff(path) is None:
            return Looked(path, before.modified)
        report = inspect([path], InspectRequest(rules=rules))[0]
        looked = Looked(path, before.modified, report, rows=dict(_row_hashes(path)))
    except NoQuantizerError:
        looked = Looked(path, before.modified)
    except (VqdoctorError, OSError, MemoryError) as error:
        looked = Looked(path, before.modified, trouble=_why(error))
    return looked if Signature.of(path) == before else None


def found_in(looked: Looked, step: float, before: Mapping[Place, np.ndarray], *, digests: bool) -> list[Found]:
    """The points and events of a checkpoint.

    Args:
        step: where it stands in its run. before: row hashes of the checkpoint before, {} where there is none.
        digests: also an event for the hash of each book, as the monitor writes them.
    """
    found: list[Found] = list(_values(looked, step))
    found += [_point(FROZEN, place, step, float(n), looked) for place, n in _frozen(looked.rows, before).items()]
    found += [
        _point(one.key.name, (one.key.quantizer, one.key.level), step, float(one.values[0]), looked)
        for one in read_file_name(os.path.basename(looked.path))
    ]
    report = looked.report
    if report is not None:
        rules = list(dict.fromkeys(finding.rule for finding in report.findings if finding.severity != "info"))
        detail = {"file": os.path.basename(looked.path), "verdict": report.verdict, "rules": rules, "measured": True}
        found.append(Event("checkpoint", step, detail, looked.modified))
    if digests:
        own = {"rank": 0, "measured": True}
        found += [
            Event("digest", step, {"quantizer": name, "level": level, "hash": _digest(rows)} | own, looked.modified)
            for (name, level), rows in looked.rows.items()
        ]
    return found


def _values(looked: Looked, step: float) -> Iterator[Points]:
    for quantizer in looked.report.quantizers if looked.report is not None else ():
        for level in quantizer.levels:
            for name in OF_LEVELS:
                if isinstance(value := level.metrics.get(name), int | float):
                    yield _point(name, (quantizer.name, level.index), step, float(value), looked)
        for name in OF_QUANTIZERS:
            if isinstance(value := quantizer.metrics.get(name), int | float):
                yield _point(name, (quantizer.name, None), step, float(value), looked)


def _point(name: str, place: tuple[str | None, int | None], step: float, value: float, looked: Looked) -> Points:
    key = SeriesKey(name, *place, scope=SCOPE)
    return Points(key, np.array([step]), np.array([value]), np.array([looked.modified]))


def _frozen(now: Mapping[Place, np.ndarray], before: Mapping[Place, np.ndarray]) -> dict[Place, int]:
    """How many rows of each book are what they were; only of books of the same size."""
    both = {place: (rows, before[place]) for place, rows in now.items() if place in before and len(before[place]) == len(rows)}
    return {place: int(np.count_nonzero(rows == old)) for place, (rows, old) in both.items()}


def _row_hashes(path: str) -> Iterator[tuple[Place, np.ndarray]]:
    from vqdoctor.checkpoint import open_source
    from vqdoctor.layouts import codes, find_quantizers

    with open_source(path) as source:
        for quantizer in find_quantizers(source):
            for level in quantizer.levels:
                book = np.ascontiguousarray(codes(source, level, eps=quantizer.ema.eps if quantizer.ema else 1e-5))
                hashes = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in book)
                yield (quantizer.name, level.index), np.frombuffer(hashes, np.uint64)


def _digest(rows: np.ndarray) -> str:
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def _why(error: BaseException) -> str:
    return printable(error.what if isinstance(error, VqdoctorError) else error or type(error).__name__)

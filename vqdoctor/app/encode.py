"""`vqdoctor encode`: codes for each row, by the nearest code of a checkpoint's quantiser, as IDs that other programs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vqdoctor.app.finding import find
from vqdoctor.app.request import InspectRequest, Progress, Silent
from vqdoctor.app.sources import latents_of, lookup_for, only, open_checkpoint, takers, widths
from vqdoctor.checkpoint import open_source
from vqdoctor.diagnosis.words import plural
from vqdoctor.engines import CodedPart, encoder_named
from vqdoctor.engines.ranks import rank_rows
from vqdoctor.engines.spill import SpillingIds
from vqdoctor.errors import NoQuantizerError, SampleError, UsageError, printable
from vqdoctor.model import Quantizer, TensorSource
from vqdoctor.samples import Rows, open_rows
from vqdoctor.samples.id_writing import DEDUP, level_marks
from vqdoctor.samples.spool import Spool

BLOCK = 1 << 16  # rows at a time
_SHOWN = 5  # numbers of rows in a message


@dataclass(frozen=True, slots=True)
class Encoded:
    """IDs of all rows.

    Attributes:
        quantizer: its name. codes: (n, L) int32, 0-based, one row a row of the features, in order.
        ranks: (n,) int32 place of each row among those of equal ID, None without de-duplication.
        unique: distinct IDs before it. marks: what each level's tokens begin with.
    """

    quantizer: str
    codes: np.ndarray
    unique: int
    ranks: np.ndarray | None = None
    marks: tuple[str, ...] = field(default=())

    @property
    def table(self) -> np.ndarray:
        """(n, L) or, with de-duplication, (n, L + 1) int32."""
        return self.codes if self.ranks is None else np.column_stack([self.codes, self.ranks])

    def tokens(self) -> Iterator[list[str]]:
        """``["<a_12>", "<b_7>"]`` a row."""
        for row in self.table.tolist():
            yield [f"<{mark}_{code}>" for mark, code in zip(self.marks, row, strict=True)]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """IDs of all rows, set aside: in memory while they are few, else on disk.

    Attributes:
        quantizer, unique, marks: as in :class:`Encoded`. levels: L. n: rows.
    """

    quantizer: str
    unique: int
    marks: tuple[str, ...]
    levels: int
    n: int
    codes: Spool
    ranks: Spool | None

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """(b, L) or, with de-duplication, (b, L + 1) integers, `size` rows at a time."""
        for start in range(0, self.n, size):
            stop = min(start + size, self.n)
            codes = _read(self.codes, self.levels, start, stop)
            yield codes if self.ranks is None else np.column_stack([codes, self.ranks.read(start, stop)])


def encode(path: str, *, dedup: bool = False, **options: Any) -> Encoded:
    """Codes for every row, in memory. Arguments and errors are those of :func:`encode_rows`."""
    rows = encode_rows(path, dedup=dedup, **options)
    table = np.empty((rows.n, len(rows.marks)), np.int32)
    for at, block in enumerate(rows.blocks(BLOCK)):
        table[at * BLOCK : at * BLOCK + len(block)] = block
    codes = np.ascontiguousarray(table[:, : rows.levels])
    return Encoded(rows.quantizer, codes, rows.unique, table[:, -1].copy() if dedup else None, rows.marks)


def encode_rows(
    path: str,
    *,
    features: str | Rows | None = None,
    data: str | None = None,
    quantizer: str | None = None,
    metric: str | None = None,
    dedup: bool = False,
    engine: str = "local",
    progress: Progress | None = None,
) -> EncodedRows:
    """Codes for every row, however many there are.

    Args:
        path: the checkpoint. features: rows (N, D) before quantisation, or their file.
        data: raw inputs instead, put through its encoder.
        quantizer: which one, where several fit. metric: where the file cannot say. dedup: add each row's rank among equal IDs.
        engine: where rows are encoded, by name.

    Raises:
        UsageError, SampleError: what was given does not fit, or there is no such engine;
        NoQuantizerError: no book to look codes up in.
    """
    progress = progress or Silent()
    encoder = encoder_named(engine)  # a name that nobody has is told before the work, not after
    with open_checkpoint(path) as source:
        found = only(find(source, InspectRequest(metric=metric)), quantizer)
        stored = [one for one in found if one.levels]
        if not stored:
            raise NoQuantizerError("holds only quantisers without a stored book: their codes follow from rounding.", where=path)
        rows = _rows(source, stored, features, data)
        chosen = takers(rows, stored, rows.path)
        if len(chosen) > 1:
            names = ", ".join(printable(one.name) for one in chosen)
            raise SampleError(
                f"its rows feed {len(chosen)} quantisers ({names}).", where=rows.path, hint="Name one with --quantizer."
            )
        lookup = lookup_for(source, chosen[0], rows.width, metric)
        sizes = [len(stage.codes) for stage in lookup.stages]
        progress.start("encoding", rows.n)
        codes, counted = _set_aside(encoder(rows, lookup, progress=progress.advance), sizes, rows.path, path)
    levels = len(sizes)
    n = len(codes) // levels
    progress.start("counting IDs", None)
    ids = counted.finish()
    ranks = rank_rows(lambda: (_read(codes, levels, at, min(at + BLOCK, n)) for at in range(0, n, BLOCK)), ids) if dedup else None
    progress.stop()
    marks = (*level_marks(levels), *((DEDUP,) if dedup else ()))
    return EncodedRows(chosen[0].name, len(ids.keys), marks, levels, n, codes, ranks)


def _read(codes: Spool, levels: int, start: int, stop: int) -> np.ndarray:
    return codes.read(start * levels, stop * levels).reshape(-1, levels)


def _rows(source: TensorSource, stored: Sequence[Quantizer], features: str | Rows | None, data: str | None) -> Rows:
    if features is not None and data is None:
        rows = open_rows(features, open_source=open_source) if isinstance(features, str) else features
    elif data is not None and features is None:
        return latents_of(source.path, stored, data)
    else:
        raise UsageError("Give either --features (latents) or --data (raw inputs).")
    raw = input_width(source)
    if rows.width == raw and all(rows.width not in widths(one) for one in stored):
        raise SampleError(
            f"its rows have {rows.width} columns, which is what the encoder takes.", where=rows.path, hint="Give them as --data."
        )
    return rows


def input_width(source: TensorSource) -> int | None:
    """Columns that the encoder of a trainer's checkpoint takes, None where that is not known."""
    weight = next((spec for spec in source.specs.values() if spec.key.startswith("encoder.") and len(spec.shape) == 2), None)
    return None if weight is None else weight.shape[1]


def _set_aside(parts: Iterable[CodedPart], sizes: Sequence[int], features: str, checkpoint: str) -> tuple[Spool, SpillingIds]:
    """The codes of all parts, row after row, and what was counted of them. Raises SampleError where a row has none."""
    codes, counted = Spool(np.min_scalar_type(max(sizes) - 1)), SpillingIds(sizes)
    unusable, lost = _Uncoded(), _Uncoded()
    for part in parts:
        unusable.add(part.unusable)
        lost.add(part.lost)
        if not unusable.n + lost.n:  # else the rest is only looked through for more of them
            codes.append(part.codes)
            counted.add(part.codes)
    if unusable.n:
        what = f"{plural(unusable.n, 'row')} with NaN or Inf and without a code (rows {unusable})."
        raise SampleError(what, where=features, hint="Every row needs an ID: mend or remove them first.")
    if lost.n:
        why = "its codes hold NaN or Inf, or have no direction"
        what = f"{plural(lost.n, 'row')} find no code (rows {lost}): {why}."
        raise SampleError(what, where=checkpoint, hint="Look at the book first: vqdoctor inspect.")
    return codes, counted


class _Uncoded:
    """Rows without a code: how many, and the numbers of the first."""

    def __init__(self) -> None:
        self.n = 0
        self._first: list[int] = []

    def add(self, rows: np.ndarray) -> None:
        """The next, by their numbers."""
        self.n += len(rows)
        self._first += rows[: _SHOWN - len(self._first)].tolist()

    def __str__(self) -> str:
        return ", ".join(map(str, self._first)) + (", …" if self.n > len(self._first) else "")

"""`vqdoctor encode`: codes for each row, by the nearest code of a checkpoint's quantiser, as IDs that other programs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vqdoctor.app.finding import find
from vqdoctor.app.request import InspectRequest, Progress, Silent
from vqdoctor.app.sources import latents_of, lookup_for, only, open_checkpoint, takers, widths
from vqdoctor.checkpoint import open_source
from vqdoctor.diagnosis.words import plural
from vqdoctor.engines import CodedPart, encoder_named
from vqdoctor.engines.ids import Packing
from vqdoctor.errors import NoQuantizerError, SampleError, UsageError, printable
from vqdoctor.model import Quantizer, TensorSource
from vqdoctor.samples import Rows, open_rows
from vqdoctor.samples.id_writing import DEDUP, level_marks


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


def encode(
    path: str,
    *,
    features: str | Rows | None = None,
    data: str | None = None,
    quantizer: str | None = None,
    metric: str | None = None,
    dedup: bool = False,
    engine: str = "local",
    progress: Progress | None = None,
) -> Encoded:
    """Codes for every row.

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
        progress.start("encoding", rows.n)
        codes = _joined(encoder(rows, lookup, progress=progress.advance), len(lookup.stages), rows.path, path)
        progress.stop()
    ranks, unique = ranks_of(codes)
    marks = (*level_marks(codes.shape[1]), *((DEDUP,) if dedup else ()))
    return Encoded(chosen[0].name, codes, unique, ranks if dedup else None, marks)


def ranks_of(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Place of each row (n, L) among the rows of equal ID, in order, (n,) int32; and the number of distinct IDs."""
    sizes = [int(top) + 1 for top in codes.max(axis=0, initial=0)]
    _, group, counts = np.unique(Packing(sizes).pack(codes), return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(codes), np.int32)
    ranks[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    return ranks, len(counts)


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


def _joined(parts: Iterable[CodedPart], levels: int, features: str, checkpoint: str) -> np.ndarray:
    """The codes of all parts, (n, L) int32. Raises SampleError where a row has none."""
    coded = [CodedPart(np.empty((0, levels), np.int32), *[np.empty(0, np.int64)] * 2), *parts]
    unusable, lost = (np.concatenate([getattr(part, name) for part in coded]) for name in ("unusable", "lost"))
    if len(unusable):
        what = f"{plural(len(unusable), 'row')} with NaN or Inf and without a code (rows {_some(unusable.tolist())})."
        raise SampleError(what, where=features, hint="Every row needs an ID: mend or remove them first.")
    if len(lost):
        why = "its codes hold NaN or Inf, or have no direction"
        what = f"{plural(len(lost), 'row')} find no code (rows {_some(lost.tolist())}): {why}."
        raise SampleError(what, where=checkpoint, hint="Look at the book first: vqdoctor inspect.")
    return np.concatenate([part.codes for part in coded])


def _some(numbers: Sequence[int], shown: int = 5) -> str:
    """The first of them."""
    return ", ".join(map(str, numbers[:shown])) + (", …" if len(numbers) > shown else "")

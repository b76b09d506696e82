"""A sample shared out in parts, and what they leave behind put together: what all engines have in common, wherever they count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vqdoctor.engines.ids import CountedIds, IdGroup
from vqdoctor.engines.share import Drawn, Share, draw, kept_rows, wrong_width
from vqdoctor.engines.tally import LevelTally, Tally
from vqdoctor.errors import SampleError
from vqdoctor.metrics.batches import BatchMeans
from vqdoctor.model import Lookup
from vqdoctor.samples import Part, Rows, part_rows

KEPT_BYTES = 64 << 20  # of kept rows, whatever the width of a row


@dataclass(frozen=True, slots=True)
class SharedOut:
    """The work on a sample.

    Attributes:
        parts: in order, once, each with the rows of it that are to be kept. Rows that no file holds come with their part, so
            parts are taken one at a time.
        rows: of all parts. keep: how many of the drawn rows, at most, in the end.
    """

    parts: Iterator[tuple[Part, Drawn]]
    rows: int
    keep: int


def shared_out(rows: Rows, lookup: Lookup, keep: int, rng: np.random.Generator) -> SharedOut:
    """The work on a sample. What comes of it depends on the sample and the generator, never on who does it.

    Raises:
        SampleError: the rows do not have the quantiser's width.
    """
    if rows.width != lookup.width:
        raise wrong_width(rows.path, rows.width, lookup)
    parts: Iterable[Part] = rows.parts(part_rows(rows.n))
    if rows.n is None:
        parts = tuple(parts)
    n = sum(part.rows for part in parts) if rows.n is None else rows.n
    if not n:
        raise SampleError("holds no rows", where=rows.path)
    keep = min(keep, max(1, KEPT_BYTES // (4 * rows.width)))
    drawn = draw(n, keep, rng)
    return SharedOut(((part, drawn.within(part.first, part.rows)) for part in parts), n, keep)


def assemble(
    share: Share,
    lookup: Lookup,
    keep: int,
    *,
    batches: Sequence[BatchMeans],
    ids: CountedIds | None = None,
    distinct_rows: int | None = None,
) -> Tally:
    """The tally of a whole sample.

    Args:
        share: of all its rows. keep: from :func:`shared_out`.
        batches: one per level, of all codes in order. ids: of all codes; None for one level. distinct_rows: None where not counted.
    """
    dropped, left_out = share.dropped, share.left_out.tolist()
    levels = tuple(LevelTally(counts, means) for counts, means in zip(share.counts, batches, strict=True))
    groups = () if ids is None else named_groups(ids, left_out if len(left_out) == dropped else None)
    tally = Tally(share.n, dropped, tuple(left_out), levels, ids, groups)
    if not share.n:
        return tally
    residuals = share.residuals / share.n
    soft: Sequence[np.ndarray | None] = [shares / share.n for shares in share.soft] or [None] * len(levels)
    return replace(
        tally,
        levels=tuple(
            replace(level, residual=float(residual), soft=shares)
            for level, residual, shares in zip(levels, residuals, soft, strict=True)
        ),
        distinct_rows=distinct_rows,
        mean=share.moments.mean,
        variance=share.moments.variance,
        energy=float(share.moments.variance.sum()),
        squared_error=float(residuals.sum() if lookup.structure == "product" else residuals[-1]),
        kept=kept_rows(share, keep),
    )


def row_numbers(indices: np.ndarray, left_out: Sequence[int]) -> np.ndarray:
    """Numbers in the file of rows whose place among the rows that were not left out is `indices`; `left_out` ascending."""
    gaps = np.asarray(left_out, np.int64) - np.arange(len(left_out))
    return indices + np.searchsorted(gaps, indices, side="right")


def named_groups(ids: CountedIds, left_out: Sequence[int] | None) -> tuple[IdGroup, ...]:
    """The largest groups, rows numbered as in the file; without members where it is not known which rows were left out."""
    groups = ids.largest(members=10 if left_out is not None else 0)
    return tuple(
        replace(group, rows=tuple(map(int, row_numbers(np.array(group.rows, np.int64), left_out or ())))) for group in groups
    )

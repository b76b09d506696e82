"""What the rows of one part leave behind, and how two such shares become that of both.

Who counts a part knows neither the parts before it nor how many there are, so a share holds only what needs no such knowledge:
sums, and rows that were drawn by their number. Joining is exact for whatever is counted; sums of floats depend on the order in
which they are joined, which is therefore always that of the parts. What does depend on the place of a row (batches, who has an
ID) is worked out from the codes, once the parts before are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vqdoctor.engines.distinct import row_hashes
from vqdoctor.engines.moments import Moments
from vqdoctor.engines.tally import Kept
from vqdoctor.errors import SampleError
from vqdoctor.model import Lookup
from vqdoctor.nearest import Encoded, Searcher
from vqdoctor.samples import Part, open_part
from vqdoctor.samples.stored import OpenSource

BLOCK_BYTES = 4 << 20  # of rows at a time
MOST_LISTED = 10_000  # dropped rows whose numbers are kept
OVERDRAWN = 2
"""Rows drawn for each that is kept: some of them may turn out to be bad."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows that are to be kept, drawn by number before any is read: the same however the sample is cut.

    Attributes:
        numbers: (m,) ascending. ranks: (m,) the order in which they were drawn; of the good ones the first are kept.
    """

    numbers: np.ndarray
    ranks: np.ndarray

    def within(self, first: int, rows: int) -> Drawn:
        """Those of a part."""
        start, stop = np.searchsorted(self.numbers, [first, first + rows])
        return Drawn(self.numbers[start:stop], self.ranks[start:stop])


@dataclass(frozen=True, slots=True)
class Share:
    """Consecutive rows, counted.

    Attributes:
        rows: how many there are, bad ones included. n: good ones. left_out: numbers of the first 10,000 others, ascending.
        counts: per level (K,) int64 hits. residuals: (L,) float64 sums of squared norms of what is left after each level.
        soft: per level (K,) float64, Σ softmax(−d²/T); () where not asked for.
        moments: of the good rows in the quantiser's space.
        kept: the good ones of the drawn rows, part by part, each with the ranks (m,) that they were drawn at.
    """

    rows: int
    n: int
    left_out: np.ndarray
    counts: tuple[np.ndarray, ...]
    residuals: np.ndarray
    soft: tuple[np.ndarray, ...]
    moments: Moments
    kept: tuple[tuple[Kept, np.ndarray], ...]

    @property
    def dropped(self) -> int:
        """Rows left out: NaN, Inf, no direction, too large."""
        return self.rows - self.n


@dataclass(frozen=True, slots=True)
class Counted:
    """A part that was counted.

    Attributes:
        share: its share. codes: (n, L) of the good rows in order, as narrow as the books allow.
        hashes: of the different rows, ascending; None where not asked for.
    """

    share: Share
    codes: np.ndarray
    hashes: np.ndarray | None


def draw(n: int, keep: int, rng: np.random.Generator) -> Drawn:
    """The rows to keep of n."""
    drawn = rng.choice(n, min(n, OVERDRAWN * keep), replace=False)
    order = np.argsort(drawn)
    return Drawn(drawn[order], order)


def nothing(sizes: Sequence[int]) -> Share:
    """The share of no rows, for levels of so many codes."""
    counts, residuals = tuple(np.zeros(size, np.int64) for size in sizes), np.zeros(len(sizes))
    return Share(0, 0, np.empty(0, np.int64), counts, residuals, (), Moments(), ())


def join(one: Share, other: Share) -> Share:
    """The share of the rows of `one` and those right after them, of `other`."""
    return Share(
        one.rows + other.rows,
        one.n + other.n,
        np.concatenate([one.left_out, other.left_out])[:MOST_LISTED],
        tuple(a + b for a, b in zip(one.counts, other.counts, strict=True)),
        one.residuals + other.residuals,
        _summed(one.soft, other.soft),
        one.moments.joined(other.moments),
        (*one.kept, *other.kept),
    )


def kept_rows(share: Share, keep: int) -> Kept:
    """The kept rows of a whole sample, in the order of the file: of the good ones those that were drawn first."""
    parts, ranks = zip(*share.kept, strict=True)
    chosen = np.sort(np.argsort(np.concatenate(ranks))[:keep])
    return Kept(
        *(np.concatenate([getattr(part, name) for part in parts])[chosen] for name in ("numbers", "rows", "codes", "distances"))
    )


def count_part(
    part: Part,
    searcher: Searcher,
    drawn: Drawn,
    *,
    temperature: float | None = None,
    hashing: bool = False,
    open_source: OpenSource | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counted:
    """Reads, encodes and counts a part.

    Args:
        drawn: the rows of the part to keep. temperature: also use under softmax(−d²/T). hashing: also hash the rows.
        open_source: as for `open_rows`. progress: told the number of rows done after each block.

    Raises:
        InputError, SampleError: the part cannot be read, or has not the quantiser's width.
    """
    rows = open_part(part, open_source)
    if rows.width != searcher.lookup.width:
        raise wrong_width(part.pieces[0].path if part.pieces else part.path, rows.width, searcher.lookup)
    work = _Work(part.first, searcher, drawn, hashing)
    for block, good in rows.checked(max(256, BLOCK_BYTES // (4 * rows.width))):
        given = block if good.all() else block[good]
        work.add(given, np.flatnonzero(good), len(block), searcher.encode(given, temperature=temperature))
        if progress is not None:
            progress(len(block))
    return work.counted()


def wrong_width(path: str, width: int, lookup: Lookup) -> SampleError:
    """Rows that a quantiser cannot take."""
    what = f"has rows of {width} columns, the quantiser takes {lookup.width}"
    return SampleError(what, where=path, hint="Give the encoder's outputs before quantisation.")


class _Work:
    """Everything that one pass over a part accumulates."""

    def __init__(self, first: int, searcher: Searcher, drawn: Drawn, hashing: bool) -> None:
        self._searcher, self._drawn = searcher, drawn
        self._first = self._seen = first
        sizes = [book.size for book in searcher.books]
        self._counts = tuple(np.zeros(size, np.int64) for size in sizes)
        self._residuals = np.zeros(len(sizes))
        self._soft: tuple[np.ndarray, ...] = ()
        self._moments = Moments()
        self._left_out: list[np.ndarray] = []
        self._codes = [np.empty((0, len(sizes)), np.min_scalar_type(max(sizes) - 1))]
        self._hashes: list[np.ndarray] | None = [np.empty(0, np.uint64)] if hashing else None
        self._kept: list[tuple[Kept, np.ndarray]] = []

    def add(self, block: np.ndarray, places: np.ndarray, rows: int, found: Encoded) -> None:
        """The next `rows` rows: of those at `places` (b,) the values (b, W) and codes; the others are bad."""
        assigned = found.codes.min(axis=1, initial=0) >= 0
        if not assigned.all():
            block, places, found = block[assigned], places[assigned], _only(found, assigned)
        if len(places) < rows:
            self._left_out.append(self._seen + np.setdiff1d(np.arange(rows), places, assume_unique=True))
        self._count(block, found)
        self._keep(block, self._seen + places, found)
        self._seen += rows

    def _count(self, block: np.ndarray, found: Encoded) -> None:
        for level, counts in enumerate(self._counts):
            counts += np.bincount(found.codes[:, level], minlength=len(counts))
        self._moments.add(self._searcher.enter(block))
        self._residuals += found.residuals.sum(axis=0, dtype=np.float64)
        if found.soft is not None:
            self._soft = _summed(self._soft, found.soft)
        self._codes.append(found.codes.astype(self._codes[0].dtype))
        if self._hashes is not None:
            self._hashes.append(row_hashes(block))

    def _keep(self, block: np.ndarray, numbers: np.ndarray, found: Encoded) -> None:
        """Of good rows with these numbers (b,), ascending, those that were drawn."""
        _, at, drawn = np.intersect1d(numbers, self._drawn.numbers, assume_unique=True, return_indices=True)
        if len(at):
            kept = Kept(numbers[at], block[at], found.codes[at], found.distances[at])
            self._kept.append((kept, self._drawn.ranks[drawn]))

    def counted(self) -> Counted:
        """The result."""
        left_out = np.concatenate([np.empty(0, np.int64), *self._left_out])[:MOST_LISTED]
        share = Share(
            self._seen - self._first, sum(map(len, self._codes)), left_out, self._counts, self._residuals, self._soft,
            self._moments, tuple(self._kept),
        )  # fmt: skip
        hashes = None if self._hashes is None else np.unique(np.concatenate(self._hashes))
        return Counted(share, np.concatenate(self._codes), hashes)


def _summed(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Level by level; () is nothing."""
    return tuple(a + b for a, b in zip(one, other, strict=True)) if one and other else one or other


def _only(found: Encoded, rows: np.ndarray) -> Encoded:
    return replace(found, codes=found.codes[rows], distances=found.distances[rows], residuals=found.residuals[rows])

"""Codes of every row, part by part, for whoever writes them: what an engine does that encodes and does not count.

Parts are cut and read as for counting, so that a worker elsewhere reads its rows itself, and whoever asked gets the codes in the
order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vqdoctor.engines.share import BLOCK_BYTES, wrong_width
from vqdoctor.model import Lookup
from vqdoctor.nearest import Searcher
from vqdoctor.samples import Part, Rows, open_part, part_rows
from vqdoctor.samples.stored import OpenSource


@dataclass(frozen=True, slots=True)
class CodedPart:
    """A part, encoded.

    Attributes:
        codes: (n, L) of the rows that have one, in order, as narrow as the books allow.
        unusable: numbers of the rows with NaN or Inf. lost: of those that find no code all the same.
    """

    codes: np.ndarray
    unusable: np.ndarray
    lost: np.ndarray


def code_part(
    part: Part,
    searcher: Searcher,
    *,
    open_source: OpenSource | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> CodedPart:
    """Reads and encodes a part. The arguments are those of :func:`vqdoctor.engines.count_part`.

    Raises:
        InputError, SampleError: it cannot be read, or has not the quantiser's width.
    """
    rows = open_part(part, open_source)
    if rows.width != searcher.lookup.width:
        raise wrong_width(part.path, rows.width, searcher.lookup)
    codes, usable, found = [], [np.empty(0, bool)], [np.empty(0, bool)]
    narrow = np.min_scalar_type(max(book.size for book in searcher.books) - 1)
    for block, good in rows.checked(max(256, BLOCK_BYTES // (4 * rows.width))):
        coded = searcher.encode(block if good.all() else block[good]).codes
        whole = coded.min(axis=1, initial=0) >= 0
        codes.append(coded[whole].astype(narrow))
        usable.append(good)
        found.append(whole)
        progress(len(block))
    usable_numbers = part.first + np.flatnonzero(np.concatenate(usable))
    lost = usable_numbers[~np.concatenate(found)]
    return CodedPart(np.concatenate(codes), part.first + np.flatnonzero(~np.concatenate(usable)), lost)


def encode_rows(rows: Rows, lookup: Lookup, *, progress: Callable[[int], None] = lambda n: None) -> Iterator[CodedPart]:
    """The codes of all rows, in their order; here, in this process. progress: told the number of rows done after each block.

    Raises:
        InputError, SampleError: as :func:`code_part`.
    """
    searcher = Searcher(lookup)
    for part in rows.parts(part_rows(rows.n)):
        yield code_part(part, searcher, progress=progress)

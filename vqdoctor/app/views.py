"""What a browser of a report draws beyond the report: all distinct IDs, who has them, and how they branch.

Kept only where it was asked for (`InspectRequest.views`): a report for a file or a pipe has no use for ten million IDs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqdoctor.app.static import StaticLevel
from vqdoctor.engines import Tally, level_inputs, row_numbers
from vqdoctor.metrics import Branches, branches, pca_map
from vqdoctor.model import Lookup


@dataclass(frozen=True, slots=True)
class IdBrowser:
    """The distinct IDs of a sample.

    Attributes:
        codes: (U, L) int32 in lexicographic order. items: (U,) how many items have each.
        members: (row of `codes`, most) → what the sample calls the first items that have this ID; () where that was not kept.
    """

    codes: np.ndarray
    items: np.ndarray
    members: Callable[[int, int], tuple[str, ...]]

    def branches(self, prefix: Sequence[int] = ()) -> Branches:
        """What follows `prefix`, fullest first."""
        return branches(self.codes, self.items, prefix)

    def shared(self) -> np.ndarray:
        """Rows of `codes` that two items or more have, largest group first, then by ID."""
        found = np.flatnonzero(self.items > 1)
        return found[np.argsort(-self.items[found], kind="stable")]


def browser(tally: Tally, names: Callable[[int], object] | None) -> IdBrowser | None:
    """The IDs of a tally; None for one level. names: row number in the file → what the sample calls the item."""
    ids = tally.ids
    if ids is None:
        return None
    left_out = tally.dropped_rows if len(tally.dropped_rows) == tally.dropped else None

    def members(at: int, most: int) -> tuple[str, ...]:
        if ids.rows is None or left_out is None:
            return ()
        rows = row_numbers(np.array(ids.members(ids.keys[at], most), np.int64), left_out)
        return tuple(str(names(int(row))) if names else f"row {row}" for row in rows)

    return IdBrowser(ids.codes, ids.items, members)


def level_maps(static: Sequence[StaticLevel], tally: Tally | None, lookup: Lookup | None) -> list[dict[str, Any]]:
    """`pca_map` of each level: with what reached it where a sample was looked up, else the codes alone."""
    inputs = [] if tally is None or lookup is None else list(level_inputs(tally, lookup))
    return [pca_map(level.book, inputs[at] if at < len(inputs) else None) for at, level in enumerate(static)]

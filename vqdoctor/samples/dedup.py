"""What of an ID is code and what is book-keeping: the de-duplication token at its end, and whether codes count from 0 or from 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vqdoctor.errors import SampleError, printable
from vqdoctor.samples.tokens import TokenTable

BY_CHANCE = 0.5  # chance above which "no code is 0" proves nothing


def suffix_of(table: TokenTable, told: bool | None = None) -> tuple[bool, str]:
    """Whether the last token is a de-duplication token, and why (contract §4).

    It is one if its values within every group of equal prefixes are just 0…g−1 or 1…g (from any number where all lie above the
    codes), or if only colliding items have it. A constant last column is a (collapsed) level, unless the IDs are ragged.

    Args:
        told: the user's word, which overrides the looks.

    Raises:
        SampleError: IDs of two lengths whose extra token cannot be one.
    """
    ragged = table.lengths.min() < table.lengths.max()
    if told is not None:
        if ragged and not told:
            what = f"{_two_lengths(table)}: the last token cannot be a level"
            raise SampleError(what, where=table.path, hint="Leave --suffix out, or say --suffix yes.")
        if told and table.codes.shape[1] == 1:
            raise SampleError("IDs of one token have none to spare for de-duplication", where=table.path, hint="Drop --suffix.")
        return told, "as told by --suffix"
    return _ragged_suffix(table) if ragged else _fixed_suffix(table.codes)


def _ragged_suffix(table: TokenTable) -> tuple[bool, str]:
    has = table.lengths == table.lengths.max()
    order, starts = _groups(table.codes[:, :-1])
    sizes = np.diff(starts, append=len(order))
    colliding = np.empty(len(order), bool)
    colliding[order] = np.repeat(sizes > 1, sizes)
    alone = np.flatnonzero(has & ~colliding)
    if not len(alone):
        return True, f"only items that share the tokens before it have a token {table.codes.shape[1]}: it tells them apart"
    name = printable(alone[0] if table.names is None else table.names[alone[0]], 40)
    what = f"{_two_lengths(table)}, and item {name} has the extra token though no other item shares the ones before"
    raise SampleError(what, where=table.path, hint="If it is a de-duplication token all the same, say --suffix yes.")


def _fixed_suffix(codes: np.ndarray) -> tuple[bool, str]:
    levels, last = codes.shape[1], codes[:, -1]
    if levels == 1:
        return False, "IDs have one token, which is a level"
    if last.min() == last.max():
        return False, f"token {levels} is {last[0]} for every item: a collapsed level, not a de-duplication token"
    order, starts = _groups(codes[:, :-1], then=last)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    first = int(last.min())
    apart = first > codes[:, :-1].max()  # its own part of a vocabulary that all tokens share
    if (first in (0, 1) or apart) and (last[order] == rank + first).all():
        return True, f"token {levels} numbers the items of every group of equal prefixes from {first}"
    return False, f"the values of token {levels} do not number the items of equal prefixes: it is a level"


def _two_lengths(table: TokenTable) -> str:
    longest = int(table.lengths.max())
    many = int((table.lengths == longest).sum())
    return f"{len(table.lengths) - many} IDs have {longest - 1} tokens and {many} have {longest}"


def _groups(prefixes: np.ndarray, then: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Items in order of their prefix (then of `then`), and where each group of equal prefixes begins in that order."""
    keys = list(prefixes.T[::-1]) if then is None else [then, *prefixes.T[::-1]]
    order = np.lexsort(keys)
    ordered = prefixes[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, np.flatnonzero(fresh)


def base_of(codes: np.ndarray, ragged: bool, sizes: Sequence[int] | None = None) -> tuple[int, str]:
    """Whether codes (N, L) count from 0 or 1, and on what grounds.

    Judged over all levels together. Where none holds a 0, the chance of that for 0-based codes is estimated as ∏(1 −
    distinct/(max+1)): in a handful of items it means nothing.
    """
    if codes.min() == 0:
        return 0, "code 0 occurs"
    highest = codes.max(axis=0)
    if sizes is not None and len(sizes) == len(highest) and (highest >= np.asarray(sizes)).any():
        return 1, "no code is 0 and the highest equals the codebook's size"
    if ragged:
        return 1, "no code is 0 and only some items have a de-duplication token, as the 1-based writers do"
    distinct = np.array([len(np.unique(column)) for column in codes.T])
    if np.prod(1 - distinct / (highest + 1)) <= BY_CHANCE:
        return 1, f"no code is 0 at any of {codes.shape[1]} levels over {len(codes)} items"
    return 0, f"no code is 0, but {len(codes)} items are too few to tell: taken as counting from 0"

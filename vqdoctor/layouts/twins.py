"""The same quantiser stored twice: once counted, and said so.

Training keeps a moving average of all weights beside the weights (``params_ema``, ``ema``, LitEma's keys without dots), saves
the best state beside the last, or saves a module with and without its DDP wrapper. Two copies are two readings of one
quantiser, so a report lists it once:

* equal copies: the first in the file;
* an EMA copy that differs: the EMA copy, which is what evaluation loads; but the weights themselves where they carry counts:
  LitEma copies trained parameters only, others average codes, sums and counts each by itself (no longer one the quotient of the
  others) or keep the buffers of the first step;
* copies that differ and are no EMA of each other (a best state): both, told apart by their container.

What is left out stays reachable as ``facts["twins"]``, so that a repair can write every copy.
Source: CompVis/latent-diffusion ldm/modules/ema.py; reference layouts §2, gotchas 6 and 8.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from vqdoctor.errors import LimitExceeded
from vqdoctor.layouts.family import join
from vqdoctor.layouts.state import StateDict, unwrapped
from vqdoctor.model import Codebook, Quantizer, Slice, TensorSource, TensorSpec

AVERAGED = re.compile(r"(?:^|_)(?:ema|teacher|shadow|swa|averaged)(?:_|$)", re.IGNORECASE)
LIT_EMA = "model_ema"
HOLDERS = {"state", "state_dict", "shadow", "model", "params"}  # between what says average and the keys: flashy's ema.state.model
MOST_BOOKS = 2048
BLOCK = 1 << 20  # elements compared at a time
Path = tuple[str, ...]


def settle(states: Sequence[StateDict], found: Sequence[Quantizer]) -> list[Quantizer]:
    """The quantisers of a file with twins folded into one, each name unique.

    Args:
        states: the state dicts that `found` were matched in. found: in file order.

    Raises:
        LimitExceeded: more codebooks than any model has; each costs a pass over its rows.
    """
    if not found:
        return []
    if sum(max(1, len(one.levels)) for one in found) > MOST_BOOKS:
        raise LimitExceeded(
            f"holds more than {MOST_BOOKS:,} codebooks.",
            where=states[0].source.path,
            hint="Name those that are meant: --select REGEX.",
        )
    source = states[0].source
    by_container = {state.container: state for state in states}
    kept = [_with_second_copies(source, by_container[one.container], one) for one in found]
    return _named_apart(_folded(source, kept))


def _folded(source: TensorSource, found: Sequence[Quantizer]) -> list[Quantizer]:
    """`found` with every pair of twins, of different containers or prefixes, made one; at the place of the first."""
    kept: list[Quantizer] = []
    for one in found:
        place = next((i for i, other in enumerate(kept) if _are_one(source, other, one)), None)
        if place is None:
            kept.append(one)
        else:
            kept[place] = _merged(source, kept[place], one)
    return kept


def _are_one(source: TensorSource, a: Quantizer, b: Quantizer) -> bool:
    """True for an average and what it averages (each once), for equal copies of one module, and for books that are one tensor."""
    if _shapes(a) != _shapes(b):
        return False
    if not (a.facts.get("averaged") or b.facts.get("averaged")) and (_is_average_of(a, b) or _is_average_of(b, a)):
        return True
    same = _marked("", _key(a)) == _marked("", _key(b))
    return _equal(source, a, b) if same else _tied(source, a, b)


def _tied(source: TensorSource, a: Quantizer, b: Quantizer) -> bool:
    pairs = zip(a.levels, b.levels, strict=True)
    return bool(a.levels) and all(_same_bytes(source, one.stored, two.stored) for one, two in pairs)


def _shapes(quantizer: Quantizer) -> list[tuple[int, int]]:
    return [(level.codes, level.dim) for level in quantizer.levels]


def _key(quantizer: Quantizer) -> str:
    """The key of its first book; the name of a quantiser without books."""
    return quantizer.levels[0].key if quantizer.levels else quantizer.name


@lru_cache(maxsize=2 * MOST_BOOKS)  # each quantiser is compared with every other
def _marked(container: str, key: str) -> tuple[Path, tuple[int, ...]]:
    """Container and book key as parts, wrappers left out, and which of them say average."""
    path = tuple(unwrapped(join(container, key)).split("."))
    return path, tuple(i for i, part in enumerate(path) if AVERAGED.search(part))


def _is_average_of(a: Quantizer, b: Quantizer) -> bool:
    """True where `a` lies under a part that says average, and `b` at the same place without it.

    Example: ``params_ema`` · quantize… of ``params`` · quantize…; ``ema_model.vq…`` of ``online_model.vq…``; ``ema`` of ``model``.
    """
    (mine, marks), (other, others) = _marked(a.container, _key(a)), _marked(b.container, _key(b))
    if others or not marks:
        return False
    mark = marks[-1]
    plain = AVERAGED.sub("", mine[mark])
    if other == (*mine[:mark], *((plain,) if plain else ()), *mine[mark + 1 :]):
        return True
    rest = mine[mark + 1 :]
    while rest and rest[0] in HOLDERS:
        rest = rest[1:]
    module = len(mine) - len(unwrapped(_key(a)).split(".")) + len(unwrapped(a.name).split(".")) - 1
    return mark < max(module, 1) and bool(rest) and other[-len(rest) :] == rest


def _equal(source: TensorSource, a: Quantizer, b: Quantizer) -> bool:
    return all(_same_values(source, one.stored, two.stored) for one, two in zip(a.levels, b.levels, strict=True))


def _same_values(source: TensorSource, a: Slice, b: Slice) -> bool:
    """True where both hold the same numbers: the same bytes of the file, or equal ones (NaN equals NaN)."""
    one, two = source.specs[a.name], source.specs[b.name]
    if _same_bytes(source, a, b):
        return True
    if a != replace(b, name=a.name) or one.shape != two.shape or one.dtype != two.dtype:
        return False
    rows = max(1, BLOCK // max(1, one.size // one.shape[0]))
    blocks = ((start, start + rows) for start in range(0, one.shape[0], rows))
    return all(np.array_equal(source.read(a.name, *block), source.read(b.name, *block), equal_nan=True) for block in blocks)


def _same_bytes(source: TensorSource, a: Slice, b: Slice) -> bool:
    one, two = source.specs[a.name], source.specs[b.name]
    place, other = ((spec.storage, spec.offset, spec.strides, spec.shape) for spec in (one, two))
    return place == other and a == replace(b, name=a.name)


def _merged(source: TensorSource, first: Quantizer, second: Quantizer) -> Quantizer:
    if _equal(source, first, second):
        return _with_twin(first, second, f"stored twice with equal values ({_where(first)}, {_where(second)}): counted once")
    average, plain = (first, second) if _is_average_of(first, second) else (second, first)
    return _chosen(plain, average, f"stored twice, as trained ({_where(plain)}) and averaged ({_where(average)})")


def _chosen(plain: Quantizer, average: Quantizer, both: str) -> Quantizer:
    """Of weights and their average the one that evaluation loads, unless counts go with the weights or tell what they are."""
    if plain.ema is not None:
        why = "since the average has no counts" if average.ema is None else "where codes and counts belong together"
        kept = _with_twin(plain, average, f"{both}: reported as trained, {why}")
    else:
        kept = _with_twin(average, plain, f"{both}: the average is reported, which evaluation uses")
    return replace(kept, facts={**kept.facts, "averaged": True})


def _where(quantizer: Quantizer) -> str:
    return join(quantizer.container, quantizer.name)


def _with_twin(kept: Quantizer, twin: Quantizer, note: str) -> Quantizer:
    twins = (*kept.facts.get("twins", ()), twin, *twin.facts.get("twins", ()))
    return replace(kept, notes=(*kept.notes, note), facts={**kept.facts, "twins": twins})


def _with_second_copies(source: TensorSource, state: StateDict, quantizer: Quantizer) -> Quantizer:
    """`quantizer` with the copies in its own state dict folded in: the module under another wrapper, LitEma's keys without dots."""
    for level_specs, what in _copies(state, quantizer):
        twin = _at(quantizer, level_specs)
        equal = _equal(source, quantizer, twin)
        if what == LIT_EMA and not equal:
            both = f"stored twice, as trained ({_key(quantizer)}) and averaged ({_key(twin)})"
            quantizer = replace(_chosen(quantizer, twin, both), evidence=quantizer.evidence)
        else:
            differs = "" if equal else ", with other values; the first in the file is reported"
            quantizer = _with_twin(quantizer, twin, f"stored a second time as {level_specs[0].key}{differs}: counted once")
    return quantizer


def _copies(state: StateDict, quantizer: Quantizer) -> Iterator[tuple[tuple[TensorSpec, ...], str]]:
    """For each further copy of the quantiser in `state`: its books, one a level, and whether it is a LitEma."""
    books = [state.source.specs[level.stored.name] for level in quantizer.levels]
    if not books:
        return
    again = tuple(_under_another_wrapper(state, book) for book in books)
    if (wrapped := tuple(one for one in again if one is not None)) and len(wrapped) == len(books):
        yield wrapped, "wrapper"
    averaged = tuple(_lit_ema(state, book) for book in books)
    if (dotless := tuple(one for one in averaged if one is not None)) and len(dotless) == len(books):
        yield dotless, LIT_EMA


def _under_another_wrapper(state: StateDict, book: TensorSpec) -> TensorSpec | None:
    """The tensor that unwraps to the same key as `book` and is not it."""
    bare = unwrapped(book.key)
    alike = (state.specs[key] for key in (state.bare.get(bare), *state.again.get(bare, ())) if key is not None and key != book.key)
    return next((spec for spec in alike if spec.shape == book.shape and spec.dtype == book.dtype), None)


def _lit_ema(state: StateDict, book: TensorSpec) -> TensorSpec | None:
    """LitEma's copy of `book`: under ``model_ema``, named by the book's key with its dots removed, from any module downwards."""
    parts = unwrapped(book.key).split(".")
    for i in range(len(parts)):
        spec = state.get(join(*parts[:i], LIT_EMA, "".join(parts[i:])))
        if spec is not None and spec.shape == book.shape:
            return spec
    return None


def _at(quantizer: Quantizer, books: Sequence[TensorSpec]) -> Quantizer:
    """`quantizer` with its books read from `books`, and without the counts, which are not copied."""

    def moved(level: Codebook, book: TensorSpec) -> Codebook:
        return replace(
            level,
            key=book.key,
            dtype=book.dtype,
            stored=replace(level.stored, name=book.name),
            ema_count=None,
            ema_sum=None,
            keys={},
        )

    levels = tuple(moved(level, book) for level, book in zip(quantizer.levels, books, strict=True))
    return replace(quantizer, levels=levels, ema=None)


def _named_apart(found: Sequence[Quantizer]) -> list[Quantizer]:
    """Equal names made unique: the container in front, and where that is not enough, the book's key for the name."""
    for rename in (_where, _key):
        seen = Counter(one.name for one in found)
        found = [replace(one, name=rename(one)) if seen[one.name] > 1 else one for one in found]
    return list(found)


def copies(quantizer: Quantizer) -> tuple[Quantizer, ...]:
    """The quantiser and its twins: a repair writes `state_for` of each, or the file would hold two different books afterwards."""
    return (replace(quantizer, facts={}), *quantizer.facts.get("twins", ()))

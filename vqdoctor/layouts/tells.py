"""What tells families with the same keys apart: neighbours in the state dict, options in the file's tree, values of the book.

Everything here only looks. A tell that is missing means "not known", never "no".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vqdoctor.layouts.family import Site, join
from vqdoctor.layouts.state import StateDict
from vqdoctor.model import Opaque, TensorSource, TensorSpec

# A tree is read for a handful of options that stand near its top; a hostile file may be endless.
NODES_READ = 20_000
BOOK_READ = 1 << 24  # elements


def parent(path: str) -> str:
    """The module that holds the module at `path`, "" at the root."""
    return path.rpartition(".")[0]


def beside_quantizer(site: Site, suffix: str) -> TensorSpec | None:
    """A tensor of the module that holds the quantiser, e.g. ``"pre_quant.weight"``."""
    return site.state.get(join(parent(site.name), suffix))


def holds(state: StateDict, prefix: str) -> bool:
    """True where a key begins with `prefix`, e.g. ``"encoder.down_blocks."``."""
    return any(bare.startswith(prefix) for bare in state.bare)


def holds_beside(site: Site, prefix: str) -> bool:
    """True where the module that holds the quantiser has a key with `prefix`."""
    return holds(site.state, join(parent(site.name), prefix))


def has_unit_rows(site: Site) -> bool:
    """True where every finite, non-zero row of the book has norm 1 (to 1e-3): a cosine codebook that stores what it compares."""
    if site.spec.size > BOOK_READ:
        return False
    book = np.asarray(site.state.source.read(site.spec.name), dtype=np.float64)
    norms = np.linalg.norm(book.reshape(-1, book.shape[-1]), axis=1)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    return norms.size > 0 and bool(np.all(np.abs(norms - 1) < 1e-3))


def option(source: TensorSource, name: str) -> Any:
    """The first plain value (bool, number, string, list) that the file states for the option `name`, None where it states none."""
    for key, value in _items(source.tree):
        if key == name and isinstance(value, bool | int | float | str | list | tuple):
            return value
    return None


def mentions(source: TensorSource, *words: str) -> bool:
    """True where a string of the file's tree contains one of `words`, in any case (a class path, a config's target)."""
    return any(isinstance(value, str) and any(word in value.lower() for word in words) for _, value in _items(source.tree))


def _items(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(key, value) of all mappings in `tree`, breadth first; objects count as the mapping of their state."""
    waiting: list[Any] = [tree]
    seen: set[int] = set()
    while waiting and len(seen) < NODES_READ:
        following: list[Any] = []
        for node in waiting:
            if id(node) in seen:
                continue
            seen.add(id(node))
            for key, value in _children(node):
                yield key, value
                if isinstance(value, Mapping | list | tuple | Opaque):
                    following.append(value)
        waiting = following


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, Opaque):
        yield "", node.name
        yield "", node.args
        yield "", node.state
    elif isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list | tuple):
        yield from (("", value) for value in node)

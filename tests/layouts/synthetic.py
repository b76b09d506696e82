"""Synthetic checkpoints: a `TensorSource` over numpy arrays, and what a table of specimens states about each.

A specimen is a checkpoint of a family's shapes whose codes, counts and axis are known because we made them up. Decoys
(convolutions, token embeddings, discriminators) stand beside them in the same state dict, as in real files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vqdoctor.model import TensorSpec

EPS = 1e-5


class FakeSource:
    """A checkpoint in memory. `tensors`: a state dict, or a tree of dicts (each inner dict is a container of its own).

    Two names of one array, or of two views of it, share storage, as in a torch file. `dtypes` overrides the stored type by name,
    so that a float32 array may stand for what a bfloat16 tensor is read as.
    """

    def __init__(self, tensors: Mapping[str, Any], *, kind: str = "torch-zip", dtypes: Mapping[str, str] | None = None) -> None:
        self.path = "synthetic.pt"
        self.kind = kind
        self.info: dict[str, Any] = {}
        self.tree: Any = None
        self.warnings: tuple[str, ...] = ()
        self.arrays: dict[str, np.ndarray] = {}
        self.specs: dict[str, TensorSpec] = {}
        for container, key, array in _walk(tensors, ""):
            name = f"{container}.{key}" if container else key
            self.arrays[name] = array
            self.specs[name] = _spec(name, key, container, array, (dtypes or {}).get(name, str(array.dtype)))
        self.bytes = sum(array.nbytes for array in self.arrays.values())
        self.reads: list[str] = []

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        self.reads.append(name)
        array = self.arrays[name]
        return np.array(array if start is None and stop is None else array[start:stop], order="C")

    def close(self) -> None:
        pass


def _walk(tree: Mapping[str, Any], container: str):
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{container}.{key}" if container else key)
        else:
            yield container, key, np.asarray(value)


def _spec(name: str, key: str, container: str, array: np.ndarray, dtype: str) -> TensorSpec:
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    address, origin = (a.__array_interface__["data"][0] for a in (array, base))
    strides = tuple(step // array.itemsize for step in array.strides)
    return TensorSpec(name, key, container, array.shape, dtype, hex(origin), (address - origin) // array.itemsize, strides)


@dataclass(frozen=True)
class Level:
    """What a level must be read as. codes (K, D): effective. counts: as `ema_counts` returns them, None: the file has none."""

    codes: np.ndarray
    counts: np.ndarray | None = None
    shared_with: int | None = None
    data_dependent: bool = False
    flag: float | None = None


@dataclass(frozen=True)
class Expected:
    """What a quantiser must be found as."""

    name: str
    layout: str
    structure: str
    metric: str
    levels: tuple[Level, ...] = ()
    metric_basis: str = "stated"
    width: int | None = None  # None: not compared
    columns: tuple[int, int] | None = None
    searchable: bool = True
    container: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # further attributes of the Quantizer, by name ("ema.relation")


@dataclass(frozen=True)
class Specimen:
    """A synthetic checkpoint. rows: ids of the families of the reference table that it stands for.

    plain: False where wrappers or nesting would change what it is (the file is flat by nature, say).
    """

    id: str
    rows: tuple[str, ...]
    tensors: Mapping[str, Any]
    expected: tuple[Expected, ...]
    kind: str = "torch-zip"
    plain: bool = True
    dtypes: Mapping[str, str] = field(default_factory=dict)
    tree: Any = None  # what the file states beside its tensors

    def source(self) -> FakeSource:
        source = FakeSource(self.tensors, kind=self.kind, dtypes=self.dtypes)
        source.tree = self.tree
        return source


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def counts_of(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Live, uneven EMA counts between 0.5 and 20."""
    return rng.uniform(0.5, 20, shape).astype(np.float32)


def smoothed(counts: np.ndarray, eps: float = EPS) -> np.ndarray:
    """Laplace-smoothed counts over the last axis."""
    total = counts.sum(-1, keepdims=True)
    return (counts + eps) / (total + counts.shape[-1] * eps) * total


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def convolutions(rng: np.random.Generator, prefix: str = "encoder") -> dict[str, np.ndarray]:
    """Layers that any model has beside its quantiser."""
    return {
        f"{prefix}.conv_in.weight": normal(rng, 4, 3, 3, 3),
        f"{prefix}.conv_in.bias": normal(rng, 4),
        f"{prefix}.norm.weight": np.ones(4, np.float32),
        f"{prefix}.norm.num_batches_tracked": np.array(100, np.int64),
    }

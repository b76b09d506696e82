"""What a checkpoint holds, before anybody says what it means: tensors by name, and the tree of everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One stored tensor: a view of a storage, described without reading a byte of it.

    A file can hold several state dicts (``params`` beside ``params_ema``), so a tensor has two names: `name` is unique in the
    file, `key` is what the state dict that holds it calls it, `container` the path to that state dict ("" in a flat file).
    ``name == key`` in a flat file, else ``f"{container}.{key}"``.

    Attributes:
        shape: sizes, outermost first.
        dtype: torch's word for the stored type without "torch.": "float32", "bfloat16", "float8_e4m3fn", "int64", "bool".
        storage: identity of the bytes; two tensors with equal storage and offset share memory (a tied or shared codebook).
        offset: first element, in elements of the storage.
        strides: steps in elements, one per dimension.
    """

    name: str
    key: str
    container: str
    shape: tuple[int, ...]
    dtype: str
    storage: str
    offset: int
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of a pickle that is neither tensor nor plain data: its callee's name and its parts, never called or imported.

    Attributes:
        name: "module.qualname" as the file spells it, e.g. "argparse.Namespace".
        args: the arguments the pickle would have called it with.
        state: what the pickle would have set on it (for a module its __dict__), or None.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


class TensorSource(Protocol):
    """An opened checkpoint: names and shapes at once, bytes on demand.

    Attributes:
        path: what the user named.
        kind: "torch-zip", "torch-legacy", "safetensors", "safetensors-sharded", "torch-sharded" (pytorch_model.bin
            and its like), "npz" or "npy".
        bytes: size of the file, of all shards together.
        specs: every tensor by unique name, in the file's order.
        info: plain values worth a header: {"step": 1100, "epoch": 1, …}.
        tree: the file's other values as dicts, lists, numbers, strings, TensorSpec and Opaque (None where there are none).
        warnings: one sentence each about what had to be skipped or is odd.
    """

    path: str
    kind: str
    bytes: int
    specs: Mapping[str, TensorSpec]
    info: Mapping[str, Any]
    tree: Any
    warnings: tuple[str, ...]

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """The tensor's values, or rows start:stop of its first axis: native byte order, C order.

        float types that numpy lacks (bfloat16, float8) arrive as float32, exactly; all others in their own type.

        Raises:
            KeyError: no such tensor.
            CorruptInput: its bytes are not (all) there.
            LimitExceeded: it is larger than the reader's limit for one read.
        """
        ...

    def close(self) -> None:
        """Give back the file handles."""
        ...

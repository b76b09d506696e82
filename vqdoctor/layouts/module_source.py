"""A live module seen as a checkpoint: one knowledge of what tensors mean, for files and for training loops.

Parameters and persistent buffers are named as the state dict would name them, but no state dict is made: under sharded training
that would gather the whole model. Values are read when asked for, so a buffer that a step replaces is always the current one. Of
torch only the methods of tensors and modules are used, so nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np

from vqdoctor.model import TensorSpec

_HAS_NUMPY = ("float16", "float32", "float64")  # numpy lacks the other floats


class ModuleSource:
    """A `vqdoctor.model.TensorSource` over a module's own tensors, that can also be written.

    Args:
        model: a torch module.
        prefix: put before every name ("quantizer"), where `model` is itself a quantiser whose layout looks for one.
        under: only tensors of this submodule (and its own); "" for all.
    """

    kind = "module"
    info: Mapping[str, Any] = {}
    tree: Any = None
    warnings: tuple[str, ...] = ()

    def __init__(self, model: Any, *, prefix: str = "", under: str = "") -> None:
        self.path = type(model).__name__
        self._model, self._prefix, self._under = model, prefix, under
        self._before = f"{prefix}." if prefix else ""
        inside = f"{under}." if under else ""
        found = {self._before + name: tensor for name, tensor in _tensors(model) if name.startswith(inside)}
        self.specs: Mapping[str, TensorSpec] = {name: _spec(name, tensor) for name, tensor in found.items()}
        self.bytes = sum(tensor.numel() * tensor.element_size() for tensor in found.values())

    def again(self, under: str | None = None) -> ModuleSource:
        """The same model as it is now, or only what lies under one of its modules."""
        return ModuleSource(self._model, prefix=self._prefix, under=self._under if under is None else under)

    def local(self, name: str) -> str:
        """A name without the prefix: the path in the model itself."""
        return "" if name == self._prefix else name.removeprefix(self._before)

    def holder(self, name: str) -> Any:
        """The module that owns a tensor."""
        return self._model.get_submodule(self.local(name).rpartition(".")[0])

    def tensor(self, name: str) -> Any:
        """The live tensor.

        Raises:
            KeyError: no such tensor.
        """
        try:
            found = reduce(getattr, self.local(name).split("."), self._model)
        except AttributeError as error:
            raise KeyError(name) from error
        if not hasattr(found, "storage_offset"):
            raise KeyError(name)
        return found

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """See `TensorSource.read`: a copy on the CPU; waits for the device."""
        tensor = self.tensor(name).detach()
        tensor = tensor[start:stop] if tensor.ndim else tensor
        narrow = tensor.is_floating_point() and _word(tensor.dtype) not in _HAS_NUMPY
        return np.array((tensor.float() if narrow else tensor).cpu().numpy(), order="C")

    def write(self, name: str, values: np.ndarray) -> None:
        """Puts `values`, of the tensor's shape, into the module's own memory; type, device and optimiser keep it."""
        tensor = self.tensor(name).detach()
        tensor.copy_(tensor.new_tensor(values))

    def close(self) -> None:
        """Nothing to give back."""


def _tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Parameters and persistent buffers by the name that a state dict gives them, module by module, repeats included."""
    for path, module in model.named_modules(remove_duplicate=False):
        before = f"{path}." if path else ""
        passing = module._non_persistent_buffers_set
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and name not in passing:
                yield before + name, tensor


def _spec(name: str, tensor: Any) -> TensorSpec:
    dense = _word(tensor.layout) == "strided"
    storage = f"{tensor.device}:{tensor.untyped_storage().data_ptr():x}" if dense and tensor.numel() else str(id(tensor))
    return TensorSpec(
        name=name, key=name, container="", shape=tuple(tensor.shape), dtype=_word(tensor.dtype), storage=storage,
        offset=int(tensor.storage_offset()) if dense else 0, strides=tuple(tensor.stride()) if dense else (),
    )  # fmt: skip


def _word(kind: Any) -> str:
    """torch's word for a type or layout, without "torch."."""
    return str(kind).removeprefix("torch.")

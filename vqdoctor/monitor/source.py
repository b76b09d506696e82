"""A live model seen as a checkpoint, so that the layouts say what its tensors mean: one knowledge for files and for training loops.

Parameters and persistent buffers are named as the state dict would name them, but no state dict is made: under sharded training
that would gather the whole model. Values are read when asked for, so a buffer that a step replaces is always the current one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqdoctor.model import TensorSpec


class ModuleSource:
    """A `vqdoctor.model.TensorSource` over a module's own tensors.

    Args:
        model: the module.
        prefix: put before every name ("quantizer"), where `model` is itself a quantiser whose layout looks for one.
        under: only tensors of this submodule (and its own); "" for all.
    """

    path = "model"
    kind = "module"
    info: Mapping[str, Any] = {}
    tree: Any = None
    warnings: tuple[str, ...] = ()

    def __init__(self, model: nn.Module, *, prefix: str = "", under: str = "") -> None:
        self._model, self._prefix, self._under = model, prefix, under
        self._before = f"{prefix}." if prefix else ""
        inside = f"{under}." if under else ""
        self.specs: Mapping[str, TensorSpec] = {
            name: _spec(name, tensor)
            for name, tensor in ((self._before + name, tensor) for name, tensor in _tensors(model) if name.startswith(inside))
        }
        self.bytes = 0

    def again(self, under: str | None = None) -> ModuleSource:
        """The same model as it is now, or only what lies under one of its modules."""
        return ModuleSource(self._model, prefix=self._prefix, under=self._under if under is None else under)

    def local(self, name: str) -> str:
        """A name without the prefix: the path in the model itself."""
        return "" if name == self._prefix else name.removeprefix(self._before)

    def holder(self, name: str) -> nn.Module:
        """The module that owns a tensor."""
        return self._model.get_submodule(self.local(name).rpartition(".")[0])

    def tensor(self, name: str) -> Tensor:
        """The live tensor.

        Raises:
            KeyError: no such tensor.
        """
        try:
            found = reduce(getattr, name.removeprefix(self._before).split("."), self._model)
        except AttributeError as error:
            raise KeyError(name) from error
        if not isinstance(found, Tensor):
            raise KeyError(name)
        return found

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """See `TensorSource.read`; waits for the device."""
        tensor = self.tensor(name).detach()
        tensor = tensor[start:stop] if tensor.ndim else tensor
        narrow = tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64)
        return np.array((tensor.float() if narrow else tensor).cpu().numpy())

    def close(self) -> None:
        """Nothing to give back."""


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers by the name that a state dict gives them, module by module, repeats included."""
    for path, module in model.named_modules(remove_duplicate=False):
        before = f"{path}." if path else ""
        passing = module._non_persistent_buffers_set
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and name not in passing:
                yield before + name, tensor


def _spec(name: str, tensor: Tensor) -> TensorSpec:
    dense = tensor.layout == torch.strided
    return TensorSpec(
        name=name, key=name, container="", shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."),
        storage=str(id(tensor)) if not dense else str(tensor.untyped_storage().data_ptr()),
        offset=int(tensor.storage_offset()) if dense else 0, strides=tuple(tensor.stride()) if dense else (),
    )  # fmt: skip

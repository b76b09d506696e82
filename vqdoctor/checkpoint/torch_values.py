"""What torch writes into its pickles: storages and the calls that rebuild tensors from them, understood by exact name and
described, not made.

Sources: torch/_utils.py and torch/_tensor.py (`_rebuild_*`), torch/serialization.py (`persistent_load`).
"""

from __future__ import annotations

import math
from typing import Any

from vqdoctor.checkpoint.dtypes import ITEM_BYTES, MOST_ELEMENTS
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.pickle_machine import Builder
from vqdoctor.checkpoint.pickle_nodes import Node
from vqdoctor.errors import CorruptInput
from vqdoctor.model import Opaque

_STORAGE_TYPES: dict[str, str] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}  # fmt: skip
STORAGES: dict[str, str] = {
    f"{module}.{name}": word for module in ("torch", "torch.cuda") for name, word in _STORAGE_TYPES.items()
} | {
    "torch.UntypedStorage": "uint8", "torch.storage.UntypedStorage": "uint8", "torch.storage._UntypedStorage": "uint8",
}  # fmt: skip

DTYPES: dict[str, str] = {f"torch.{word}": f"torch.{word}" for word in ITEM_BYTES}


class Storage(Node):
    """Bytes that a pickle refers to: their `key` in the file, type, claimed number, and the `offset` of a legacy view into them."""

    __slots__ = ("dtype", "elements", "key", "offset")

    def __init__(self, key: str, dtype: str, elements: int, offset: int = 0) -> None:
        self.key = key
        self.dtype = dtype
        self.elements = elements
        self.offset = offset


class Tensor(Node):
    """A tensor before it has a name. `remark` says what is odd about its values."""

    __slots__ = ("dtype", "offset", "remark", "shape", "storage", "strides")

    def __init__(
        self, storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: str, remark: str | None = None
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.remark = remark


class Storages:
    """What persistent ids stand for. `known`: every storage that the pickle has mentioned, by key."""

    def __init__(self) -> None:
        self.known: dict[str, Storage] = {}

    def __call__(self, persistent_id: Any) -> Any:
        """``("storage", type, key, location, elements[, view])``, or legacy's ``("module", class, file, source)``: the class."""
        kind, *parts = persistent_id if type(persistent_id) is list and persistent_id else [None]
        if kind in ("module", b"module") and len(parts) == 3:
            return parts[0]
        if kind not in ("storage", b"storage") or len(parts) not in (4, 5) or type(parts[0]) is not Opaque:
            raise CorruptInput("its pickle refers to something that is not a storage.")
        key, elements, view = parts[1], parts[3], parts[4] if len(parts) == 5 else None
        if type(key) is not str or type(elements) is not int or not 0 <= elements < MOST_ELEMENTS:
            raise CorruptInput("its pickle describes a storage that cannot be.")
        dtype = STORAGES.get(parts[0].name)
        if dtype is None:
            return Opaque(parts[0].name, (key, elements))
        held = Storage(key, dtype, elements, _view_offset(view))
        self.known.setdefault(key, held)
        return held


def _view_offset(view: Any) -> int:
    """Where a legacy view (key, offset, size) begins in its storage; 0 without one."""
    if type(view) is not list or len(view) != 3 or type(view[1]) is not int:
        return 0
    return max(0, view[1])


class TensorBuilders:
    """Builders for the calls that rebuild a tensor; None for arguments that describe none, so that a stub takes its place."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        utils, tensor = "torch._utils.", "torch._tensor."
        self.table: dict[str, Builder] = {
            utils + "_rebuild_tensor": self._typed,
            utils + "_rebuild_tensor_v2": self._typed,
            utils + "_rebuild_tensor_v3": self._untyped,
            utils + "_rebuild_qtensor": self._quantised,
            utils + "_rebuild_parameter": _first_tensor,
            utils + "_rebuild_parameter_with_state": _first_tensor,
            utils + "_rebuild_device_tensor_from_numpy": _first_tensor,
            utils + "_rebuild_xla_tensor": _first_tensor,
            utils + "_rebuild_device_tensor_from_cpu_tensor": _first_tensor,
            "torch.nn.parameter.Parameter": _first_tensor,  # torch 0.3 and before
            "torch.autograd.variable.Variable": _first_tensor,
            tensor + "_rebuild_from_type": self._from_type,
            tensor + "_rebuild_from_type_v2": self._from_type,
            "torch.Size": _size,
            "torch.device": _device,
            "torch.jit._pickle.build_intlist": _size,
            "torch.jit._pickle.build_doublelist": _size,
            "torch.jit._pickle.build_boollist": _size,
            "torch.jit._pickle.build_tensorlist": _size,
            "torch.jit._pickle.restore_type_tag": lambda args: args[0],
        }

    def _view(self, held: Any, offset: Any, shape: Any, strides: Any, dtype: str, remark: str | None = None) -> Tensor | None:
        if type(shape) is not list or type(strides) is not list:
            return None
        self._limits.check("rank", max(len(shape), len(strides)))
        if len(shape) != len(strides) or type(offset) is not int or offset < 0:
            return None
        for number in (*shape, *strides):
            if type(number) is not int or not 0 <= number < MOST_ELEMENTS:
                return None
        if math.prod(shape) >= MOST_ELEMENTS:
            return None
        return Tensor(held, offset + held.offset, tuple(shape), tuple(strides), dtype, remark)

    def _typed(self, args: list[Any]) -> Tensor | None:
        """(storage, offset, size, stride[, requires_grad, hooks[, metadata]])"""
        held, offset, shape, strides = args[:4]
        if type(held) is not Storage:
            return None
        return self._view(held, offset, shape, strides, held.dtype, _bits(args[6]) if len(args) > 6 else None)

    def _untyped(self, args: list[Any]) -> Tensor | None:
        """(untyped storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])"""
        held, offset, shape, strides, _, _, dtype = args[:7]
        word = str(dtype).removeprefix("torch.")
        if type(held) is not Storage or word not in ITEM_BYTES:
            return None
        return self._view(held, offset, shape, strides, word, _bits(args[7]) if len(args) > 7 else None)

    def _quantised(self, args: list[Any]) -> Tensor | None:
        """(storage, offset, size, stride, quantiser, requires_grad, hooks)"""
        held, offset, shape, strides = args[:4]
        return self._view(held, offset, shape, strides, held.dtype) if type(held) is Storage else None

    def _from_type(self, args: list[Any]) -> Any:
        """(function, type, args, state): a tensor subclass. A DTensor's own part is the `_local_tensor` in its state."""
        function, subclass, inner, state = args
        builder = self.table.get(function.name) if function.name.startswith("torch._utils._rebuild") else None
        built = builder(inner) if builder is not None else None
        if built is not None:
            return built
        parts = state if type(state) is list and len(state) == 2 else [state]
        local = next((part["_local_tensor"] for part in parts if type(part) is dict and "_local_tensor" in part), None)
        if type(local) is Tensor:
            return _local_part(local, inner)
        return Opaque(subclass.name, (inner,), state)


def _first_tensor(args: list[Any]) -> Any:
    return args[0] if isinstance(args[0], Node) else None


def _local_part(local: Tensor, wrapper_args: Any) -> Tensor:
    """The local part of a DTensor whose whole shape is in the arguments of ``_rebuild_wrapper_subclass(cls, dtype, size, …)``."""
    whole = wrapper_args[2] if type(wrapper_args) is list and len(wrapper_args) > 2 else None
    if whole != list(local.shape):
        remark = "is one part of a tensor that is spread over several processes"
        return Tensor(local.storage, local.offset, local.shape, local.strides, local.dtype, remark)
    return local


def _bits(metadata: Any) -> str | None:
    """Torch's lazy conjugate and negative bits."""
    lazy = type(metadata) is dict and (metadata.get("conj") or metadata.get("neg"))
    return "is stored as the conjugate or negative of what is read" if lazy else None


def _size(args: list[Any]) -> Any:
    return args[0] if args and type(args[0]) is list else []


def _device(args: list[Any]) -> Any:
    """``device("cuda"[, 1])``"""
    kind, *index = args
    if type(kind) is not str or len(index) > 1 or any(type(number) is not int for number in index):
        return None
    return f"{kind}:{index[0]}" if index else kind

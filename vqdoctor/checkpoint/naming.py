"""Names for the tensors of a tree: where each state dict is, and what it calls its tensors.

A state dict is whatever holds tensors directly: a dict, a list, a pickled module (flattened to the keys that its
``state_dict()`` would have). The walk keeps the file's order, enters every container once, and does not recurse: trees from
hostile files contain themselves, double at every level or are very deep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from vqdoctor.checkpoint.dtypes import QUANTISED
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.numpy_values import Array, Dtype
from vqdoctor.checkpoint.pickle_nodes import Blob, set_state
from vqdoctor.checkpoint.torch_values import Storage, Tensor
from vqdoctor.errors import printable
from vqdoctor.model import Opaque, TensorSpec

META = "torch._utils._rebuild_meta_tensor_no_storage"
_PLAIN = frozenset({str, int, float, bool, bytes, complex, type(None)})
_CONTAINERS = frozenset({dict, list, Opaque})
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")

Child = tuple[Any, str]  # a container, and its path


@dataclass(slots=True)
class NamedTree:
    """What the walk found.

    Attributes:
        storages: by the id that specs give them.
        remarks: what is odd about tensors → their names.
        stubs: tensors that are not read: the name of what would rebuild them → where they stand.
    """

    tree: Any = None
    specs: dict[str, TensorSpec] = field(default_factory=dict)
    storages: dict[str, Storage | Array] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    stubs: dict[str, list[str]] = field(default_factory=dict)

    def warnings(self) -> Iterator[str]:
        """One sentence for each kind of oddity."""
        for remark, names in self.remarks.items():
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            yield f"Tensor {printable(names[0])}{more} {remark}."
        for name, paths in self.stubs.items():
            first = f"first: {printable(paths[0]) or 'the value itself'}"
            if name == META:
                count = "1 tensor is" if len(paths) == 1 else f"{len(paths):,} tensors are"
                yield f"{count} on the meta device ({first}): a shape without values. Save the model with its weights loaded."
            else:
                yield f"{len(paths):,} × {printable(name)} ({first}): a kind of tensor that is not read."


def name_tensors(root: Any, limits: Limits) -> NamedTree:
    """Walks the value of a pickle, replacing in place every tensor by its spec and every node by something plain.

    A bare tensor at the root is called "tensor".

    Raises:
        LimitExceeded: nesting, nodes, tensors or lengths of names.
    """
    walk = _Walk(limits)
    named = walk.named
    named.tree = root if type(root) in _CONTAINERS or type(root) in _PLAIN else walk.leaf(root, "", "tensor")
    pending = [iter(walk.enter(root, ""))] if type(root) in _CONTAINERS else []
    while pending:
        child = next(pending[-1], None)
        if child is None:
            pending.pop()
            continue
        limits.check("nesting", len(pending))
        pending.append(iter(walk.enter(*child)))
    return named


class _Walk:
    def __init__(self, limits: Limits) -> None:
        self.named = NamedTree()
        self._limits = limits
        self._visited: set[int] = set()
        self._characters = 0
        self._arrays = 0
        self._repeats: Counter[str] = Counter()

    def enter(self, value: Any, path: str) -> Iterable[Child]:
        """Names the tensors directly in a container; yields the containers in it, each when its turn comes."""
        self._limits.check("path_characters", len(path))
        if not self._visit(value):
            return ()
        if type(value) is dict:
            return self._slots(value, value.items(), path)
        if type(value) is list:
            return self._slots(value, enumerate(value), path)
        return self._module(value, path) if _is_module(value) else self._opaque(value, path)

    def _visit(self, value: Any) -> bool:
        if id(value) in self._visited:
            return False
        self._visited.add(id(value))
        self._limits.check("nodes", len(self._visited))
        return True

    def _slots(self, holder: Any, items: Iterable[tuple[Any, Any]], path: str) -> Iterator[Child]:
        for key, item in items:
            kind = type(item)
            if kind in _PLAIN:
                continue
            if kind in _CONTAINERS:
                yield item, _join(path, key)
            elif kind is not TensorSpec:
                holder[key] = self.leaf(item, path, str(key))

    def _opaque(self, value: Opaque, path: str) -> Iterator[Child]:
        if value.name.startswith("torch._utils._rebuild"):
            self.named.stubs.setdefault(value.name, []).append(path)
        if value.args:
            args = list(value.args)
            yield from self._slots(args, enumerate(args), _join(path, "args"))
            object.__setattr__(value, "args", tuple(args))
        if type(value.state) in _CONTAINERS:
            yield value.state, path
        elif type(value.state) not in _PLAIN:
            set_state(value, self.leaf(value.state, path, "state"))

    def _module(self, root: Opaque, path: str) -> Iterator[Child]:
        """A module's tensors under the keys of its state_dict(); then whatever else its submodules hold."""
        modules = list(_submodules(root, self._limits))
        for key, module in modules:
            for holder, name in _tensor_slots(module):
                holder[name] = self.leaf(holder[name], path, _join(key, name))
        parts = {id(module) for _, module in modules} | {
            id(module.state.get(part)) for _, module in modules for part in _MODULE_PARTS
        }
        for key, module in modules:
            if module is root or self._visit(module):
                others = [(name, item) for name, item in module.state.items() if id(item) not in parts]
                yield from self._slots(module.state, others, _join(_join(path, key) if key else path, "__dict__"))

    def leaf(self, item: Any, container: str, key: str) -> Any:
        """What stands in the tree for a node that is no container."""
        kind = type(item)
        if kind is Tensor or kind is TensorSpec or (kind is Array and item.data is not None):
            return self._register(item, container, key)
        if kind is Blob:
            return Opaque("str" if item.text else "bytes", (item.bytes,))
        if kind is Dtype:
            return item.word or Opaque("numpy.dtype", (item.code,))
        if kind is Storage:
            return Opaque("torch.storage", (item.key, item.elements))
        return Opaque("numpy.ndarray") if kind is Array else item

    def _register(self, item: Any, container: str, key: str) -> TensorSpec:
        specs = self.named.specs
        name = _join(container, key)
        if name in specs:
            self._repeats[name] += 1  # keys 0 and "0", or dots that read alike
            key = f"{key}~{self._repeats[name] + 1}"
            name = _join(container, key)
        if type(item) is TensorSpec:  # a module that is part of the model twice
            spec = replace(item, name=name, key=key, container=container)
        else:
            spec = TensorSpec(name, key, container, item.shape, item.dtype, self._storage(item), item.offset, item.strides)
            self._remark(item, spec)
        specs[name] = spec
        self._characters += len(name)
        self._limits.check("name_characters", self._characters)
        self._limits.check("path_characters", len(name))
        self._limits.check("tensors", len(specs))
        return spec

    def _storage(self, item: Any) -> str:
        if type(item) is Array:
            self._arrays += 1
            key = f"array {self._arrays}"
            self.named.storages[key] = item
            return key
        self.named.storages.setdefault(item.storage.key, item.storage)
        return item.storage.key

    def _remark(self, item: Any, spec: TensorSpec) -> None:
        if item.remark:
            self.named.remarks.setdefault(item.remark, []).append(spec.name)
        if spec.dtype in QUANTISED:
            quantised = "is quantised: its stored integers are read, not the numbers they stand for"
            self.named.remarks.setdefault(quantised, []).append(spec.name)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_module(value: Any) -> bool:
    if type(value) is not Opaque or type(value.state) is not dict:
        return False
    pickled = type(value.state.get("_parameters")) is dict and type(value.state.get("_modules")) is dict
    return pickled or value.name.startswith("__torch__.")  # a TorchScript object: its attributes are its parameters


def _submodules(root: Opaque, limits: Limits) -> Iterator[tuple[str, Opaque]]:
    """(dotted path, module) in the order of state_dict(), which also repeats a module that is used twice."""
    pending = [(0, "", root)]
    seen = scanned = 0
    while pending:
        depth, prefix, module = pending.pop()
        seen += 1
        scanned += sum(len(part) for part in module.state.values() if type(part) in (dict, list)) + len(module.state)
        limits.check("nesting", depth)
        limits.check("modules", seen)
        limits.check("nodes", scanned)
        limits.check("path_characters", len(prefix))
        yield prefix, module
        children = module.state.get("_modules")
        named = children if type(children) is dict else module.state
        pending.extend((depth + 1, _join(prefix, name), child) for name, child in reversed(named.items()) if _is_module(child))


def _tensor_slots(module: Opaque) -> Iterator[tuple[dict[Any, Any], Any]]:
    """(dict, name) of each tensor of a module's own state."""
    state = module.state
    holders = [state[part] for part in _MODULE_PARTS[:2] if type(state.get(part)) is dict] or [state]
    transient = state.get("_non_persistent_buffers_set")
    skipped = {name for name in transient if type(name) is str} if type(transient) is list else set()
    for holder in holders:
        for name, item in holder.items():
            if type(item) in (Tensor, TensorSpec) and name not in skipped:
                yield holder, name

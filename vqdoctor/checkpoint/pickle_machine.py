"""The machine that pickles run on here: stack, marks, memo and a window of the stream. It imports nothing, calls nothing,
constructs nothing.

Where Python's unpickler would call something, an `Opaque` with the callee's name and arguments takes the result's place, unless
the container's reader has a builder for that exact name (torch's and numpy's few; they only describe). Tuples and sets become
lists, so that values can be replaced in place when tensors get their names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vqdoctor.checkpoint.extents import Extent
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.pickle_nodes import Blob, Node, plain_key, set_state, state_dict
from vqdoctor.errors import CorruptInput, LimitExceeded
from vqdoctor.model import Opaque

Builder = Callable[[list[Any]], Any]  # arguments → value; None: not understood

# what a pickle that lies makes Python raise
BROKEN = (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error)

_CHUNK = 128 * 1024
_LOOKAHEAD = 16  # more than any opcode with its fixed argument takes


class Machine:
    """State of one pickle's interpretation.

    Attributes:
        position: of the next byte, in the extent; after STOP, of the byte behind the pickle.
        misfits: names of callees whose builder did not understand its arguments.
    """

    def __init__(
        self,
        extent: Extent,
        limits: Limits,
        *,
        start: int = 0,
        builders: Mapping[str, Builder] | None = None,
        constants: Mapping[str, Any] | None = None,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        """`builders` and `constants` by "module.qualname"; `persistent`: what a persistent id stands for (None: they have none)."""
        self.limits = limits
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.misfits: set[str] = set()
        self.persistent = persistent
        self.data = b""
        self.at = 0  # of the next byte, in data
        self.low = -1  # beyond it, refill
        self._base = start  # of data, in the extent
        self._extent = extent
        self._builders = builders or {}
        self._constants = constants or {}
        self._names: dict[str, Any] = {}
        self._literal_bytes = 0
        self._copied = 0

    @property
    def position(self) -> int:
        return self._base + self.at

    @property
    def names(self) -> Iterable[str]:
        """Everything that the pickle names, "module.qualname" each."""
        return self._names.keys()

    # the stream

    def refill(self, count: int = _LOOKAHEAD) -> None:
        """Makes `count` bytes available, or all that are left."""
        self.limits.check("memo_entries", len(self.memo))
        self.limits.check("literal_bytes", self._literal_bytes)
        kept = self.data[self.at :]
        self._base += self.at
        self.at = 0
        self.data = kept + self._extent.read(self._base + len(kept), max(_CHUNK, count - len(kept)))
        ended = self._base + len(self.data) >= self._extent.bytes
        self.low = len(self.data) if ended else len(self.data) - _LOOKAHEAD

    def take(self, count: int) -> bytes:
        """The next `count` bytes, held in memory."""
        self._literal_bytes += count
        if self.at + count > len(self.data):
            self._require(count)
            self.refill(count)
        start = self.at
        self.at = start + count
        return self.data[start : self.at]

    def skip(self, count: int, *, text: bool = False) -> Blob:
        """Passes over the next `count` bytes without reading them."""
        self._require(count)
        blob = Blob(self.position, count, text=text)
        if self.at + count <= len(self.data):
            self.at += count
        else:
            self._base, self.data, self.at, self.low = blob.position + count, b"", 0, -1
        return blob

    def _require(self, count: int) -> None:
        if count > self._extent.bytes - self.position:
            raise CorruptInput(f"its pickle is cut off: {count:,} bytes are announced at byte {self.position:,}.")

    def number(self, layout: struct.Struct) -> Any:
        """A fixed-size argument."""
        (value,) = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return value

    def line(self) -> bytes:
        """Up to the next newline, without it."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.refill(self.limits.line_bytes + 1)
            end = self.data.find(b"\n")
        self.limits.check("line_bytes", (end if end >= 0 else len(self.data)) - self.at)
        if end < 0:
            raise CorruptInput(f"its pickle is cut off near byte {self.position:,}.")
        line = self.data[self.at : end]
        self._literal_bytes += len(line)
        self.at = end + 1
        return line

    # what opcodes do

    def pop_mark(self) -> list[Any]:
        """The values above the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def charge(self, count: int) -> None:
        """Counts elements that are copied, so that a short pickle cannot copy one long list for ever."""
        self._copied += count
        self.limits.check("nodes", self._copied)

    def _charge_call(self, args: list[Any]) -> None:
        """Counts what a builder may copy: the arguments, and the content of the first."""
        self.charge(len(args))
        first = args[0] if args else None
        if isinstance(first, list):
            self.charge(len(first))
        elif isinstance(first, (str, bytes)):
            self._literal_bytes += len(first)
            self.limits.check("literal_bytes", self._literal_bytes)

    def name(self, module: str, qualname: str) -> Any:
        """What a name in the file stands for: a known constant, else an Opaque that bears it."""
        full = f"{module}.{qualname}"
        known = self._names.get(full)
        if known is None:
            known = self._names[full] = self._constants.get(full) or Opaque(full)
        return known

    def call(self, callee: Any, args: Any) -> Any:
        """The stand-in for callee(*args)."""
        if type(callee) is not Opaque or type(args) is not list:
            raise CorruptInput(f"its pickle calls something that is not a name, near byte {self.position:,}.")
        self._charge_call(args)
        builder = self._builders.get(callee.name)
        built = _build(builder, args) if builder else None
        if built is not None:
            return built
        if builder:
            self.misfits.add(callee.name)
        return Opaque(callee.name, tuple(args))

    def set_items(self, target: Any, items: list[Any]) -> None:
        """SETITEMS: alternating keys and values into a dict, or into the state of an Opaque that stands for something like one."""
        if type(target) is Opaque:
            target = state_dict(target)
        elif type(target) is not dict:
            return
        for at in range(0, len(items), 2):
            key = items[at]
            if type(key) is not str:
                key = plain_key(key, len(target))
            target[key] = items[at + 1]

    def append_items(self, target: Any, items: list[Any]) -> None:
        """APPENDS and ADDITEMS: to a list, or to "items" in the state of an Opaque."""
        if type(target) is Opaque:
            target = state_dict(target).setdefault("items", [])
        if type(target) is list:
            target.extend(items)

    def build(self, target: Any, state: Any) -> None:
        """BUILD: kept on an Opaque, handed to a Node; ignored on plain containers (an OrderedDict's _metadata)."""
        if isinstance(target, Node):
            target.build(state)
        elif type(target) is Opaque:
            for part in _state_parts(state):
                self._attach(target, part)

    def _attach(self, target: Opaque, part: Any) -> None:
        if type(target.state) is dict and type(part) is dict:
            self.charge(len(target.state) + len(part))
            part = target.state | part
        set_state(target, part)


def _build(builder: Builder, args: list[Any]) -> Any:
    try:
        return builder(args)
    except LimitExceeded:
        raise
    except BROKEN:
        return None


def _state_parts(state: Any) -> list[Any]:
    """The dicts of a (``__dict__``, slots) pair; else the state itself."""
    if type(state) is list and len(state) == 2 and all(part is None or type(part) is dict for part in state):
        return [part for part in state if part is not None]
    return [state]


Handler = Callable[[Machine], None]


def _unknown(machine: Machine) -> None:
    raise CorruptInput(f"byte {machine.position - 1:,} is not a pickle opcode.")


HANDLERS: list[Handler] = [_unknown] * 256  # by opcode; filled by `pickle_literals` and `pickle_opcodes`


def opcode(codes: bytes) -> Callable[[Handler], Handler]:
    """Registers a function as the handler of each opcode in `codes`."""

    def register(handler: Handler) -> Handler:
        for code in codes:
            HANDLERS[code] = handler
        return handler

    return register

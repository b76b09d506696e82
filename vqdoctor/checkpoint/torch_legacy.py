"""torch.save's stream (before torch 1.6, still written on request): five pickles in a row, then the storages.

Magic number, protocol version, facts about the writing system, the object, the list of storage keys; then for each key an int64
with the number of elements and the bytes, little-endian. Source: torch/serialization.py (`_legacy_save`, `_legacy_load`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from vqdoctor.checkpoint.dtypes import ITEM_BYTES
from vqdoctor.checkpoint.extents import Extent, StoredExtent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.header import header
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.naming import name_tensors
from vqdoctor.checkpoint.pickle_machine import Machine
from vqdoctor.checkpoint.pickle_opcodes import run
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.torch_pickle import extents, oddities, torch_machine
from vqdoctor.checkpoint.torch_values import Storage, Storages
from vqdoctor.errors import CorruptInput, UnsupportedInput

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


def open_torch_legacy(file: RegularFile, limits: Limits) -> CheckpointSource:
    """Opens it. Raises CorruptInput, UnsupportedInput, LimitExceeded."""
    whole = StoredExtent(file, file.bytes, 0)
    before = _preamble(whole, limits)
    storages = Storages()
    machine = torch_machine(whole, limits, storages, before[-1].position)
    named = name_tensors(run(machine), limits)
    after = Machine(whole, limits, start=machine.position)
    places, warnings = _places(file, run(after), after.position, storages.known)
    found = extents(named, whole, lambda held: places.get(held.key))
    warnings = [*oddities([*before, machine, after], named), *warnings]
    return CheckpointSource(
        [file], "torch-legacy", named.specs, found, limits, info=header(named.tree), tree=named.tree, warnings=warnings
    )


def _preamble(whole: Extent, limits: Limits) -> list[Machine]:
    """The machines that have read the first three pickles; what the third says about the writer's system does not matter."""
    machines: list[Machine] = []
    for expected in (MAGIC, _VERSION, None):
        machine = Machine(whole, limits, start=machines[-1].position if machines else 0)
        value = run(machine)
        if expected is not None and (type(value) is not int or value != expected):
            raise UnsupportedInput("a torch.save stream of a version that is not known.")
        machines.append(machine)
    return machines


def _places(file: RegularFile, keys: Any, position: int, storages: Mapping[str, Storage]) -> tuple[dict[str, Extent], list[str]]:
    """The extent of each storage, one after the other; stops where one does not fit the file."""
    if type(keys) is not list:
        raise CorruptInput("its list of storages is broken.")
    places: dict[str, Extent] = {}
    for key in keys:
        held = storages.get(key) if type(key) is str else None
        head = file.read(position, 8)
        size = struct.unpack("<q", head)[0] * ITEM_BYTES[held.dtype] if held and len(head) == 8 else -1
        position += 8
        if size < 0 or position + size > file.bytes:
            return places, [f"The storages end early, after {len(places):,} of {len(keys):,}: the file is cut off or damaged."]
        places[key] = StoredExtent(file, size, position)
        position += size
    return places, []

"""torch.save's zip container (since torch 1.6), and TorchScript archives, whose tensors are kept the same way.

``<folder>/data.pkl`` is the object, ``<folder>/data/<key>`` the bytes of each storage, ``<folder>/byteorder`` "little" or
"big". Source: torch/serialization.py (`_save`, `_load`).
"""

from __future__ import annotations

from vqdoctor.checkpoint.extents import Extent
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.header import header
from vqdoctor.checkpoint.limits import MIB, Limits
from vqdoctor.checkpoint.naming import name_tensors
from vqdoctor.checkpoint.pickle_opcodes import run
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.torch_pickle import extents, oddities, torch_machine
from vqdoctor.checkpoint.torch_values import Storage, Storages
from vqdoctor.checkpoint.zip_archive import ZipArchive
from vqdoctor.errors import CorruptInput

_PICKLE = "/data.pkl"
_CHECKED_BYTES = 8 * MIB


def torch_folder(archive: ZipArchive) -> str | None:
    """The archive's top folder where it is one of torch's, None where it is not."""
    folders = [name.removesuffix(_PICKLE) for name in archive.members if name.endswith(_PICKLE) and name.count("/") == 1]
    return folders[0] if len(folders) == 1 else None


def open_torch_zip(file: RegularFile, archive: ZipArchive, limits: Limits) -> CheckpointSource:
    """Opens it. Raises CorruptInput, UnsupportedInput, LimitExceeded."""
    folder = torch_folder(archive)
    big_endian = _is_big_endian(archive, f"{folder}/byteorder")
    pickled = archive.extent(f"{folder}{_PICKLE}")
    machine = torch_machine(pickled, limits, Storages())
    named = name_tensors(run(machine), limits)

    def locate(held: Storage) -> Extent | None:
        name = f"{folder}/data/{held.key}"
        return archive.extent(name, big_endian=big_endian) if name in archive.members else None

    warnings = [*archive.warnings, *oddities([machine], named)]
    if machine.position < pickled.bytes:
        warnings.append("Bytes after the end of the pickle were ignored.")
    if _is_damaged(pickled):
        warnings.append("The pickle differs from its checksum: the file is damaged, or was saved with checksums off.")
    if any(name.startswith(f"{folder}/code/") for name in archive.members):
        warnings.append("A TorchScript archive: its tensors were read, its code was not.")
    found = extents(named, pickled, locate)
    return CheckpointSource(
        [file], "torch-zip", named.specs, found, limits, info=header(named.tree), tree=named.tree, warnings=warnings
    )


def _is_damaged(pickled: Extent) -> bool:
    """Whether its checksum is wrong; a stored one was read in pieces and is read once more, as a whole."""
    if pickled.bytes <= _CHECKED_BYTES:
        pickled.read(0, pickled.bytes)
    return pickled.damaged


def _is_big_endian(archive: ZipArchive, name: str) -> bool:
    if name not in archive.members:
        return False
    order = archive.extent(name).read(0, 16)
    if order not in (b"little", b"big"):
        raise CorruptInput("its byteorder record says neither little nor big.")
    return order == b"big"

"""Which reader a file is for, by its content; its name is never asked, since `.tar`, `.th`, `.ckpt` and `.bin` all turn out to
be anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits
from vqdoctor.checkpoint.numpy_files import MAGIC as NPY_MAGIC
from vqdoctor.checkpoint.numpy_files import is_npz
from vqdoctor.checkpoint.shards import INDEX_MARK
from vqdoctor.checkpoint.strangers import HEAD_BYTES, stranger
from vqdoctor.checkpoint.torch_legacy import MAGIC as TORCH_MAGIC
from vqdoctor.checkpoint.torch_zip import torch_folder
from vqdoctor.checkpoint.zip_archive import ZipArchive
from vqdoctor.errors import UnsupportedInput

INDEX = "index"
_INDEX_HEAD = 64 * 1024
_LEGACY_MARKS = (
    b"\x8a\x0a" + TORCH_MAGIC.to_bytes(10, "little") + b".",  # protocols 2–5
    b"L%dL\n." % TORCH_MAGIC,  # protocols 0 and 1
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file is: a kind of `TensorSource`, or "index" for a shard index; its zip directory where it has one."""

    kind: str
    archive: ZipArchive | None = None


def recognise(file: RegularFile, limits: Limits) -> Recognised:
    """Decides by content.

    Raises:
        UnsupportedInput, CorruptInput: it is something else, or a broken checkpoint; the error says which.
    """
    head = file.read(0, HEAD_BYTES)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(file, limits)
    if head.startswith(NPY_MAGIC):
        return Recognised("npy")
    if any(mark in head[:32] for mark in _LEGACY_MARKS):
        return Recognised("torch-legacy")
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= file.bytes:
        return Recognised("safetensors")
    if head.lstrip()[:1] == b"{" and INDEX_MARK in file.read(0, _INDEX_HEAD):
        return Recognised(INDEX)
    raise stranger(file, head)


def _zip(file: RegularFile, limits: Limits) -> Recognised:
    archive = ZipArchive(file, limits)
    if torch_folder(archive) is not None:
        return Recognised("torch-zip", archive)
    if is_npz(archive):
        return Recognised("npz", archive)
    raise _other_zip(archive)


def _other_zip(archive: ZipArchive) -> UnsupportedInput:
    names = archive.members
    if any(name.endswith("/.data/extern_modules") for name in names):
        return UnsupportedInput(
            "a torch.package archive: its tensors are tied to code inside it.",
            hint="Load it where you trust it and save its state_dict().",
        )
    if any(name.endswith("/model.json") for name in names) and any("/tensors/" in name for name in names):
        return UnsupportedInput("a TorchScript archive of torch before 1.4.", hint="Load it with torch.jit.load and save it again.")
    if "model.weights.h5" in names:
        return UnsupportedInput("a Keras model.", hint="Save the weights as .npz or safetensors and inspect that.")
    return UnsupportedInput("a zip archive that holds no checkpoint at its top.", hint="If a checkpoint is inside, unpack it.")

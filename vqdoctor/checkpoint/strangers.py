"""Files that are no checkpoints but often stand where one should be: what they are, and what to do."""

from __future__ import annotations

import os
import re
import shlex

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.errors import CorruptInput, InputError, UnsupportedInput, printable

HEAD_BYTES = 1024

_AGAIN = "Download or copy it again, or take an earlier checkpoint."
_CONVERT = "Save the model's state dict with torch.save or safetensors and inspect that."
_UNPACK = "Unpack it and inspect the checkpoint inside."

_MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (b"GGUF", "a GGUF file (llama.cpp)", _CONVERT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights)", _CONVERT),
    (b"PAR1", "a parquet table", "Features and semantic IDs go to --features or --codes."),
    (b"ARROW1", "an arrow table", "Features and semantic IDs go to --features or --codes."),
    (b"%PDF", "a PDF document", ""),
    (b"\x7fELF", "a program", ""),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
)
_OLD_TORCH_TAR = frozenset(
    {b"sys_info", b"pickle", b"storages", b"tensors", b"./sys_info", b"./pickle", b"./storages", b"./tensors"}
)
_TENSORFLOW_INDEX = bytes.fromhex("57fb808b247547db")  # the last bytes of a LevelDB table
_TEXT = frozenset(range(0x20, 0x100)) | frozenset(b"\t\n\r\f")


def stranger(file: RegularFile, head: bytes) -> InputError:
    """The error that says what a file with these first bytes is."""
    if not file.bytes:
        return CorruptInput("an empty file.", hint=_AGAIN)
    for magic, what, hint in _MAGICS:
        if head.startswith(magic):
            return UnsupportedInput(f"{what}, not a checkpoint.", hint=hint or None)
    return _tar(head) or _pickle(head) or _text(file, head) or _binary(file, head)


def _tar(head: bytes) -> InputError | None:
    if head[257:262] != b"ustar" and head[:100].rstrip(b"\0") not in _OLD_TORCH_TAR:
        return None
    if head[:100].rstrip(b"\0") in _OLD_TORCH_TAR:
        return UnsupportedInput(
            "a torch.save file in the tar format of 2016 (torch 0.1).",
            hint="Load it with torch.load where you trust it, and save it again.",
        )
    return UnsupportedInput("a tar archive, not a checkpoint.", hint=_UNPACK)


def _pickle(head: bytes) -> InputError | None:
    if re.match(rb"\x80[\x02-\x05][\x95\x8a\x8c}\](Xc)]", head) or re.match(rb"c[\w.]+\n[\w.]+\n|\(dp|\(lp", head):
        return UnsupportedInput("a plain Python pickle, not a file that torch.save wrote.", hint=_CONVERT)
    return None


def _text(file: RegularFile, head: bytes) -> InputError | None:
    if not _TEXT.issuperset(head):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith(b"version https://git-lfs.github.com/spec"):
        return _lfs_pointer(file, head)
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return UnsupportedInput(
            "a web page (HTML), not a checkpoint.",
            hint="The download led to a page: log in first, or use the link to the file itself.",
        )
    if start.startswith(b"<"):
        return UnsupportedInput(
            "an XML text, such as a storage server's error message, not a checkpoint.", hint="Download the file again."
        )
    if start.startswith((b"{", b"[")):
        if re.search(rb'"\w*loss"\s*:\s*-?\d|"vqdoctor\.log/', head, re.IGNORECASE):
            return UnsupportedInput("a training log, not a checkpoint.", hint=f"Follow it: vqdoctor watch {_shown(file.path)}")
        return UnsupportedInput(
            "a JSON text that holds no semantic IDs, and not a checkpoint.",
            hint='IDs look like {"0": ["<a_12>", "<b_7>"]}; --sizes has others read as IDs too. '
            "A server sent an error message? Download again.",
        )
    if start.startswith(b"model_checkpoint_path:"):
        return UnsupportedInput("the list of checkpoints that TensorFlow keeps, not a torch checkpoint.", hint=_CONVERT)
    return UnsupportedInput(
        "a text file, not a checkpoint.",
        hint="Semantic IDs as text have a row of whole numbers, or of tokens, for each item; a log goes to vqdoctor watch.",
    )


def _shown(path: str) -> str:
    """`path` as it can be pasted into a shell."""
    return shlex.quote(printable(path))


def _lfs_pointer(file: RegularFile, head: bytes) -> InputError:
    size = re.search(rb"^size (\d{1,18})$", head, re.MULTILINE)
    bytes_elsewhere = f" to a file of {int(size[1]):,} bytes" if size else ""
    name = _shown(os.path.basename(file.path))
    return UnsupportedInput(
        f"a Git LFS pointer{bytes_elsewhere}, not the checkpoint itself.",
        hint=f"Fetch it in its repository: git lfs pull --include={name}",
    )


def _binary(file: RegularFile, head: bytes) -> InputError:
    if not head.strip(b"\0"):
        return CorruptInput(
            "nothing but zero bytes at its beginning: the disk was full, or the download did not finish.", hint=_AGAIN
        )
    if file.read(max(0, file.bytes - 8), 8) == _TENSORFLOW_INDEX:
        return UnsupportedInput("the index of a TensorFlow checkpoint, not a torch checkpoint.", hint=_CONVERT)
    if re.match(rb"\x08[\x01-\x20]\x12.(?:pytorch|tf2onnx|onnx|skl2onnx|keras)", head, re.DOTALL):
        return UnsupportedInput("an ONNX model, not a checkpoint.", hint=_CONVERT)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length < 1 << 40:
        return CorruptInput(
            f"a safetensors file of {file.bytes:,} bytes that ends inside its header: it looks cut off.", hint=_AGAIN
        )
    if head[:1] == b"\x80":
        return CorruptInput("the beginning of a pickle, broken or cut off after a few bytes.", hint=_AGAIN)
    return UnsupportedInput(
        "not a checkpoint of a kind that is read.",
        hint="Known are torch (zip and legacy), safetensors, shard indexes, .npz and .npy.",
    )

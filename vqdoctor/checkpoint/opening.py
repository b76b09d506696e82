"""From a path to a `TensorSource`: recognise, then hand the open file to its reader; and the checkpoints of a folder."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import Limits, default_limits
from vqdoctor.checkpoint.numpy_files import open_npy, open_npz
from vqdoctor.checkpoint.safetensors import open_safetensors
from vqdoctor.checkpoint.shards import open_shards, read_index, shard_paths
from vqdoctor.checkpoint.sniffing import INDEX, recognise
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.torch_legacy import open_torch_legacy
from vqdoctor.checkpoint.torch_zip import open_torch_zip
from vqdoctor.errors import InputError, MissingInput, UnsupportedInput, VqdoctorError
from vqdoctor.remote import is_url, local_path

SIDECARS = (".features.npy", ".codes.npy", ".undo.npz")
NAMED = (".pt", ".pth", ".ckpt", ".safetensors")
"""How nothing else than a checkpoint is named."""


def open_source(path: str, *, limits: Limits | None = None) -> CheckpointSource:
    """Opens a checkpoint of any known kind, whatever its name. Nothing of it is executed; tensors are read when asked for.

    `path` may be a URL (see :mod:`vqdoctor.remote`). limits: `default_limits` if not given.

    Raises:
        MissingInput: not there, not a regular file, or shards are missing.
        UnsupportedInput: something else; the error says what and what to do.
        CorruptInput: cut off or contradictory. LimitExceeded: more than `limits` allow.
    """
    with _nothing_collected():
        return _open_path(path, limits or default_limits())


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Holds the search for cyclic garbage while a tree grows: it would walk all of it again and again, and find nothing."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _open_path(path: str, limits: Limits, *, shard: bool = False) -> CheckpointSource:
    file = RegularFile(path) if shard else _file(os.fspath(path))
    try:
        return _open(file, limits, shard=shard)
    except VqdoctorError as error:
        file.close()
        error.where = error.where or file.path
        raise
    except BaseException:
        file.close()
        raise


def _file(path: str) -> RegularFile:
    """The file at a path or URL that the user named."""
    if not is_url(path):
        return RegularFile(path)
    local = local_path(path)
    if local is not None:
        return RegularFile(local)
    from vqdoctor.checkpoint.remote_file import RemoteFile

    return RemoteFile(path)


def _open(file: RegularFile, limits: Limits, *, shard: bool) -> CheckpointSource:
    recognised = recognise(file, limits)
    if recognised.archive is not None:
        return (open_torch_zip if recognised.kind == "torch-zip" else open_npz)(file, recognised.archive, limits)
    if recognised.kind == INDEX:
        if shard:
            raise UnsupportedInput("a shard index where a shard should be.")
        if is_url(file.path):
            raise UnsupportedInput("a shard index behind a URL.", hint="Download it and its shards.")
        source = open_shards(file, limits, lambda path: _open_path(path, limits, shard=True))
        file.close()
        return source
    readers = {"torch-legacy": open_torch_legacy, "safetensors": open_safetensors, "npy": open_npy}
    return readers[recognised.kind](file, limits)


def sniff(path: str) -> str | None:
    """The kind that `open_source` would give, by a look at the beginning (and the directory of a zip); None: not a checkpoint.

    A shard index counts by its first shard. Semantic-ID JSON and CSV are no checkpoints.
    """
    kind = _kind(path)
    if kind != INDEX:
        return kind
    try:
        first = _kind(_shards(path)[0])
    except InputError:
        return None
    if first == "safetensors":
        return "safetensors-sharded"
    return "torch-sharded" if first in ("torch-zip", "torch-legacy") else None


def _kind(path: str) -> str | None:
    try:
        file = _file(path)
    except InputError:
        return None
    try:
        return recognise(file, default_limits()).kind
    except InputError:
        return None
    finally:
        file.close()


def _shards(index: str) -> list[str]:
    """Paths of the shards of an index."""
    file = RegularFile(index)
    try:
        return shard_paths(file, read_index(file, default_limits()))
    finally:
        file.close()


def list_checkpoints(folder: str) -> list[str]:
    """Paths of the checkpoints in a folder (not below it), oldest first, equally old ones by name.

    The shards of an index count as their index. Features, codes and undo files beside a checkpoint, and dot files, are left out.

    Raises:
        MissingInput: not a folder. LimitExceeded: more entries than a folder of checkpoints has.
    """
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".") and not name.endswith(SIDECARS)]
    except (OSError, ValueError) as error:
        hint = "Check its permissions." if isinstance(error, PermissionError) else None
        raise MissingInput("is not a folder that can be read.", where=folder, hint=hint) from None
    default_limits().check("folder_files", len(names))
    kinds = {path: sniff(path) for path in (os.path.join(folder, name) for name in names)}
    shards = {shard for path, kind in kinds.items() if kind and kind.endswith("-sharded") for shard in _shards(path)}
    found = [path for path, kind in kinds.items() if kind and path not in shards]
    return sorted(found, key=lambda path: (_modified(path), path))


def list_broken(folder: str) -> list[str]:
    """Paths in a folder that are named like checkpoints and are none: cut off, half written, a pointer to the file itself.

    Raises:
        as `list_checkpoints`.
    """
    whole = {*list_checkpoints(folder)}
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(NAMED) and not name.startswith("."))
    paths = (os.path.join(folder, name) for name in names)
    return [path for path in paths if path not in whole and os.path.isfile(path) and sniff(path) is None]


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0

"""A copy of a checkpoint that is spread over several files: new shards under new names first, the index last.

Whenever it stops, an index names a whole set: the old one, or the new one. Into the original's own folder only the shards that
change are written; the new index shares the others. A run that is killed may leave new shards that no index names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping

from vqdoctor.checkpoint.copy_steps import Order, blaming_changes, check, fill, is_same_file, permissions, publish
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import default_limits
from vqdoctor.checkpoint.patching import plan
from vqdoctor.checkpoint.shards import read_index
from vqdoctor.checkpoint.written import Written
from vqdoctor.safe_write import Draft, leftovers


def write_shards(order: Order) -> Written:
    """`write_copy` for a shard index. Raises the same."""
    index = RegularFile(order.source.path)
    stale = leftovers(os.path.dirname(order.target))
    made = _Made(order.target)
    originals = [index, *order.source.files]
    try:
        with blaming_changes(originals):
            names = _write_changed(order, made)
            text = _renamed(index, names)
        with Draft(order.target, mode=permissions(index)) as draft:
            draft.write(text, 0)
            draft.sync()
            made.index = _inode(draft)
            with blaming_changes(originals):
                proof = check(draft, order, originals)
            publish(draft, order)
    except BaseException:
        made.withdraw()
        raise
    after, before = (hashlib.sha256(raw).hexdigest() for raw in (text, index.read(0, index.bytes)))
    digests = {_shard(order, file, names): pair[1] for file, pair in zip(order.source.files, proof.digests, strict=True) if pair}
    changed = (*order.changes, *proof.tied)
    return Written(order.target, after, order.source.bytes, before, changed, {**digests, order.target: after}, stale)


class _Made:
    """The new shards, to be removed unless the index that names them is in place: files are known again by their inodes."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._shards: list[tuple[str, tuple[int, int]]] = []
        self.index: tuple[int, int] | None = None

    def add(self, path: str, draft: Draft) -> None:
        """Before it is published."""
        self._shards.append((path, _inode(draft)))

    def withdraw(self) -> None:
        if self.index is None or _inode_at(self._target) != self.index:
            for path, inode in self._shards:
                if _inode_at(path) == inode:
                    with contextlib.suppress(OSError):
                        os.unlink(path)


def _inode(draft: Draft) -> tuple[int, int]:
    status = os.fstat(draft.descriptor)
    return status.st_dev, status.st_ino


def _inode_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _shard(order: Order, file: RegularFile, names: Mapping[str, str]) -> str:
    """Path of the copy of a shard."""
    return os.path.join(os.path.dirname(order.target), names[os.path.basename(file.path)])


def _write_changed(order: Order, made: _Made) -> dict[str, str]:
    """Writes the shards; the name of each in the new index, by its old one."""
    patches = plan(order.source, order.changes)
    folder = os.path.dirname(order.target)
    shares = is_same_file(folder or os.curdir, os.path.dirname(order.source.path) or os.curdir)
    names: dict[str, str] = {}
    for file in order.source.files:
        own = [patch for patch in patches if patch[0].file is file]
        name = os.path.basename(file.path)
        names[name] = name if shares and not own else _free_name(folder, name)
        if own or not shares:
            path = _shard(order, file, names)
            with Draft(path, mode=permissions(file)) as draft:
                fill(draft, file, own, order.step)
                made.add(path, draft)
                draft.close()
                draft.publish(replace=False)
            order.step("shard")
    return names


def _free_name(folder: str, name: str) -> str:
    """`name`, or where that is taken the first of its numbered variants that is not."""
    stem, suffix = os.path.splitext(name)
    number, free = 0, name
    while os.path.lexists(os.path.join(folder, free)):
        number += 1
        free = f"{stem}.copy-{number}{suffix}"
    return free


def _renamed(index: RegularFile, names: Mapping[str, str]) -> bytes:
    """The index with other shard names and otherwise, if that is possible, the same text."""
    raw = index.read(0, index.bytes)
    wanted = {tensor: names[shard] for tensor, shard in read_index(index, default_limits()).items()}
    text = raw.decode("utf-8")
    for old, new in names.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    expected = json.loads(raw) | {"weight_map": wanted}
    return (text if json.loads(text) == expected else json.dumps(expected, indent=2)).encode()

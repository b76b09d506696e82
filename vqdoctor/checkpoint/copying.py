"""A copy of a checkpoint in which some tensors hold other values: the file copied once, a few bytes changed in it, proven, renamed.

Nothing is loaded and saved again, so that whatever a reader does not understand survives: every pickled object, the order of the
keys, types, devices, alignment. The original is opened for reading only. Until the rename there is only a draft; whatever stops
the process before that, the target is as it was (reference: security §4). Decided here and below:

- Numbers that would need other room are refused: members that the archive compresses, and small arrays spelled out in a pickle.
- A copy has the original's permission bits; its owner and extended attributes are those of any new file.
- In place means that the name given leads to the copy; the original stays as ``<name>.bak`` unless asked not to. Where the name
  is a link, symbolic or hard, what it led to is left as it was.
- Shards that do not change are copied, never linked: a linked one would change with its original when somebody saves over it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vqdoctor.checkpoint.copy_steps import (
    Order,
    backup_path,
    blaming_changes,
    check,
    fill,
    identity,
    is_same_file,
    permissions,
    publish,
)
from vqdoctor.checkpoint.opening import open_source
from vqdoctor.checkpoint.patching import plan
from vqdoctor.checkpoint.shard_copies import write_shards
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.written import Written
from vqdoctor.errors import CorruptInput, UsageError
from vqdoctor.safe_write import Draft, leftovers, refuse_folder, refuse_irregular


def nothing(_: Any) -> None:
    """What `step` and `verify` do unless told otherwise."""


def write_copy(
    source_path: str,
    out: str,
    changes: Mapping[str, np.ndarray],
    *,
    in_place: bool = False,
    backup: bool = True,
    overwrite: bool = False,
    step: Callable[[str], None] = nothing,
    verify: Callable[[str], None] = nothing,
    since: CheckpointSource | None = None,
) -> Written:
    """Writes `out`: the checkpoint at `source_path` with other values in some tensors, every other byte the same.

    SIGTERM is an error like any other where the program turns it into an exception, as the command line does; else, as after a
    kill, the draft stays beside the target, and the next call names it.

    Args:
        source_path: a checkpoint of any kind that `open_source` reads; of a sharded one, its index.
        out: the new file, or the new index; in its folder the shards are written, under new names where theirs are taken.
        changes: name of a tensor → all its new values, in its shape, of any numeric type that the stored one can hold.
        in_place: `out` is the checkpoint itself. backup: it then stays as ``<name>.bak``.
        overwrite: a file that `out` names already gives way; a link of that name is replaced, not followed.
        step: told the name of each step (`STEPS`) when it is done.
        verify: called with the path of the finished draft before it takes its name; if it raises, the draft is removed.
        since: the source as it was opened when the changes were computed; other bytes since then are refused.

    Returns:
        What was written, proven by reading it back (`compare_files`).

    Raises:
        UsageError: `out` is no place for it, the disk is full, no such tensor, another shape, contradicting changes.
        UnsupportedInput: a tensor's bytes cannot be changed in place, or its stored type cannot hold a value.
        InputError: the source cannot be read, or was changed meanwhile.
        VerifyError: the copy differs from what was promised, and was removed.
    """
    with open_source(source_path) as source:
        if since is not None and not _is_same(source, since):
            raise CorruptInput("it was changed since it was examined.", where=source.path, hint="Run again.")
        target = check_target(source, out, in_place=in_place, backup=backup, overwrite=overwrite)
        order = Order(source, target, changes, in_place, backup, overwrite, step, verify)
        return write_shards(order) if source.kind.endswith("-sharded") else _write_file(order)


def _is_same(source: CheckpointSource, other: CheckpointSource) -> bool:
    files = [[identity(file.status) for file in opened.files] for opened in (source, other)]
    return files[0] == files[1] and list(source.specs.items()) == list(other.specs.items())


def check_target(
    source: CheckpointSource, out: str, *, in_place: bool = False, backup: bool = True, overwrite: bool = False
) -> str:
    """The path to write, known before anything is worked out. See `write_copy`.

    Raises:
        UsageError: nothing can be written there, or it would harm something that nobody asked to replace.
    """
    refuse_irregular(out)
    refuse_folder(out)
    if in_place:
        if os.path.abspath(out) != os.path.abspath(source.path):
            raise UsageError("is not the name of the checkpoint that is to be changed in place.", where=out)
        if backup:
            backup_path(out)
        return out
    if any(is_same_file(path, out) for path in (source.path, *(file.path for file in source.files))):
        raise UsageError("is the checkpoint itself.", where=out, hint="Name another file, or ask to change it in place.")
    if not overwrite and os.path.lexists(out):
        raise UsageError("exists already and is left as it is.", where=out, hint="Name another file.")
    return out


def _write_file(order: Order) -> Written:
    (original,) = order.source.files
    patches = plan(order.source, order.changes)
    stale = leftovers(os.path.dirname(order.target))
    with Draft(order.target, mode=permissions(original)) as draft:
        with blaming_changes([original]):
            fill(draft, original, patches, order.step)
            proof = check(draft, order, [original])
        publish(draft, order)
    (digests,) = proof.digests
    before, after = digests or ("", "")
    return Written(order.target, after, original.bytes, before, (*order.changes, *proof.tied), {order.target: after}, stale)

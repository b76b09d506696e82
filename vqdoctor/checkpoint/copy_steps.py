"""The steps that a copied file and each copied shard go through, in the order in which a crash at any of them does no harm."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vqdoctor.checkpoint.cloning import clone
from vqdoctor.checkpoint.comparing import Proof, prove
from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import default_limits
from vqdoctor.checkpoint.opening import open_source
from vqdoctor.checkpoint.patching import Place, holds, write_values
from vqdoctor.checkpoint.sniffing import recognise
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.zip_patch import mended_checksums
from vqdoctor.errors import CorruptInput, UsageError, VerifyError, VqdoctorError, printable
from vqdoctor.model import TensorSpec
from vqdoctor.safe_write import NO_HARD_LINKS, Draft, blame

# what `step` is told, each name once it is done; "shard" after each published shard, "kept" only in place
STEPS = ("created", "copied", "patched", "mended", "synced", "shard", "proven", "verified", "closed", "kept", "published")

Patches = Sequence[tuple[Place, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        target: the path to write. changes: tensor name → new values.
        in_place: the target is the original. backup: keep the original then. overwrite: replace what the target names.
        step: told each of STEPS. verify: given the draft's path before it becomes the target; raises to have it removed.
    """

    source: CheckpointSource
    target: str
    changes: Mapping[str, np.ndarray]
    in_place: bool
    backup: bool
    overwrite: bool
    step: Callable[[str], None]
    verify: Callable[[str], None]


def permissions(file: RegularFile) -> int:
    """The mode of a copy: who may read and write, nothing of setuid and its like."""
    return file.status.st_mode & 0o777


def fill(draft: Draft, original: RegularFile, patches: Patches, step: Callable[[str], None]) -> None:
    """Makes a new draft the copy of `original` with `patches` in it, and syncs it.

    Raises:
        UsageError: the disk is full or the like; two patches, or a view whose elements share memory, contradict each other.
        CorruptInput: the original changed its size.
    """
    step("created")
    with blame(draft.target):
        clone(original, draft.descriptor)
    step("copied")
    copy = RegularFile(draft.path)
    try:
        for place, values in patches:
            write_values(place, values, copy, draft)
        _refuse_contradictions(patches, copy)
        step("patched")
        archive = recognise(original, default_limits()).archive
        if archive is not None:
            for position, checksum in mended_checksums(original, archive, copy, [place.span[0] for place, _ in patches]):
                draft.write(checksum, position)
    finally:
        copy.close()
    step("mended")
    draft.sync()
    step("synced")


def _refuse_contradictions(patches: Patches, copy: RegularFile) -> None:
    """Where one place has got two values, the later has overwritten the earlier."""
    for place, values in patches if _may_overlap(patches) else ():
        if not holds(copy, place, values):
            raise UsageError(
                "it shares memory, with another tensor that changes or within itself, and is to hold two values at one place.",
                where=f"{place.file.path}, tensor {printable(place.spec.name)}",
            )


def _may_overlap(patches: Patches) -> bool:
    """Whether two patches, or two elements of one, can be the same bytes."""
    spans = sorted(place.span for place, _ in patches)
    return any(first < last for (_, last), (first, _) in pairwise(spans)) or any(_is_crowded(place.spec) for place, _ in patches)


def _is_crowded(spec: TensorSpec) -> bool:
    """Whether some stride is shorter than what the axes inside it span."""
    span = 1
    for stride, size in sorted(zip(spec.strides, spec.shape, strict=True)):
        if size > 1 and stride < span:
            return True
        span += max(0, size - 1) * stride
    return False


def check(draft: Draft, order: Order, originals: Sequence[RegularFile]) -> Proof:
    """Reads the synced draft back, lets the caller verify it, makes sure that the original is still the same, closes the draft.

    Raises:
        VerifyError: the draft differs from what was promised. CorruptInput: the original was changed meanwhile.
    """
    try:
        with open_source(draft.path) as copy:
            proof = prove(order.source, copy, order.changes)
    except VqdoctorError as error:
        where = (error.where or draft.path).replace(draft.path, order.target)
        raise VerifyError(f"the copy was not put in place: {error.what}", where=where) from error
    order.step("proven")
    order.verify(draft.path)
    order.step("verified")
    _refuse_changed(originals)
    draft.close()
    order.step("closed")
    return proof


@contextlib.contextmanager
def blaming_changes(originals: Sequence[RegularFile]) -> Iterator[None]:
    """Whatever cannot be read or proven in the block: where an original was changed meanwhile, that is the reason to give."""
    try:
        yield
    except VqdoctorError:
        _refuse_changed(originals)
        raise


def _refuse_changed(originals: Sequence[RegularFile]) -> None:
    """Raises CorruptInput where a file is no longer what it was when it was opened."""
    for original in originals:
        try:
            path = os.stat(original.path)
        except OSError:
            path = None
        if path is None or not identity(path) == identity(os.fstat(original.fileno())) == identity(original.status):
            raise CorruptInput("it was changed while it was read.", where=original.path, hint="Run again once nobody writes to it.")


def identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """What differs once a file is replaced, written to, or grows."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def publish(draft: Draft, order: Order) -> None:
    """The closed draft takes the target's name; in place, the original first gets a second one."""
    backup = backup_path(order.target) if order.in_place and order.backup else None
    try:
        if backup is not None:
            _keep(order.target, backup)
            order.step("kept")
        draft.publish(replace=order.in_place or order.overwrite)
    except BaseException:
        if backup is not None and is_same_file(backup, order.target):  # nothing was replaced
            os.unlink(backup)
        raise
    order.step("published")


def backup_path(target: str) -> str:
    """Where the original of `target` is kept. Raises UsageError where an earlier one is, which may be the last good one."""
    backup = target + ".bak"
    if os.path.lexists(backup) and not is_same_file(backup, target):
        raise UsageError("a backup is there already and is left as it is.", where=backup, hint="Move it away first.")
    return backup


def is_same_file(path: str, other: str) -> bool:
    """Whether two paths lead to one file; False where one leads nowhere."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _keep(target: str, backup: str) -> None:
    """By a second name for the same bytes; where there are no hard links by a copy."""
    try:
        os.link(target, backup)
    except FileExistsError:
        backup_path(target)  # the same file: left by a run that was stopped right here
    except OSError as error:
        with blame(backup):
            if error.errno not in NO_HARD_LINKS:
                raise
            original = RegularFile(target)
            with Draft(backup, mode=permissions(original)) as draft:
                clone(original, draft.descriptor)
                draft.sync()
                draft.close()
                draft.publish(replace=False)

"""Proof that a copy is what was promised: read back by the same suspicious readers, and compared byte for byte.

Outside the elements of the changed tensors, and the checksums of the zip members that hold them, not one byte may differ. That
covers what no list of tensors does: pickled objects, order, padding, records that nobody reads. Both hashes come from the same
pass.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vqdoctor.checkpoint.files import RegularFile
from vqdoctor.checkpoint.limits import MIB, default_limits
from vqdoctor.checkpoint.opening import open_source
from vqdoctor.checkpoint.patching import Place, Window, holds, locate
from vqdoctor.checkpoint.sniffing import recognise
from vqdoctor.checkpoint.source import CheckpointSource
from vqdoctor.checkpoint.zip_patch import mended_checksums
from vqdoctor.errors import VerifyError, printable

_BLOCK = 4 * MIB


@dataclass(frozen=True, slots=True)
class Proof:
    """What the comparison found.

    Attributes:
        digests: sha256 in hex of each file before and after, in the order of the source's files; None for one that both share.
        tied: tensors that differ without having been named, because they share bytes with one that was.
    """

    digests: tuple[tuple[str, str] | None, ...]
    tied: tuple[str, ...]


def compare_files(source_path: str, out_path: str, changed: Collection[str] | Mapping[str, np.ndarray]) -> None:
    """Proves that `out_path` is `source_path` with other values in the tensors `changed`, and no other difference.

    Args:
        changed: names of the tensors that may differ; as a mapping, also what they must hold (rounded to the stored type).

    Raises:
        VerifyError: another byte differs, a tensor that was not named, or a value is not the promised one.
        InputError: one of the two cannot be read.
    """
    with open_source(source_path) as source, open_source(out_path) as out:
        tied = prove(source, out, changed).tied
    if tied:
        raise VerifyError(f"tensor {printable(tied[0])} changed too: it shares memory with one that was to change.", where=out_path)


def prove(source: CheckpointSource, out: CheckpointSource, changed: Collection[str] | Mapping[str, np.ndarray]) -> Proof:
    """`compare_files` of opened checkpoints; tied tensors are reported, not refused. Memory: some 20 MiB."""
    if _description(source) != _description(out):
        raise VerifyError("its tensors are not those of the original: other names, shapes, types or places.", where=out.path)
    places = {name: locate(source, name) for name in changed}
    for name, values in changed.items() if isinstance(changed, Mapping) else ():
        place = locate(out, name)
        if place.start != places[name].start or not holds(place.file, places[name], np.asarray(values)):
            raise VerifyError("it does not hold the values that were promised.", where=f"{out.path}, tensor {printable(name)}")
    digests = []
    for before, after in zip(source.files, out.files, strict=True):
        touched = [place for place in places.values() if place.file is before]
        shared = _inode(before) == _inode(after)
        digests.append(None if shared else _compare(before, after, touched))
    return Proof(tuple(digests), tuple(_tied(source, out, places)))


def _inode(file: RegularFile) -> tuple[int, int]:
    return file.status.st_dev, file.status.st_ino


def _description(source: CheckpointSource) -> list[Any]:
    """All that the readers say of a checkpoint, but for the names of its files, which storages of shards bear."""
    storages: dict[str, int] = {}
    tensors = [replace(spec, storage=str(storages.setdefault(spec.storage, len(storages)))) for spec in source.specs.values()]
    sizes = [extent.bytes if (extent := source.extents.get(storage)) else None for storage in storages]
    return [source.kind, tensors, sizes, source.info, len(source.files)]


def _compare(before: RegularFile, after: RegularFile, touched: Sequence[Place]) -> tuple[str, str]:
    """sha256 of both files, once every byte has been looked at."""
    if before.bytes != after.bytes:
        raise VerifyError(f"it has {after.bytes:,} bytes instead of {before.bytes:,}.", where=after.path)
    free = _Free(touched, _compare_checksums(before, after, touched))
    hashes = hashlib.sha256(), hashlib.sha256()
    with ThreadPoolExecutor(2) as pool:  # hashing takes longer than reading and comparing
        for start in range(0, before.bytes, _BLOCK):
            blocks = before.read(start, _BLOCK), after.read(start, _BLOCK)
            hashing = [pool.submit(digest.update, block) for digest, block in zip(hashes, blocks, strict=True)]
            _compare_blocks(*blocks, start, free, after.path)
            for future in hashing:
                future.result()
    return hashes[0].hexdigest(), hashes[1].hexdigest()


def _compare_blocks(before: bytes, after: bytes, start: int, free: _Free, path: str) -> None:
    if before == after:
        return
    if len(before) != len(after):
        raise VerifyError("it or the original became shorter.", where=path)
    differ = np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)
    wrong = np.flatnonzero(differ & ~free.flags(start, len(before)))
    if wrong.size:
        raise VerifyError(f"byte {start + int(wrong[0]):,} differs, where nothing was to change.", where=path)


def _compare_checksums(before: RegularFile, after: RegularFile, touched: Sequence[Place]) -> list[tuple[int, int]]:
    """Ranges of the checksums that had to become others, once they have been found right; none outside zip archives."""
    archive = recognise(before, default_limits()).archive
    if archive is None:
        return []
    mended = list(mended_checksums(before, archive, after, [place.span[0] for place in touched]))
    if any(after.read(position, len(checksum)) != checksum for position, checksum in mended):
        raise VerifyError("a checksum of the archive does not fit what it stands for.", where=after.path)
    return [(position, position + len(checksum)) for position, checksum in mended]


class _Free:
    """Which bytes of a file may differ: the elements of the changed tensors, and some ranges."""

    def __init__(self, places: Iterable[Place], ranges: Sequence[tuple[int, int]]) -> None:
        self._windows: list[Window] = sorted((window for place in places for window in place.windows()), key=_start)
        self._longest = max((window.bytes for window in self._windows), default=0)
        self._ranges = ranges

    def flags(self, start: int, size: int) -> np.ndarray:
        """(size,) bool for the bytes from `start`."""
        free = np.zeros(size, np.bool_)
        for first, last in self._ranges:
            free[max(0, first - start) : max(0, last - start)] = True
        lowest = bisect.bisect_left(self._windows, start - self._longest, key=_start)
        highest = bisect.bisect_left(self._windows, start + size, key=_start)
        for window in self._windows[lowest:highest]:
            first, last = max(start, window.start), min(start + size, window.start + window.bytes)
            if first < last:
                free[first - start : last - start] |= window.flags()[first - window.start : last - window.start]
        return free


def _start(window: Window) -> int:
    return window.start


def _tied(source: CheckpointSource, out: CheckpointSource, places: Mapping[str, Place]) -> Iterable[str]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for place in places.values():
        spans.setdefault(place.spec.storage, []).append(place.span)
    for name, spec in source.specs.items():
        if name in places or spec.storage not in spans:
            continue
        place = locate(source, name)
        first, last = place.span
        if any(first < end and start < last for start, end in spans[spec.storage]) and _differ(place, locate(out, name)):
            yield name


def _differ(before: Place, after: Place) -> bool:
    return any(
        window.elements(window.read(before.file)).tobytes() != window.elements(window.read(after.file)).tobytes()
        for window in before.windows()
    )

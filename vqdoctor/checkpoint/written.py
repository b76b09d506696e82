"""What writing a copy reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """A copy that is in place.

    Attributes:
        path: of the file, or of the index of a sharded checkpoint.
        sha256: of that file, hex. bytes: of it, or of all shards together.
        source_sha256: of the original (or its index).
        tensors_changed: those that were to change, and those that did because they share memory with one.
        files: sha256 of every file that was written, by path.
        leftovers: drafts beside it that an earlier run left when it was killed.
    """

    path: str
    sha256: str
    bytes: int
    source_sha256: str
    tensors_changed: tuple[str, ...]
    files: Mapping[str, str]
    leftovers: tuple[str, ...]

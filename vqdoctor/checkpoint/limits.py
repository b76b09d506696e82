"""How much of a file the readers take in before they stop: named bounds that hold whatever sizes the file claims.

Real checkpoints stay an order of magnitude below each default; a file that passes one is refused by the limit's name, so that a
user who trusts the file knows which one to raise: in the environment, since every command opens files.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from functools import cache

from vqdoctor.errors import LimitExceeded, UsageError, printable

MIB = 1 << 20
SWITCH = "VQDOCTOR_LIMITS"


@dataclass(frozen=True, slots=True)
class Limits:
    """Named bounds on what one file may cost.

    Attributes:
        pickle_ops: opcodes of one pickle (a tensor takes about 33).
        memo_entries: entries of a pickle's memo.
        literal_bytes: strings, byte strings and names of one pickle that are held in memory (arrays stay in the file).
        line_bytes: one line of a text pickle.
        nesting: containers inside containers.
        nodes: containers and tensors walked, and elements copied, while the tensors are named.
        tensors: tensors of one file.
        modules: submodules of one pickled module.
        name_characters: length of all tensor names together.
        path_characters: length of one tensor's name.
        rank: dimensions of one tensor.
        header_bytes: a safetensors header, a shard index, a zip directory, an npy header.
        members: members of a zip archive.
        shards: files of a shard index.
        read_bytes: one tensor (or run of rows) as it arrives in memory.
        folder_files: entries of a folder of checkpoints.
        expansion: how many times its packed bytes a compressed member may become, past its first 64 MiB (weights: less than 2).
    """

    pickle_ops: int = 8_000_000
    memo_entries: int = 2_000_000
    literal_bytes: int = 64 * MIB
    line_bytes: int = MIB
    nesting: int = 500
    nodes: int = 3_000_000
    tensors: int = 200_000
    modules: int = 50_000
    name_characters: int = 16 * MIB
    path_characters: int = 1024
    rank: int = 64
    header_bytes: int = 32 * MIB
    members: int = 200_000
    shards: int = 1024
    read_bytes: int = 1024 * MIB
    folder_files: int = 10_000
    expansion: int = 100

    def check(self, name: str, value: int) -> None:
        """Raises LimitExceeded where `value` is over the limit `name`."""
        if value > getattr(self, name):
            raise self.exceeded(name)

    def exceeded(self, name: str) -> LimitExceeded:
        """The error that says which limit was hit."""
        bound = getattr(self, name)
        return LimitExceeded(
            f"reading on would pass the limit {name} = {bound:,}.",
            hint=f"If you trust the file, raise it by the environment: {SWITCH}={name}={2 * bound}",
        )


def default_limits() -> Limits:
    """The bounds where nobody names others: those above, but for what ``VQDOCTOR_LIMITS=tensors=500000,members=500000`` says.

    Raises:
        UsageError: it says something else.
    """
    return _limits(os.environ.get(SWITCH, ""))


@cache
def _limits(spelled: str) -> Limits:
    said = {}
    for part in filter(None, map(str.strip, spelled.split(","))):
        name, _, value = (side.strip() for side in part.partition("="))
        if name not in NAMES or not re.fullmatch(r"[0-9]{1,18}", value):
            hint = f"It takes name=number, several with commas between; the names are {', '.join(NAMES)}."
            raise UsageError(f"{SWITCH} holds {printable(part, 80)}, which is no limit and its number.", hint=hint)
        said[name] = int(value)
    return Limits(**said)


NAMES = tuple(one.name for one in fields(Limits))

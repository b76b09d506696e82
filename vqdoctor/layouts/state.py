"""A checkpoint as layouts see it: its state dicts, without optimiser state, each a mapping of keys to tensors.

A file often holds several (``params`` beside ``params_ema``, ``generator`` beside ``discriminators``); each is matched by itself,
so that two books of the same key never mix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vqdoctor.model import TensorSource, TensorSpec

# Optimiser moments have the very shape of the book they belong to, and a callback's best score is a tensor too: no weights.
NOT_WEIGHTS = re.compile(
    r"(?:^|\.)(?:optim\w*|opt|opt_\w+|lr_schedulers?|schedulers?|scaler|callbacks|loops)(?:\.|$)", re.IGNORECASE
)  # fmt: skip

DEEPEST = 40  # parts of a key; a deeper one is no module's, and every module above it would be listed

# Wrappers that training frameworks put anywhere into a key without changing what it means.
WRAPPERS = ("module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


def unwrapped(key: str) -> str:
    """`key` without the wrappers of DDP, torch.compile, DeepSpeed, FSDP and activation checkpointing, wherever they stand.

    Example:
        >>> unwrapped("module.quantizer._orig_mod.vq._codebook.embed")
        'quantizer.vq._codebook.embed'
    """
    parts = key.split(".")
    dropped = {wrapper[:-1] for wrapper in WRAPPERS}
    kept = [part for part in parts[:-1] if part not in dropped]
    return ".".join([*kept, parts[-1]])


@dataclass(frozen=True, slots=True)
class StateDict:
    """The tensors of one state dict.

    Attributes:
        source: the file they are in. container: path of the state dict in it, "" in a flat file.
        specs: by key as stored. bare: unwrapped key → key as stored, the names that layouts match.
        endings: last two parts of an unwrapped key → the keys that end so: the index by which layouts look.
        modules: path of a module → the names of what lies directly in it.
        claimed: names of tensors that an earlier layout took for its own; only the recogniser of last resort needs to ask.
        looked_up: what was found once for all tables, by tail (`ending_with`) or pattern.
        again: unwrapped key → the keys as stored that unwrap to it too, behind the first.
        neighbours: made by `beside`, once for all tables.
    """

    source: TensorSource
    container: str
    specs: dict[str, TensorSpec] = field(default_factory=dict)
    bare: dict[str, str] = field(default_factory=dict)
    endings: dict[str, list[str]] = field(default_factory=dict)
    modules: dict[str, set[str]] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    looked_up: dict[str, list[str]] = field(default_factory=dict)
    again: dict[str, list[str]] = field(default_factory=dict)
    neighbours: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, spec: TensorSpec) -> None:
        """Take a tensor in; of two keys that differ by wrappers alone, the first is the one that layouts see."""
        self.specs[spec.key] = spec
        bare = unwrapped(spec.key)
        if self.bare.setdefault(bare, spec.key) != spec.key:
            self.again.setdefault(bare, []).append(spec.key)
            return
        self.endings.setdefault(".".join(bare.rsplit(".", 2)[-2:]), []).append(bare)
        path, known = bare, False
        while path and not known:  # a module that is known has its parents listed
            path, _, name = path.rpartition(".")
            names = self.modules.setdefault(path, set())
            known = name in names
            names.add(name)

    def get(self, bare: str | None) -> TensorSpec | None:
        """The tensor with this unwrapped key, None where there is none."""
        key = self.bare.get(bare) if bare is not None else None
        return None if key is None else self.specs[key]

    def beside(self, home: str, number: str = "") -> list[tuple[int, str]]:
        """(place, unwrapped key) of what lies in the module `home`, or, with a number, under that number in any module that the
        parent of `home` holds; a ``.weight`` at the end counts for nothing. Ask once all tensors are taken in.
        """
        if not self.neighbours:
            for place, bare in enumerate(self.bare):
                at, _, name = bare.removesuffix(".weight").rpartition(".")
                self.neighbours.setdefault((at, ""), []).append((place, bare))
                if name.isdigit():
                    self.neighbours.setdefault((at.rpartition(".")[0], name), []).append((place, bare))
        return self.neighbours.get((home.rpartition(".")[0] if number else home, number), [])

    def ending_with(self, tail: str) -> list[str]:
        """The unwrapped keys that may end with `tail`, and few others. Ask once all tensors are taken in."""
        if tail not in self.looked_up:
            parts = tail.rsplit(".", 2)  # three: the tail names an ending whole, else it may be the end of many
            alike = [".".join(parts[1:])] if len(parts) == 3 else [ending for ending in self.endings if ending.endswith(tail)]
            self.looked_up[tail] = [bare for ending in alike for bare in self.endings.get(ending, ())]
        return self.looked_up[tail]


def state_dicts(source: TensorSource) -> Iterator[StateDict]:
    """The state dicts of `source` in file order, optimisers, schedulers and callbacks left out."""
    found: dict[str, StateDict] = {}
    for spec in source.specs.values():
        if NOT_WEIGHTS.search(spec.container) or spec.key.count(".") > DEEPEST:
            continue
        found.setdefault(spec.container, StateDict(source, spec.container)).add(spec)
    yield from found.values()

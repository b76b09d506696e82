"""Where to listen: the quantiser modules of a live model, found by what its tensors mean, or told by name.

The layouts that read checkpoints read a model as well. What they do not know is taken for a quantiser if it says so: by a name
that the user gave, or by its class's name and a `codebook_size`, as implicit ones (FSQ) have that store nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import nn

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts import find_quantizers, select_quantizer
from vqdoctor.layouts.generic import GENERIC
from vqdoctor.layouts.module_source import ModuleSource
from vqdoctor.model import EmaFacts, Quantizer

QUANTISER = re.compile(
    r"quanti[sz]|code_?book|vq$|(?:fs|lf|bs)q$|^r?vq(?!_?vae|_?gan|_?model)", re.IGNORECASE
)  # in the name of a class
SIZES = ("codebook_size", "n_embed", "num_embeddings", "num_codes", "n_e")  # attributes that hold K
MOST_LEVELS = 64  # of a quantiser that nothing is known of
ROOT = "quantizer"  # what a model that is itself a quantiser is called
SINGLE = nn.Embedding | nn.Linear  # a table or a map is a part of a quantiser, never one


@dataclass(frozen=True)
class Site:
    """One quantiser to listen to.

    Attributes:
        name: what logs call it. module: whose forward is hooked; path: where that is in the model.
        source: the tensors around it. quantizer: what they mean, None for one that stores none.
        stated: K where no tensor says it.
        levels: how often one book stands for a level, as the indices show; 0 where that is still open.
    """

    name: str
    path: str
    module: nn.Module
    source: ModuleSource
    quantizer: Quantizer | None = None
    stated: int = 0
    levels: int = 1

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """K of each level."""
        books = self.quantizer.levels if self.quantizer else ()
        return (tuple(level.codes for level in books) or (self.stated,)) * max(1, self.levels)

    @property
    def open_sizes(self) -> tuple[int, ...]:
        """K of as many levels as indices may have: of the known ones, or of many where their number is open."""
        return self.sizes if self.levels else self.sizes * MOST_LEVELS

    def with_levels(self, seen: int) -> Site:
        """The same place, its number of levels settled by the first indices that were seen."""
        return self if self.levels else replace(self, levels=seen)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Columns that a row of its input may have, likeliest first; () where nothing says it."""
        if self.quantizer is None:
            return ()
        seen = self.quantizer.columns
        outer = (seen[1] - seen[0],) if seen else (self.quantizer.width,) if self.quantizer.width else ()
        inner = tuple(level.dim for level in self.quantizer.levels[:1])
        return tuple(dict.fromkeys((*outer, *inner)))

    def changed(self) -> bool:
        """True where a book has another shape than when it was found."""
        levels = self.quantizer.levels if self.quantizer else ()
        names = {level.stored.name for level in levels}
        return any(tuple(self.source.tensor(name).shape) != self.source.specs[name].shape for name in names)

    def again(self) -> Site:
        """The same place as it is now: a counter's meaning shows only once it has moved, and a book may have grown."""
        if self.quantizer is None:
            return self
        source = self.source.again()
        same = [one for one in find_quantizers(source) if one.name == self.quantizer.name]
        found = same[0] if same else (_table(source) or self.quantizer)
        return replace(self, source=source, quantizer=as_running(found, source))


def find_sites(
    model: nn.Module,
    told: Mapping[str, str | nn.Module] | Sequence[str] | None = None,
    how: str = 'quantizers={"vq": "path.to.the.quantiser"}',
) -> list[Site]:
    """The quantisers of a model, in the order of its tensors.

    Args:
        told: module paths, or {name in the log: path or module}; None: all that are found. how: to name one, for messages.

    Raises:
        UsageError: there is none; a path that the model does not have, or whose module holds no codebook.
    """
    if told is None:
        sites = _found(model) or list(_implicit(model))
        if not sites:
            raise UsageError("no quantiser was found in the model.", hint=f"Name its module: {how}.")
        return sites
    named = told if isinstance(told, Mapping) else {path: path for path in told}
    return [site for name, where in named.items() for site in _told(model, name, where)]


def as_running(quantizer: Quantizer, source: ModuleSource) -> Quantizer:
    """`quantizer` with the decay and the dead-code threshold that its live module holds in the place of its family's defaults."""
    if quantizer.ema is None or not quantizer.levels or quantizer.levels[0].ema_count is None:
        return quantizer
    holder = source.holder(quantizer.levels[0].ema_count.name)
    decay, threshold = (_number(holder, name) for name in ("decay", "threshold_ema_dead_code"))
    ema: EmaFacts = quantizer.ema
    if decay is not None:
        ema = replace(ema, decay=decay, basis="stated")
    if threshold is not None:
        ema = replace(ema, threshold=threshold or None)
    return replace(quantizer, ema=ema)


def _number(module: nn.Module, name: str) -> float | None:
    value = getattr(module, name, None)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _found(model: nn.Module) -> list[Site]:
    """What the layouts find; a model that is itself a quantiser is looked at as one."""
    if QUANTISER.search(type(model).__name__):
        source = ModuleSource(model, prefix=ROOT)
        whole = [one for one in find_quantizers(source) if one.name == ROOT]
        if whole:
            return [_site(model, source, one) for one in whole]
    source = ModuleSource(model)
    return [_site(model, source, one) for one in find_quantizers(source)]


def _site(model: nn.Module, source: ModuleSource, quantizer: Quantizer) -> Site:
    path = _callable_path(model, source.local(quantizer.name))
    module = model.get_submodule(path)
    around = source.again(path)
    shared = not quantizer.levels or (quantizer.layout == GENERIC.name and len(quantizer.levels) == 1)
    running = as_running(quantizer, around)
    return Site(quantizer.name, path, module, around, running, _stated_size(module), levels=0 if shared else 1)


def _callable_path(model: nn.Module, path: str) -> str:
    """The innermost module at or around `path` that can be a quantiser: no container, table or map."""
    while path:
        try:
            module = model.get_submodule(path)
        except AttributeError:
            module = None
        if module is not None and not isinstance(module, SINGLE) and _has_forward(module):
            return path
        path = path.rpartition(".")[0]
    return path


def _has_forward(module: nn.Module) -> bool:
    """True for what is called in some way: as a module, or by its `encode` as some codecs do."""
    return type(module).forward is not nn.Module.forward or callable(getattr(module, "encode", None))


def _implicit(model: nn.Module) -> Iterator[Site]:
    """Outermost modules that are called quantisers and state how many codes they have."""
    inside = ""
    for path, module in model.named_modules():
        if (inside and path.startswith(inside)) or not QUANTISER.search(type(module).__name__):
            continue
        if (size := _stated_size(module)) and _has_forward(module):
            inside = f"{path}."
            yield Site(path or ROOT, path, module, ModuleSource(model, under=path), None, size, levels=0)


def _stated_size(module: nn.Module) -> int:
    sizes = (getattr(module, name, None) for name in SIZES)
    return next((size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and size > 0), 0)


def _told(model: nn.Module, name: str, where: str | nn.Module) -> list[Site]:
    path = where if isinstance(where, str) else _path_of(model, where)
    try:
        module = model.get_submodule(path)
    except AttributeError as error:
        raise UsageError(f"the model has no module {printable(path)}.") from error
    under = [site for site in _found(model) if path in ("", site.name) or site.name.startswith(f"{path}.")]
    if len(under) == 1:
        return [replace(under[0], name=name or ROOT)]
    if under:
        return [replace(site, name=f"{name}.{site.name.removeprefix(path).lstrip('.')}".lstrip(".")) for site in under]
    own, size = ModuleSource(model, under=path), _stated_size(module)
    table = _table(own, size or None)
    if table or size:
        return [Site(name or ROOT, path, module, own, table, size, levels=0)]
    raise UsageError(
        f"the module {printable(path)} holds no codebook: no table of codes, no {' or '.join(SIZES[:2])}.",
        hint="Name the module whose forward returns the indices.",
    )


def _path_of(model: nn.Module, module: nn.Module) -> str:
    for path, one in model.named_modules():
        if one is module:
            return path
    raise UsageError(f"the {type(module).__name__} given is no part of the model.")


def _table(source: ModuleSource, size: int | None = None) -> Quantizer | None:
    """The largest table of real numbers under a module that was named, with `size` rows where that is known."""
    tables = [
        spec for spec in source.specs.values() if len(spec.shape) == 2 and "float" in spec.dtype and size in (None, *spec.shape)
    ]
    if not tables:
        return None
    largest = max(tables, key=lambda spec: spec.size)
    axis = "dk" if size is not None and largest.shape[0] != size else "kd"
    return select_quantizer(source, f"^{re.escape(largest.name)}$", axis)[0]

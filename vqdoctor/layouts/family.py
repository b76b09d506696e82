"""A layout as data: which keys are the book, which its siblings, and what the family does with them.

Nearly every public quantiser can be told by a regular expression on the book's key plus the siblings that must, or must not,
stand beside it. A family file states those facts once; this module turns them into `Quantizer` values. What a table of facts
cannot say goes into the family's `refine`, a function from the sites that matched and the quantiser built so far to the
quantiser as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import takewhile

from vqdoctor.layouts.state import StateDict, unwrapped
from vqdoctor.model import Codebook, EmaFacts, Initialisation, Projection, Quantizer, Slice, TensorSpec
from vqdoctor.model.quantizer import Index

FLOAT8 = frozenset(f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz"))
FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"}) | FLOAT8

MOST_BOOKS = 1024  # in one tensor; no family has more, a hostile shape may
BY_NETWORK = "its codes come out of a network of the stored rows, which vqdoctor does not run"


@dataclass(frozen=True, slots=True)
class Site:
    """One key that matched a family's `book`.

    name: module path of the quantiser. level: text of the level group, "" where the pattern has none. group: of a product.
    stem: what the book's siblings begin with ("vq.layers.0._codebook."). owner: what the level's own modules begin with
    ("vq.layers.0.").
    """

    state: StateDict
    key: str
    spec: TensorSpec
    name: str
    level: str
    group: str
    stem: str
    owner: str

    def sibling(self, suffix: str | None) -> TensorSpec | None:
        """The tensor beside the book, e.g. ``sibling("cluster_size")``."""
        return None if suffix is None else self.state.get(self.stem + suffix)

    def of_quantizer(self, suffix: str) -> TensorSpec | None:
        """A tensor of the quantiser's module, e.g. ``of_quantizer("project_in.weight")``."""
        return self.state.get(f"{self.name}.{suffix}" if self.name else suffix)


def unknown_start(codes: int, dim: int) -> Initialisation:
    """For families whose first draw is not known."""
    return Initialisation("unknown")


def uniform_in_codes(codes: int, dim: int) -> Initialisation:
    """U(−1/K, 1/K): the habit of the original VQ-VAE, taming, VQFR, CVQ, LC-Rec and LlamaGen."""
    return Initialisation("uniform", 1 / codes, "1/K")


def kaiming_in_dim(codes: int, dim: int) -> Initialisation:
    """torch's kaiming_uniform_ on a (K, D) tensor: encodec and its copies."""
    return Initialisation("uniform", (6 / dim) ** 0.5, "√(6/D)")


def kaiming_in_book(codes: int, dim: int) -> Initialisation:
    """torch's kaiming_uniform_ on a (1, K, D) tensor, where the fan-in is K·D: lucidrains."""
    return Initialisation("uniform", (6 / (codes * dim)) ** 0.5, "√(6/(K·D))")


def standard_normal(codes: int, dim: int) -> Initialisation:
    """N(0, 1): a bare nn.Embedding, rosinality."""
    return Initialisation("normal", 1.0, "N(0, 1)")


def frozen_normal(codes: int, dim: int) -> Initialisation:
    """N(0, 1/D), never trained (SimVQ): a row that still looks drawn is as it should be."""
    return Initialisation("frozen", dim**-0.5, "N(0, 1/D)")


@dataclass(frozen=True)
class Family:
    """Facts of one family.

    Attributes:
        name: shown as the layout. about: repository and class, for `vqdoctor plugins` and evidence.
        book: regular expression for the book's unwrapped key (fullmatch). Groups: `name` the quantiser's module path (optional,
            "" at the root), `level`, `group`, `stem` (up to where siblings begin; default: up to the last dot).
        count, total, flag: sibling suffixes of the EMA count, EMA sum and initialised flag.
        needs: sibling suffixes of which all must exist; lacks: of which none may. Both may start with "^" for the quantiser's
            module path.
        axis: what each axis of the stored tensor is: "k" codes, "d" dimensions (none: scalar codes), "1" of size one, and at most
            one of "h" (a head, a product's part), "q" (a residual level), "g" (a group) along which several books lie.
        transform: as Codebook.transform, where every book of the family has it.
        linear: module beside the book whose linear map makes the codes of the stored rows.
        project_in: module beside the quantiser's level list; level_in, level_out: modules of each level.
        when: a last test on the sites of one quantiser.
        items: see Quantizer.
        refine: last word over the quantiser.
    """

    name: str
    about: str
    book: str
    structure: str = "single"
    metric: str = "l2"
    metric_basis: str = "stated"
    axis: str = "kd"
    count: str | None = None
    total: str | None = None
    flag: str | None = None
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    ema: EmaFacts | None = None
    start: Callable[[int, int], Initialisation] = unknown_start
    kmeans_start: bool = False
    items: bool = False
    emits: str = "codes"
    transform: str = "stored"
    linear: str | None = None
    project_in: str | None = None
    level_in: str | None = None
    level_out: str | None = None
    searchable: str | None = None
    notes: tuple[str, ...] = ()
    defects: Mapping[str, str] = field(default_factory=dict)
    when: Callable[[list[Site]], bool] | None = None
    refine: Callable[[list[Site], Quantizer], Quantizer] | None = None

    def match(self, state: StateDict) -> Iterator[Quantizer]:
        """The quantisers of this family in `state`, in file order."""
        for sites in self._sites(state).values():
            if self.when is None or self.when(sites):
                built = self._build(sites)
                yield self.refine(sites, built) if self.refine else built

    def _sites(self, state: StateDict) -> dict[str, list[Site]]:
        by_name: dict[str, list[Site]] = {}
        keys = state.ending_with(literal_tail(self.book))
        if not keys:  # as of most families: none to compile the pattern for
            return by_name
        for bare, found in zip(keys, map(re.compile(self.book).fullmatch, keys), strict=True):
            if found is None:
                continue
            site = site_of(state, bare, state.specs[state.bare[bare]], found)
            if site.spec.name not in state.claimed and self._fits(site):
                by_name.setdefault(f"{site.name}\0{site.group}" if self.structure == "residual" else site.name, []).append(site)
        for sites in by_name.values():
            sites.sort(key=lambda site: (_number(site.group), _number(site.level)))
        return by_name

    def _fits(self, site: Site) -> bool:
        shape = site.spec.shape
        if site.spec.dtype not in FLOATS or len(shape) != len(self.axis) or min(shape, default=0) < 1:
            return False
        most = {"1": 1, "h": MOST_BOOKS, "q": MOST_BOOKS, "g": MOST_BOOKS}
        if any(size > most.get(axis, size) for axis, size in zip(self.axis, shape, strict=True)):
            return False
        return all(_beside(site, one) for one in self.needs) and not any(_beside(site, one) for one in self.lacks)

    def _build(self, sites: list[Site]) -> Quantizer:
        levels = tuple(level for site in sites for level in self._levels(site))
        levels = tuple(replace(level, index=i) for i, level in enumerate(share_levels(levels, sites[0].state)))
        outer = find_projection(sites[0].state, join(sites[0].name, self.project_in)) if self.project_in else None
        lone = len(levels) == 1 and self.structure in {"residual", "product"}
        return Quantizer(
            name=display_name(sites), layout=self.name, evidence=self._evidence(sites),
            structure="single" if lone else self.structure, metric=self.metric, metric_basis=self.metric_basis,
            levels=levels, container=sites[0].state.container, ema=self.ema if levels[0].ema_count is not None else None,
            project_in=outer, width=width_of(self.structure, levels, outer), emits=self.emits,
            searchable=BY_NETWORK if any(level.data_dependent for level in levels) else self.searchable,
            kmeans_start=self.kmeans_start, items=self.items, notes=self.notes + sharing_notes(levels), defects=self.defects,
            facts={"flag": self.flag} if self.flag else {},
        )  # fmt: skip

    def _evidence(self, sites: list[Site]) -> str:
        beside = [suffix for suffix in (self.count, self.total, self.flag) if suffix and sites[0].sibling(suffix)]
        also = f", beside it {', '.join(beside)}" if beside else ""
        return f"keys like {sites[0].key}{also}: {self.about}"

    def _levels(self, site: Site) -> Iterator[Codebook]:
        sizes = dict(zip(self.axis, site.spec.shape, strict=True))
        for i in range(next((sizes[axis] for axis in "hqg" if axis in sizes), 1)):
            level = self._level(site, self._index(i), sizes["k"], sizes.get("d"))
            yield linear_codes(level, site.state, site.stem + self.linear) if self.linear else level

    def _index(self, i: int) -> Index:
        """Where book `i` lies: one entry an axis, trailing whole axes left out."""
        index: list[int | slice] = [slice(None) if axis in "kd" else 0 if axis == "1" else i for axis in self.axis]
        while index and index[-1] == slice(None):
            index.pop()
        return tuple(index)

    def _level(self, site: Site, index: Index, codes: int, dim: int | None) -> Codebook:
        spec = site.spec
        flipped = dim is not None and self.axis.index("d") < self.axis.index("k")
        stacked = index[:1] if site.spec.shape and self.axis[0] in "hqg" else ()
        count = self._stat(site, self.count, (codes,), stacked)
        total = self._stat(site, self.total, spec.shape, ())
        found = {"ema_count": count, "ema_sum": total}
        return Codebook(
            index=0, key=spec.key, stored=Slice(spec.name, index, flipped, None if dim else (codes, 1)), codes=codes, dim=dim or 1,
            dtype=spec.dtype, ema_count=None if count is None else Slice(count.name, stacked if len(count.shape) > 1 else ()),
            ema_sum=None if total is None else Slice(total.name, index, flipped),
            flag=self._flag(site, stacked), transform=self.transform, initialisation=self.start(codes, dim or 1),
            project_in=find_projection(site.state, site.owner + self.level_in) if self.level_in else None,
            project_out=find_projection(site.state, site.owner + self.level_out) if self.level_out else None,
            keys={role: one.key for role, one in found.items() if one is not None},
        )  # fmt: skip

    def _stat(self, site: Site, suffix: str | None, shape: tuple[int, ...], stacked: Index) -> TensorSpec | None:
        spec = site.sibling(suffix)
        if spec is None or spec.dtype not in FLOATS:
            return None
        alike = (site.spec.shape[: len(stacked)] + shape, shape)  # of each book, or of all of them together
        return spec if spec.shape in alike else None

    def _flag(self, site: Site, stacked: Index) -> Slice | None:
        spec = site.sibling(self.flag)
        if spec is None or spec.size < 1:
            return None
        per_level = bool(stacked) and len(spec.shape) > 0 and spec.shape[0] == site.spec.shape[0]
        return Slice(spec.name, stacked if per_level else ())


def unflagged(family: Family, *, notes: tuple[str, ...] = ()) -> Family:
    """The family told without its initialised flag, by its counts and sums."""
    return replace(
        family,
        name=f"{family.name}-unflagged",
        about=f"{family.about}, without the initialised flag (lost where only floating-point tensors were kept)",
        needs=tuple(suffix for suffix in (family.count, family.total) if suffix),
        lacks=("inited", "initted"),
        notes=(*family.notes, *notes),
    )


def site_of(state: StateDict, bare: str, spec: TensorSpec, found: re.Match[str]) -> Site:
    """The site of a matched key; groups as in `Family.book`."""
    groups = found.groupdict()
    stem = groups.get("stem")
    if stem is None:
        stem = bare[: bare.rfind(".") + 1]
    owner = bare[: found.end("level") + 1] if groups.get("level") else stem
    name = groups.get("name") or ""
    return Site(state, bare, spec, name, groups.get("level") or "", groups.get("group") or "", stem, owner)


@cache
def literal_tail(pattern: str) -> str:
    r"""The plain text that every match of `pattern` ends with, to skip the thousands of keys that cannot match.

    Alternatives must stand inside a group.

    Example:
        >>> literal_tail(r"(?:.+\.)?layers\.(?P<level>\d+)\.k")
        '.k'
    """
    found = re.search(r"(?:(?<!\\)\w|\\\.)*$", pattern)
    return found.group().replace("\\.", ".") if found else ""


def _beside(site: Site, suffix: str) -> bool:
    return (site.of_quantizer(suffix[1:]) if suffix.startswith("^") else site.sibling(suffix)) is not None


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)


def join(*parts: str | None) -> str:
    """Key parts joined by dots, empty ones left out."""
    return ".".join(part for part in parts if part)


def display_name(sites: list[Site]) -> str:
    """The quantiser's module path as stored, wrappers kept; for one at the root, what its keys have in common."""
    keys = [site.spec.key for site in sites]
    if sites[0].name:
        return _stored_prefix(keys[0], sites[0].name)
    columns = zip(*(key.split(".")[:-1] for key in keys), strict=False)
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, columns)]
    return ".".join(common) or keys[0]


def _stored_prefix(key: str, name: str) -> str:
    """The shortest prefix of the stored `key` that unwraps to `name`: "module.vq" for "module.vq.layers.0…" and "vq"."""
    parts = key.split(".")
    for end in range(1, len(parts)):
        prefix = ".".join(parts[:end])
        if unwrapped(f"{prefix}.x") == f"{name}.x":
            return prefix
    return name


def share_levels(levels: Iterable[Codebook], state: StateDict) -> Iterator[Codebook]:
    """Mark each level that repeats an earlier level's very tensor (same storage, offset and index) as shared with it."""
    first: dict[tuple[str, int, object], int] = {}
    for i, level in enumerate(levels):
        spec = state.source.specs[level.stored.name]
        place = (spec.storage, spec.offset, str(level.stored.index))
        seen = first.setdefault(place, i)
        yield level if seen == i else replace(level, shared_with=seen)


def width_of(structure: str, levels: Sequence[Codebook], outer: Projection | None) -> int:
    """Columns of a feature row, before any projection."""
    if outer is not None:
        return outer.columns_in
    if structure == "product":
        return sum(level.dim for level in levels)
    inner = levels[0].project_in
    return inner.columns_in if inner else levels[0].dim


def linear_codes(level: Codebook, state: StateDict, path: str) -> Codebook:
    """The level with codes = stored rows through the module at `path`.

    Only where that is one linear layer do the codes follow from the file; behind any other module it has no fixed book.
    """
    weight, bias = state.get(f"{path}.weight"), state.get(f"{path}.bias")
    alone = state.modules.get(path, set()) <= {"weight", "bias"}
    if weight is None or len(weight.shape) != 2 or weight.shape[1] != level.dim or not alone:
        return replace(level, data_dependent=True)
    tensors = {"weight": weight.name} | ({"bias": bias.name} if bias else {})
    return replace(level, dim=weight.shape[0], transform="linear", transform_tensors=tensors)


def repeated(levels: Sequence[Codebook], times: int) -> tuple[Codebook, ...]:
    """`levels` looked up `times` over: what follows the first round shares its books. Once, if that were absurdly many."""
    own = len(levels)
    times = times if own * times <= MOST_BOOKS else 1
    return tuple(replace(levels[i % own], index=i, shared_with=None if i < own else i % own) for i in range(own * times))


def of_columns(quantizer: Quantizer, state: StateDict, outer: str, group: str) -> Quantizer:
    """The quantiser as the member `group` of the module list `outer`, whose members share the columns of a row evenly."""
    groups = sum(name.isdecimal() for name in state.modules.get(outer, ()))
    width, place = quantizer.width or quantizer.levels[0].dim, int(group)
    if place >= groups:  # a member is missing, so where the others' columns lie is not known
        return quantizer
    return replace(quantizer, width=width * groups, columns=(place * width, (place + 1) * width))


def sharing_notes(levels: Sequence[Codebook]) -> tuple[str, ...]:
    """The sentence that says so where levels repeat another's book."""
    shared = sum(level.shared_with is not None for level in levels)
    own = len(levels) - shared
    return (f"its {len(levels)} levels share {'one codebook' if own == 1 else f'{own} codebooks'}",) if shared else ()


def find_projection(state: StateDict, path: str) -> Projection | None:
    """The linear map at `path`: a plain weight, weight_g beside weight_v, or a parametrised weight norm; kernel size 1 only.

    None where there is none, or one without rows or columns.
    """
    plain = state.get(f"{path}.weight")
    forms = (
        (plain,) if plain else (),
        tuple(filter(None, (state.get(f"{path}.weight_g"), state.get(f"{path}.weight_v")))),
        tuple(filter(None, (state.get(f"{path}.parametrizations.weight.original{i}") for i in (0, 1)))),
    )
    weight = next((form for form in forms if form), None)
    if weight is None or len(weight[-1].shape) < 2 or any(n != 1 for n in weight[-1].shape[2:]) or 0 in weight[-1].shape:
        return None
    bias = state.get(f"{path}.bias")
    out, into = weight[-1].shape[:2]
    return Projection(tuple(spec.name for spec in weight), bias.name if bias else None, columns_in=into, columns_out=out)

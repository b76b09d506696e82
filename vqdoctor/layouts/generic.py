"""The recogniser of last resort: codebooks of families nobody described, told by their names.

It reports what is called a codebook, and what is called an embedding or centroids inside a module that is called a quantiser;
with its confidence, with the metric assumed, and with axis, counts and initialisation only as far as `inference` finds
evidence. Tables that models of every kind have (tokens, positions, classes, heads) are never reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vqdoctor.layouts.family import FLOATS, Site, display_name, share_levels, sharing_notes
from vqdoctor.layouts.inference import axis_of, count_beside, ema_facts, first_draw, small_enough, sum_beside, table_path
from vqdoctor.layouts.state import StateDict
from vqdoctor.layouts.tells import parent
from vqdoctor.model import Codebook, EmaFacts, Quantizer, Slice, TensorSpec

CODEBOOK = re.compile(r"_?(?:\w+_)?code_?books?(?:_?(?:\d+|weights?|vectors?))?_?", re.IGNORECASE)
TABLE = re.compile(
    r"_?(?:codebook_)?(?:embed(?:ding)?s?|emb|cent(?:roid|er)s?|codes|code_?words?|dictionary|prototypes|entries)_?", re.IGNORECASE
)
LISTS = {"layers", "levels", "codebooks", "quantizers"}
NUMBER = re.compile(r"(?:^|\.|book_?)(\d+)(?=\.|$)")
OF_A_LEVEL = re.compile(r"\._codebook(?:\.|$)")
"""What the number of a level stands before, where its list is named like any other (lucidrains)."""
CENTROIDS = re.compile(r"_?(?:cluster_)?(?:centroids|centers)_?", re.IGNORECASE)
QUANTISER = re.compile(r"quanti[sz]|code_?book|(?:^|_)r?vq\d*(?:_|$)|vq_?vae|^r[qv]q?(?:vae)?$", re.IGNORECASE)
RESIDUAL = re.compile(r"residual|(?:^|[._])r(?:es)?_?v?q", re.IGNORECASE)
# Networks whose tables are never codebooks, whatever they are called; names of other tables; copies that belong to a table.
FOREIGN_NETWORK = re.compile(
    r"embed_tokens|lm_head|discriminator|perceptual|lpips|vgg|inception|language_model|text_model|optim|model_ema\.[^.]*$",
    re.IGNORECASE,
)
FOREIGN_TABLE = re.compile(
    r"w[tp]e|.*(?:tok(?:en)?_?emb|word_?emb|position|pos_emb|label|class|speaker|attn|attention|conv).*|.*norm\d*|(?:\w+_)?heads?"
    r"|bert|gpt|t5|clip|shared",
    re.IGNORECASE,
)
COPIES = re.compile(r"(?:^|_)(?:avg|ema|sum|mean|old|prev|init|grad|momentum|offsets?|size|usage|count|prob)(?:_|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Guess:
    """A table that is probably a codebook. group: what its key has in common with the other levels of its quantiser."""

    site: Site
    group: str
    why: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Generic:
    """See the module; a layout like any other, and the last."""

    name: str = "generic"
    about: str = "an unknown quantiser, told by the names in its keys"

    def match(self, state: StateDict) -> Iterator[Quantizer]:
        """Levels that differ in one number only and are equally wide are one quantiser."""
        groups: dict[tuple[str, int], list[Guess]] = {}
        for guess in guesses(state):
            groups.setdefault((guess.group, guess.site.spec.shape[-1]), []).append(guess)
        for members in groups.values():
            first = min(members, key=lambda guess: guess.confidence)
            sites = sorted((guess.site for guess in members), key=lambda site: int(site.level or 0))
            yield quantizer_of(sites, self.name, first.why, first.confidence)


GENERIC = Generic()


def guesses(state: StateDict) -> Iterator[Guess]:
    """The tables of `state` that are probably codebooks, in file order."""
    for bare, key in state.bare.items():
        spec = state.specs[key]
        if spec.name not in state.claimed and (reason := _reason(state, bare, spec)) is not None:
            path = bare if named_parts(bare) else f"{state.container}.{bare}"  # a list of tables is named by its container
            level = _level_number(path)
            site = table_site(state, bare, spec, level.group(1) if level else "")
            if level is None:
                yield Guess(site, path, *reason)
                continue
            if path != bare or site.name.startswith(bare[: level.end(1)]):  # the number stands above the table's module
                site = replace(site, name=_outside_lists(path[: level.start(1)].rstrip("._")) or state.container)
            yield Guess(site, f"{path[: level.start(1)]}#{path[level.end(1) :]}", *reason)


def _level_number(bare: str) -> re.Match[str] | None:
    """The key's last number where it counts levels: books or parts of a quantiser, not the layers that quantisers stand in."""
    found = list(NUMBER.finditer(bare))
    if not found:
        return None
    above = bare[: found[-1].start(1)].strip("._").split(".")[-2:]
    counted = OF_A_LEVEL.match(bare, found[-1].end(1)) or any(
        CODEBOOK.fullmatch(part) or TABLE.fullmatch(part) or QUANTISER.search(part) for part in above
    )
    return found[-1] if counted else None


def table_site(state: StateDict, bare: str, spec: TensorSpec, level: str = "") -> Site:
    """The table at `bare` as a site; its quantiser is the module around the table and its number."""
    around = _outside_lists(parent(table_path(bare)))
    return Site(state, bare, spec, around, level, "", f"{parent(bare)}." if "." in bare else "", "")


def _outside_lists(path: str) -> str:
    """`path` without the lists of levels, and the numbers in them, that it ends in."""
    while (last := path.rpartition(".")[2]).isdigit() or last in LISTS:
        path = parent(path)
    return path


def _reason(state: StateDict, bare: str, spec: TensorSpec) -> tuple[str, float] | None:
    """Why this is a codebook and how likely; None where it is not."""
    shape = spec.shape
    if spec.dtype not in FLOATS or not 1 <= len(shape) <= 3 or min(shape) < 1:
        return None
    told = _told_by_names(state, bare, shape)
    return None if told is None or is_foreign(bare) else told


def _told_by_names(state: StateDict, bare: str, shape: tuple[int, ...]) -> tuple[str, float] | None:
    parts = named_parts(bare) or named_parts(state.container)
    leaf = (parts or [""])[-1]
    home = next((part for part in reversed(parts[:-1]) if part not in LISTS or QUANTISER.search(part)), "")
    if len(shape) > 1 and shape[-2] * shape[-1] > 1 and shape[-2] > 1 and not COPIES.search(leaf):
        if CODEBOOK.fullmatch(leaf):
            return "its name says codebook", 0.9
        if TABLE.fullmatch(leaf) and QUANTISER.search(home):
            return f"its name says table, {home} says quantiser", 0.85
        if TABLE.fullmatch(leaf) and (counter := _counter_of_rows(state, bare, shape)):
            return f"its name says table, and {counter} counts its codes", 0.85
        if CENTROIDS.fullmatch(leaf):
            return "its name says centroids", 0.7
        if len(state.source.specs) == 1 and len(shape) == 2:
            return "it is the only tensor of the file", 0.5
    if len(shape) == 1 and shape[0] > 1 and CODEBOOK.fullmatch(leaf):
        return "its name says codebook, of scalar codes", 0.7
    return None


def _counter_of_rows(state: StateDict, bare: str, shape: tuple[int, ...]) -> str | None:
    """The running count beside a table that an EMA quantiser keeps: a number a code, under the name that such codes give it."""
    home = parent(table_path(bare)) if not bare.endswith(".weight") else table_path(bare)
    counter = state.get(f"{home}.cluster_size" if home else "cluster_size")
    return counter.key if counter is not None and len(shape) == 2 and counter.shape in {shape[:1], shape[1:]} else None


def named_parts(bare: str) -> list[str]:
    """The parts of a key without numbers and without the ``.weight`` of an embedding."""
    return [part for part in table_path(bare).split(".") if not part.isdigit()]


def is_foreign(bare: str) -> bool:
    """True for tables that models of every kind have: tokens, positions, classes, heads."""
    return FOREIGN_NETWORK.search(bare) is not None or any(FOREIGN_TABLE.fullmatch(part) for part in named_parts(bare)[-2:])


def quantizer_of(
    sites: list[Site], layout: str, why: str, confidence: float, *, axis: str | None = None, metric: str | None = None
) -> Quantizer:
    """The quantiser whose levels are the tables at `sites`.

    Args:
        sites: in level order; tables of one, two or three axes (the first of three: levels). axis: "kd" or "dk", None: by evidence.
        metric: stated by the user; None: L2 assumed.
    """
    found, said = (axis, "given") if axis else axis_of(sites[0]) if len(sites[0].spec.shape) > 1 else ("kd", "scalar codes")
    levels = tuple(level for site in sites for level in _levels(site, found))
    levels = tuple(replace(level, index=i) for i, level in enumerate(share_levels(levels, sites[0].state)))
    levels, drawn = _with_first_draw(sites[0].state, levels)
    facts = _ema(sites, levels)
    evidence = [
        f"{sites[0].spec.key}: {why}",
        f"codes in {'rows' if found == 'kd' else 'columns'} ({said or 'not shown, assumed'})",
        *drawn,
    ]
    return Quantizer(
        name=display_name(sites), layout=layout, evidence="; ".join(evidence),
        structure="residual" if len(levels) > 1 else "single", metric=metric or "l2",
        metric_basis="stated" if metric else "assumed", levels=levels, container=sites[0].state.container,
        ema=facts, width=levels[0].dim, notes=(*_order_note(sites, levels), *sharing_notes(levels)),
        confidence=max(confidence, 0.95) if facts else confidence,
    )  # fmt: skip


def _order_note(sites: Iterable[Site], levels: tuple[Codebook, ...]) -> tuple[str, ...]:
    if len(levels) < 2 or any(RESIDUAL.search(site.key) for site in sites):
        return ()
    return ("its levels are taken as residual, each on what the one before leaves: the file does not say",)


def _levels(site: Site, axis: str) -> Iterator[Codebook]:
    """The books of one table: itself, or one an entry of its first axis where it has three."""
    shape = site.spec.shape
    rows, columns = (*shape, 1)[:2] if len(shape) < 3 else shape[1:]
    codes, dim = (rows, columns) if axis == "kd" else (columns, rows)
    stacked = len(shape) == 3
    count = None if stacked else count_beside(site, codes)
    total = None if count is None else sum_beside(site)
    column = (codes, 1) if len(shape) == 1 else None
    for index in ((i,) for i in range(shape[0])) if stacked else ((),):
        yield Codebook(
            index=0, key=site.spec.key, stored=Slice(site.spec.name, index, axis == "dk", column), codes=codes, dim=dim,
            dtype=site.spec.dtype, ema_count=Slice(count.name) if count else None,
            ema_sum=Slice(total.name, (), axis == "dk", column) if total else None,
            keys={role: one.key for role, one in (("ema_count", count), ("ema_sum", total)) if one},
        )  # fmt: skip


def _with_first_draw(state: StateDict, levels: tuple[Codebook, ...]) -> tuple[tuple[Codebook, ...], list[str]]:
    """Each level with its initialisation, where its values show one; and the sentence for the first that does."""
    found = [first_draw(book) if (book := _read(state, level.stored)) is not None else None for level in levels]
    drawn = tuple(replace(level, initialisation=one[0]) if one else level for level, one in zip(levels, found, strict=True))
    return drawn, [one[1] for one in found if one][:1]


def _ema(sites: list[Site], levels: tuple[Codebook, ...]) -> EmaFacts | None:
    state, level = sites[0].state, levels[0]
    if level.ema_count is None:
        return None
    book, sums, counts = (_read(state, where) for where in (level.stored, level.ema_sum, level.ema_count))
    return ema_facts(state.source.specs[level.ema_count.name], book, counts, sums)


def _read(state: StateDict, where: Slice | None) -> np.ndarray | None:
    """Its values as float64; None where there is nothing, or too much to look at."""
    if where is None or not small_enough(state.source.specs[where.name]):
        return None
    return np.asarray(where.view(state.source.read(where.name)), dtype=np.float64)

"""Quantisers that store no book: finite scalars (FSQ), bits (LFQ, BSQ), and the scalar grids of LatentQuantize.

What is not in the file is named, not guessed: FSQ's levels are in the config, LFQ's mask of powers of two tells its K.
Source: vector_quantize_pytorch/finite_scalar_quantization.py, residual_fsq.py, lookup_free_quantization.py, latent_quantization.py;
zhenye234/X-Codec-2.0 vq/codec_decoder_vocos.py; huggingface/transformers models/xcodec2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from vqdoctor.layouts.family import Family, Site, display_name, find_projection, join, repeated, sharing_notes, site_of
from vqdoctor.layouts.state import StateDict
from vqdoctor.model import Quantizer

MOST_CODES = 2**62
Told = tuple[str, Mapping[str, Any]]
# Beside these a module with two projections may have nothing, or its codes lie elsewhere in it.
SCALAR = re.compile(r"project_(?:in|out)\.(?:weight|bias)|orthogonal_rot|_levels|_basis|implicit_codebook")
QUANTIZES = re.compile(r"quanti|fsq|lfq|vq", re.IGNORECASE)


@dataclass(frozen=True)
class LookupFree:
    """A layout of quantisers without a book.

    Attributes:
        trace: regular expression for a key that it does leave (fullmatch); group `name` as in `Family`.
        tell: from the sites of one quantiser its note and facts ("codes": K where derivable), None where it is something else.
        why: why its codes are not the nearest rows of a book.
    """

    name: str
    about: str
    trace: str
    why: str
    tell: Callable[[list[Site]], Told | None]

    def match(self, state: StateDict) -> Iterator[Quantizer]:
        """The quantisers of this layout in `state`, in file order."""
        pattern = re.compile(self.trace)
        by_name: dict[str, list[Site]] = {}
        for bare, key in state.bare.items():
            if found := pattern.fullmatch(bare):
                site = site_of(state, bare, state.specs[key], found)
                by_name.setdefault(site.name, []).append(site)
        for sites in by_name.values():
            if told := self.tell(sites):
                yield self._quantizer(sites, *told)

    def _quantizer(self, sites: list[Site], note: str, facts: Mapping[str, Any]) -> Quantizer:
        before = find_projection(sites[0].state, join(sites[0].name, "project_in"))
        return Quantizer(
            name=display_name(sites), layout=self.name, evidence=f"keys like {sites[0].spec.key}: {self.about}",
            structure="implicit", metric="unknown", metric_basis="stated", levels=(), container=sites[0].state.container,
            project_in=before, width=before.columns_in if before else None, searchable=self.why, notes=(note,), facts=facts,
        )  # fmt: skip


def _bits(sites: list[Site]) -> Told | None:
    """LFQ's mask: 2^(b−1) … 4, 2, 1 for K = 2^b codes; one a level where it is residual."""
    sizes = []
    for site in sites:
        shape = site.spec.shape
        if site.spec.dtype != "int64" or len(shape) != 1 or not 1 <= shape[0] <= 62:
            return None
        if not np.array_equal(site.state.source.read(site.spec.name), 2 ** np.arange(shape[0] - 1, -1, -1)):
            return None
        sizes.append(2 ** shape[0])
    levels = f"{len(sites)} levels of " if len(sites) > 1 else ""
    return f"{levels}{sizes[0]} codes, one for each pattern of {sites[0].spec.shape[0]} signs", {"codes": sizes[0], "sizes": sizes}


def _scalars(sites: list[Site]) -> Told | None:
    """FSQ: levels where an old release stored them, else two projections around nothing, in a module named as a quantiser."""
    site = sites[0]
    stored = site.of_quantizer("_levels")
    if stored is not None and stored.dtype in {"int32", "int64"} and len(stored.shape) == 1 and 1 <= stored.size <= 64:
        levels = [int(level) for level in site.state.source.read(stored.name)]
        if min(levels) < 2 or prod(levels) > MOST_CODES:
            return None
        return f"{prod(levels)} codes, levels {levels}", {"codes": prod(levels), "levels": levels}
    before, after = (find_projection(site.state, join(site.name, path)) for path in ("project_in", "project_out"))
    if before is None or after is None or not _is_bare(site):
        return None
    if (before.columns_in, before.columns_out) != (after.columns_out, after.columns_in) or before.columns_out >= before.columns_in:
        return None
    return f"K is in the config only (levels), of {before.columns_out} scalar dimensions", {"dimensions": before.columns_out}


def _is_bare(site: Site) -> bool:
    """True where the quantiser holds nothing but its projections; a quantiser at the root must be the whole state dict."""
    prefix = f"{site.name}." if site.name else ""
    inside = (bare.removeprefix(prefix) for bare in site.state.bare if bare.startswith(prefix))
    return all(SCALAR.fullmatch(key) for key in inside) and (not site.name or _quantizes(site.name))


def _quantizes(name: str) -> bool:
    """Whether a module is called a quantiser, by its own name or, in a list, by that of the list."""
    home, _, own = name.rpartition(".")
    if own.isdecimal() and home:
        own = home.rpartition(".")[2]
    return own.replace("_", "a").isalnum() and QUANTIZES.search(own) is not None


LFQ = LookupFree(
    name="lfq",
    about="vector-quantize-pytorch LFQ and ResidualLFQ, by the mask of powers of two",
    trace=r"(?:(?P<name>.+?)\.)??(?:layers\.(?P<level>\d+)\.)?mask",
    why="it stores no book: a code is the signs of the projected row",
    tell=_bits,
)

FSQ = LookupFree(
    name="fsq",
    about="FSQ or another quantiser of scalars: projections in and out, and no book between them",
    trace=r"(?:(?P<name>.+)\.)?(?:_levels|project_in\.weight)",
    why="it stores no book: each projected dimension is rounded to one of its levels",
    tell=_scalars,
)


def _grids(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """Several codebooks of LatentQuantize look up the same grids; their number is the width of the projection over the grids."""
    wide = quantizer.project_in.columns_out if quantizer.project_in else len(quantizer.levels)
    times, rest = divmod(wide, len(quantizer.levels))
    if rest or times < 2:
        return quantizer
    levels = repeated(quantizer.levels, times)
    return replace(quantizer, levels=levels, notes=quantizer.notes + sharing_notes(levels))


LATENT = Family(
    name="latent-quantize",
    about="vector-quantize-pytorch LatentQuantize, a grid of scalars for each dimension",
    book=r"(?:(?P<name>.+)\.)?values_per_latent\.(?P<level>\d+)",
    structure="product",
    axis="k",
    project_in="project_in",
    refine=_grids,
)

"""kakaobrain's RQ-VAE: residual books that carry one row of padding each, which is no code.

Source: kakaobrain/rq-vae-transformer rqvae/models/rqvae/quantizations.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vqdoctor.layouts.family import Family, Site, standard_normal
from vqdoctor.model import Codebook, EmaFacts, Quantizer, Slice

FACTS = EmaFacts(relation="laplace", decay=0.99, start_mass=0.0, threshold=1.0, revival="resets")


def _is_padded(sites: list[Site]) -> bool:
    """True where every book has one row more than it has counts, or, without counts, ends in a row of zeros."""
    return all(_padding_row(site) for site in sites)


def _padding_row(site: Site) -> bool:
    rows = site.spec.shape[0]
    if rows < 2:
        return False
    counts = site.sibling("cluster_size_ema")
    if counts is not None:
        return counts.shape == (rows - 1,)
    return not np.any(site.state.source.read(site.spec.name, rows - 1, rows))


def _without_padding(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    levels = tuple(_level_without_padding(site, level) for site, level in zip(sites, quantizer.levels, strict=True))
    counted = levels[0].ema_count is not None
    return replace(quantizer, levels=levels, ema=FACTS if counted else None)


def _level_without_padding(site: Site, level: Codebook) -> Codebook:
    count, total = site.sibling("cluster_size_ema"), site.sibling("embed_ema")
    codes = level.codes - 1
    keys = {role: spec.key for role, spec in (("ema_count", count), ("ema_sum", total)) if spec is not None}
    return replace(
        level, stored=Slice(site.spec.name, (slice(0, codes),)), codes=codes, initialisation=standard_normal(codes, level.dim),
        ema_count=Slice(count.name) if count else None, ema_sum=Slice(total.name) if total else None, keys=keys,
    )  # fmt: skip


KAKAOBRAIN = Family(
    name="kakaobrain",
    about="kakaobrain RQ-VAE VQEmbedding",
    book=r"(?P<name>(?:.*\.)?quantizer)\.codebooks\.(?P<level>\d+)\.weight",
    structure="residual",
    when=_is_padded,
    refine=_without_padding,
    notes=("the last row of each stored table is padding and was left out",),
)

"""Residual quantisers of recommenders: LC-Rec and its heirs LETTER and MiniOneRec, RQ-VAE-Recommender, GRID, OpenOneRec, RQ-KMeans.

LC-Rec's k-means start is guarded by a Python attribute that no state dict holds, so a resumed run may start again from
k-means and overwrite what was trained (theory §7.2). Source: RUCAIBox/LC-Rec index/models/vq.py; AkaliKong/MiniOneRec rq/;
EdoardoBotta/RQ-VAE-Recommender modules/quantize.py; snap-research/GRID src/modules/clustering; Kuaishou-OneRec/OpenOneRec
tokenizer/res_kmeans.py.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, join, linear_codes, uniform_in_codes
from vqdoctor.layouts.tells import holds, holds_beside, option
from vqdoctor.model import Quantizer

SINKHORN = "training may have assigned by Sinkhorn on some levels; nearest codes are what its evaluation uses"
RESTARTS = "resuming runs k-means again on the first batch and overwrites what was trained: that it is initialised is not saved"


def _lc_rec(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """What the arguments saved beside the weights, and the encoder's keys, add."""
    notes, source = list(quantizer.notes), sites[0].state.source
    if holds_beside(sites[0], "encoder.mlp."):
        notes.append("RQ-KMeans+: the encoder adds its MLP to the item embedding, and the book started from RQ-KMeans")
    epsilons = option(source, "sk_epsilons")
    if isinstance(epsilons, list | tuple):
        sinkhorn = [str(i) for i, epsilon in enumerate(epsilons) if isinstance(epsilon, int | float) and epsilon > 0]
        where = f"on levels {', '.join(sinkhorn)}" if sinkhorn else "on no level"
        notes[0] = f"its arguments say: Sinkhorn in training {where}; nearest codes are what its evaluation uses"
    return replace(quantizer, notes=tuple(notes), kmeans_start=option(source, "kmeans_init") is not False)


def _stands_alone(sites: list[Site]) -> bool:
    """True where a level is a table and perhaps its output layer, and an encoder stands beside: no transformer's layers."""
    state, stems = sites[0].state, [site.stem for site in sites]
    alien = (
        bare
        for bare in state.bare
        for stem in stems
        if bare.startswith(stem) and not bare.removeprefix(stem).startswith(("embedding.weight", "out_proj."))
    )
    return next(alien, None) is None and holds(state, join(sites[0].name, "encoder."))


def _botta(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """With sim_vq each level's codes are its output layer applied to the stored rows."""
    if sites[0].sibling("out_proj.0.weight") is None:
        return quantizer
    pairs = zip(sites, quantizer.levels, strict=True)
    levels = tuple(linear_codes(level, site.state, f"{site.stem}out_proj.0") for site, level in pairs)
    note = "sim_vq: codes are out_proj applied to the stored rows"
    return replace(quantizer, levels=levels, width=levels[0].dim, notes=(*quantizer.notes, note))


def _grid(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    normalised = option(sites[0].state.source, "normalize_residuals")
    if normalised is None:
        note = "whether residuals are normalised between levels (normalize_residuals) is not in the file: taken as not"
        return replace(quantizer, notes=(*quantizer.notes, note))
    return replace(quantizer, normalise_residuals=bool(normalised))


LC_REC = Family(
    name="lc-rec",
    about="LC-Rec, LETTER and MiniOneRec RQ-VAE",
    book=r"(?P<name>(?:.*\.)?rq)\.vq_layers\.(?P<level>\d+)\.embedding\.weight",
    structure="residual",
    items=True,
    start=uniform_in_codes,
    kmeans_start=True,
    notes=(SINKHORN,),
    defects={"VQ303": f"if trained with LC-Rec's stock code and kmeans_init, {RESTARTS}"},
    refine=_lc_rec,
)

RQ_KMEANS = Family(
    name="rq-kmeans",
    about="MiniOneRec RQ-KMeans, codebooks in a .npz",
    book=r"codebook_(?P<level>\d+)",
    structure="residual",
    items=True,
    refine=lambda sites, quantizer: replace(quantizer, name="codebook"),
    notes=("its codes may have been balanced: the .npy beside it holds the assigned ones",),
)

RQ_VAE_RECOMMENDER = Family(
    name="rq-vae-recommender",
    about="RQ-VAE-Recommender Quantize",
    book=r"(?P<stem>(?:(?P<name>.*)\.)?layers\.(?P<level>\d+)\.)embedding\.weight",
    structure="residual",
    items=True,
    kmeans_start=True,
    notes=("the first level may normalise its codes (codebook_normalize); the weights do not say",),
    defects={"VQ303": f"if trained with RQ-VAE-Recommender's stock code, {RESTARTS}"},
    when=_stands_alone,
    refine=_botta,
)

GRID = Family(
    name="grid",
    about="GRID ResidualQuantization",
    book=r"(?:(?P<name>.*)\.)?quantization_layer_list\.(?P<level>\d+)\.centroids",
    structure="residual",
    items=True,
    kmeans_start=True,
    refine=_grid,
)

OPEN_ONEREC = Family(
    name="open-onerec",
    about="OpenOneRec ResKmeans",
    book=r"(?:(?P<name>.*)\.)?centroids\.(?P<level>\d+)",
    structure="residual",
    items=True,
)

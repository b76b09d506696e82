"""wav2vec 2.0: product quantisers whose groups share one tensor, chosen by learned logits (Gumbel) or by distance (k-means).

Gumbel: (1, G·V, D/G), group after group; G is the width of the projection behind it over D/G. k-means: (V, G, D/G), codes first.
Source: facebookresearch/fairseq modules/gumbel_vector_quantizer.py, kmeans_vector_quantizer.py; huggingface/transformers
models/wav2vec2.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import MOST_BOOKS, Family, Site, find_projection, join, repeated, sharing_notes
from vqdoctor.layouts.tells import parent
from vqdoctor.model import Codebook, Quantizer, Slice


def _split_groups(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """One level a group, where the projection behind the quantiser tells how many there are."""
    site, level = sites[0], quantizer.levels[0]
    behind = find_projection(site.state, join(parent(site.name), "project_q"))
    logits = find_projection(site.state, join(site.name, "weight_proj"))
    width = logits.columns_in if logits else quantizer.width
    groups = behind.columns_in // level.dim if behind else 1
    shared = logits is not None and logits.columns_out == groups * level.codes
    if behind is None or not 2 <= groups <= MOST_BOOKS or (level.codes % groups and not shared):
        note = "how many groups its rows belong to is in the config only (num_codevector_groups)"
        return replace(quantizer, width=width, notes=(*quantizer.notes, *(() if behind else (note,))))
    levels = repeated((level,), groups) if shared else tuple(_group(level, i, groups) for i in range(groups))
    return replace(quantizer, structure="product", levels=levels, width=width, notes=quantizer.notes + sharing_notes(levels))


def _group(level: Codebook, i: int, groups: int) -> Codebook:
    codes = level.codes // groups
    rows = slice(i * codes, (i + 1) * codes)
    return replace(level, index=i, codes=codes, stored=Slice(level.stored.name, (0, rows)))


def _combined_groups(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """combine_groups stores one book; the grouped convolution before it tells how often it is looked up."""
    convolution = sites[0].of_quantizer("projection.0.weight")
    if len(quantizer.levels) > 1 or convolution is None or len(convolution.shape) < 2:
        return quantizer
    levels = repeated(quantizer.levels, max(1, convolution.shape[0] // convolution.shape[1]))
    structure = "product" if len(levels) > 1 else "single"
    width = sum(level.dim for level in levels)
    return replace(quantizer, structure=structure, levels=levels, width=width, notes=quantizer.notes + sharing_notes(levels))


WAV2VEC = Family(
    name="wav2vec2",
    about="wav2vec 2.0 Gumbel quantiser, fairseq and transformers",
    book=r"(?P<name>(?:.+\.)?quantizer)\.(?:vars|codevectors)",
    axis="1kd",
    metric="logits",
    needs=("weight_proj.weight",),
    searchable="its codes are the largest of learned logits (weight_proj), not the nearest rows",
    refine=_split_groups,
)

WAV2VEC_KMEANS = Family(
    name="wav2vec2-kmeans",
    about="fairseq KmeansVectorQuantizer",
    book=r"(?P<name>(?:.+\.)?quantizer)\.embedding",
    axis="kgd",
    structure="product",
    needs=("projection.0.weight",),
    notes=("rows of features are those after its projection and group norm",),
    refine=_combined_groups,
)

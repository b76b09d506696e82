"""The VQGAN lineage around `quantize.embedding.weight`: taming-transformers, latent-diffusion, diffusers, CodeFormer, Emu3.

One key, a dozen families: these are the plain ones, tried after all that have a telling sibling (`image_tokenisers`,
`sim_vq`). Source: CompVis/taming-transformers taming/modules/vqvae/quantize.py; CompVis/latent-diffusion
ldm/models/autoencoder.py; huggingface/diffusers models/autoencoders/vq_model.py; sczhou/CodeFormer
basicsr/archs/vqgan_arch.py; microsoft/VQ-Diffusion patch_vqgan.py.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, standard_normal, uniform_in_codes
from vqdoctor.layouts.tells import has_unit_rows, holds, holds_beside, mentions, parent
from vqdoctor.model import EmaFacts, Quantizer

QUANTIZE = r"(?P<stem>(?P<name>(?:.*\.)?quantize)\.)"
BY_LOGITS = "its codes are the argmax of learned logits, not the nearest codes: distances say nothing about what it chooses"

# Neighbours that only users of the Euclidean quantiser have: diffusers, CodeFormer, LlamaGen-free Hugging Face models.
EUCLIDEAN_BESIDE = ("encoder.down_blocks.", "encoder.blocks.")


def _with_metric_basis(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """L2 is stated where the file says whose quantiser this is; without that, forks of the same keys (IBQ) look up otherwise."""
    site = sites[0]
    stated = (
        any(holds_beside(site, prefix) for prefix in EUCLIDEAN_BESIDE)
        or parent(site.name).endswith("vqmodel")
        or holds(site.state, "model.diffusion_model.")
        or mentions(site.state.source, "taming.", "ldm.")
    )
    if stated:
        return quantizer
    note = "the keys do not say how codes are looked up: L2 as in taming-transformers; IBQ stores the same, with inner products"
    return replace(quantizer, metric_basis="assumed", notes=(*quantizer.notes, note))


def _with_unit_rows(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    if not has_unit_rows(sites[0]):
        return quantizer
    facts = EmaFacts(relation="none", decay=0.99, start_mass=0.0)
    return replace(
        quantizer, metric="cosine", metric_basis="inferred", ema=facts, evidence=f"{quantizer.evidence}; rows of norm 1: cosine"
    )


TAMING = Family(
    name="taming",
    about="taming-transformers VectorQuantizer, as in latent-diffusion, diffusers VQModel, CodeFormer, Emu3 and Chameleon",
    book=QUANTIZE + r"embedding\.weight",
    start=uniform_in_codes,
    refine=_with_metric_basis,
)

TAMING_EMA = Family(
    name="taming-ema",
    about="taming-transformers EMAVectorQuantizer",
    book=QUANTIZE + r"embedding\.weight",
    count="embedding.cluster_size",
    total="embedding.embed_avg",
    needs=("embedding.cluster_size", "embedding.embed_avg"),
    lacks=("embedding.initted", "cluster_size"),
    ema=EmaFacts(relation="laplace", decay=0.99, start_mass=0.0),
    start=standard_normal,
)

TAMING_GUMBEL = Family(
    name="taming-gumbel",
    about="taming-transformers GumbelQuantize, as in CodeFormer and VQ-Diffusion",
    book=QUANTIZE + r"embed\.weight",
    needs=("proj.weight",),
    metric="logits",
    searchable=BY_LOGITS,
    start=standard_normal,
)

VQ_DIFFUSION = Family(
    name="vq-diffusion",
    about="VQ-Diffusion EMAVectorQuantizer (patch_vqgan)",
    book=QUANTIZE + r"embedding",
    count="cluster_size",
    total="embedding_avg",
    needs=("cluster_size", "embedding_avg"),
    ema=EmaFacts(relation="laplace", decay=0.99, start_mass=0.0),
    start=standard_normal,
    notes=("a model trained with masked_n_e_ratio keeps the tail of the table for masked patches",),
    refine=_with_unit_rows,
)

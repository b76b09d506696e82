"""Image tokenisers that store `quantize.embedding.weight` like taming and look it up, count or emit differently: each has a tell.

Source: FoundationVision/LlamaGen tokenizer_image/vq_model.py; FoundationVision/VAR models/quant.py; TencentARC/SEED-Voken
src/IBQ; microsoft/unilm beit2/norm_ema_quantizer.py; bytedance/1d-tokenizer modeling/titok.py;
thuanz123/enhancing-transformers stage1/quantizers.py; dome272/VQGAN-pytorch codebook.py; huggingface/transformers
modeling_glm_image.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, uniform_in_codes
from vqdoctor.layouts.taming import QUANTIZE
from vqdoctor.layouts.tells import beside_quantizer, holds_beside, mentions, option, parent
from vqdoctor.model import EmaFacts, Quantizer, Slice

TABLE = QUANTIZE + r"embedding\.weight"


def _counted_by(suffix: str, facts: EmaFacts) -> Callable[[list[Site], Quantizer], Quantizer]:
    """For counters that are no (K,) vector: attach them as they are, `facts` saying what they hold."""

    def refine(sites: list[Site], quantizer: Quantizer) -> Quantizer:
        spec = sites[0].sibling(suffix)
        if spec is None or len(spec.shape) == 0:
            return quantizer
        level = replace(quantizer.levels[0], ema_count=Slice(spec.name), keys={"ema_count": spec.key})
        return replace(quantizer, levels=(level,), ema=facts)

    return refine


def _llamagen(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    quantizer = _counted_by("codebook_used", EmaFacts(counts="ring"))(sites, quantizer)
    normed = option(sites[0].state.source, "codebook_l2_norm")
    if normed is None:
        return quantizer
    if normed:
        return replace(quantizer, metric_basis="stated")
    return replace(quantizer, metric="l2", metric_basis="stated", emits="codes")


LLAMAGEN = Family(
    name="llamagen",
    about="LlamaGen VectorQuantizer",
    book=TABLE,
    metric="cosine",
    metric_basis="inferred",
    emits="normalised",
    when=lambda sites: sites[0].sibling("codebook_used") is not None or holds_beside(sites[0], "encoder.conv_blocks."),
    refine=_llamagen,
    notes=("codebook_used is a ring of the last 65536 code indices, not a histogram; code 0 counts as used until it has filled",),
)

VAR = Family(
    name="var",
    about="VAR VectorQuantizer2",
    book=TABLE,
    structure="multiscale",
    metric_basis="inferred",
    needs=("ema_vocab_hit_SV",),
    searchable="it quantises at several scales, interpolated and convolved between them: a row alone does not decide its code",
    refine=_counted_by("ema_vocab_hit_SV", EmaFacts(counts="scales", decay=0.99, threshold=0.08, threshold_unit="uniform")),
    notes=("hits are recorded only under torch.distributed: all zero after training in one process",),
)

IBQ = Family(
    name="ibq",
    about="SEED-Voken IndexPropagationQuantize (IBQ)",
    book=TABLE,
    metric="dot",
    when=lambda sites: mentions(sites[0].state.source, "ibqgan", ".ibq.", "indexpropagation"),
    start=uniform_in_codes,
    notes=("codes are looked up by inner product: rows of large norm win",),
)

BEIT2 = Family(
    name="beit2",
    about="BEiT v2 NormEMAVectorQuantizer",
    book=TABLE,
    metric="cosine",
    count="cluster_size",
    flag="embedding.initted",
    needs=("cluster_size", "embedding.initted"),
    ema=EmaFacts(decay=0.99, start_mass=0.0),
    kmeans_start=True,
    notes=(
        "cluster_size starts again from zero each epoch and before each evaluation",
        "embedding.cluster_size and embedding.embed_avg are never updated and were not read",
    ),
)

TITOK = Family(
    name="titok",
    about="TiTok VectorQuantizer",
    book=TABLE,
    metric="cosine",
    metric_basis="assumed",
    emits="normalised",
    count="embed_prob",
    ema=EmaFacts(counts="probability", decay=0.99, start_mass=0.0, revival="resets"),
    when=lambda sites: beside_quantizer(sites[0], "latent_tokens") is not None,
    start=uniform_in_codes,
    notes=("whether it normalises (use_l2_norm) stands in its config, not in the weights",),
)

TITOK_PIXELS = Family(
    name="titok-pixels",
    about="MaskGIT-VQGAN codebook that TiTok's second stage carries",
    book=r"(?P<name>(?:.*\.)?pixel_quantize)\.embedding\.weight",
    when=lambda sites: beside_quantizer(sites[0], "quantize.embedding.weight") is not None,
    notes=("a foreign book: frozen, of another model, kept for its decoder; its use says nothing about this tokeniser",),
)

VIT_VQGAN = Family(
    name="vit-vqgan",
    about="enhancing-transformers VectorQuantizer",
    book=r"(?P<name>(?:.*\.)?quantizer)\.embedding\.weight",
    metric="cosine",
    metric_basis="inferred",
    emits="normalised",
    when=lambda sites: beside_quantizer(sites[0], "pre_quant.weight") is not None,
    start=uniform_in_codes,
    notes=("with use_residual it applies this one book several times; how often is not in the file",),
)

GLM_IMAGE = Family(
    name="glm-image",
    about="transformers GlmImageVQVAEVectorQuantizer",
    book=TABLE,
    metric="cosine",
    emits="normalised",
    when=lambda sites: parent(sites[0].name).endswith("vqmodel") and not holds_beside(sites[0], "encoder."),
)

DOME272 = Family(
    name="dome272",
    about="dome272 VQGAN-pytorch Codebook",
    book=r"(?P<name>(?:.*\.)?codebook)\.embedding\.weight",
    start=uniform_in_codes,
)

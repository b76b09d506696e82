"""EnCodec and its heirs: residual quantisers of EMA books, K x D, told from lucidrains by the flag's spelling (`inited`).

Three spellings of one thing: `vq.layers.N._codebook.embed` (original), `layers.N.codebook.embed` (transformers' Encodec),
`quantizers.N.codebook.embed` (transformers' Xcodec); FunCodec stacks the levels in one tensor.
Source: facebookresearch/encodec quantization/core_vq.py; facebookresearch/audiocraft quantization/core_vq.py;
ZhangXInFD/SpeechTokenizer; jishengpeng/WavTokenizer; zhenye234/xcodec quantization/core_vq_lsx_version.py;
modelscope/FunCodec quantization/ddp_core_vq.py and costume_quantizer.py; huggingface/transformers models/encodec, models/xcodec.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, kaiming_in_dim, unflagged
from vqdoctor.layouts.tells import beside_quantizer
from vqdoctor.model import EmaFacts, Quantizer

# Replacement writes the book only, and the same step writes the book again from sums that still hold the old code.
AVERAGES = EmaFacts(relation="laplace", decay=0.99, start_mass=0.0, threshold=2.0, revival="undone", centroid_start=True)
SHRUNKEN = "if trained with this family's stock code from k-means, sums start as bare centroids beside counts of many"
DEFECTS = {
    "VQ305": SHRUNKEN,
    "VQ306": "if trained with this family's stock code, a replaced code is overwritten from its old sum within the same step",
}


def _lies_in_best_state(sites: list[Site]) -> bool:
    return "best_state" in sites[0].state.container.split(".")


def _lies_in_codec_model(sites: list[Site]) -> bool:
    return "codec_model" in sites[0].state.container.split(".")


def _after_projection(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """FunCodec's input projection may be followed by a tanh that leaves no trace in the file."""
    if beside_quantizer(sites[0], "input_proj.weight") is None:
        return quantizer
    note = "rows of features are those after input_proj (and its tanh, where it has one)"
    return replace(quantizer, notes=(*quantizer.notes, note))


ENCODEC = Family(
    name="encodec",
    about="EnCodec, audiocraft, SpeechTokenizer",
    book=r"(?:(?P<name>.+)\.)?layers\.(?P<level>\d+)\._codebook\.embed",
    structure="residual",
    count="cluster_size",
    total="embed_avg",
    flag="inited",
    needs=("inited",),
    ema=AVERAGES,
    start=kaiming_in_dim,
    kmeans_start=True,
    level_in="project_in",
    level_out="project_out",
    defects=DEFECTS,
)

ENCODEC_SINGLE = replace(
    ENCODEC,
    name="encodec-single",
    about="EnCodec VectorQuantization by itself",
    book=r"(?:(?P<name>.+)\.)?_codebook\.embed",
    structure="single",
    level_in=None,
    level_out=None,
    project_in="project_in",
)

ENCODEC_UNFLAGGED = unflagged(ENCODEC, notes=("it could also be a ResidualVQ of vector-quantize-pytorch 0.3.2 to 0.8",))

AUDIOCRAFT = replace(ENCODEC, name="audiocraft", about="audiocraft, in best_state", when=_lies_in_best_state)

WAVTOKENIZER = replace(
    ENCODEC,
    name="wavtokenizer",
    about="WavTokenizer",
    book=r"(?P<name>(?:.+\.)?feature_extractor\.encodec\.quantizer\.vq)\.layers\.(?P<level>\d+)\._codebook\.embed",
)

XCODEC = replace(
    ENCODEC,
    name="xcodec",
    about="X-Codec, in codec_model",
    ema=replace(AVERAGES, revival="late"),
    defects={"VQ305": SHRUNKEN},
    notes=("codes replaced in the last step hold batch vectors that their sums do not know yet",),
    when=_lies_in_codec_model,
)

HF_ENCODEC = replace(
    ENCODEC,
    name="hf-encodec",
    about="transformers Encodec",
    book=r"(?P<name>(?:.+\.)?quantizer)\.layers\.(?P<level>\d+)\.codebook\.embed",
    level_in=None,
    level_out=None,
    notes=("its counts are those of the original training",),
)

HF_XCODEC = replace(
    HF_ENCODEC,
    name="hf-xcodec",
    about="transformers Xcodec",
    book=r"(?P<name>(?:.+\.)?quantizer)\.quantizers\.(?P<level>\d+)\.codebook\.embed",
    ema=XCODEC.ema,
    defects=XCODEC.defects,
)

FUNCODEC = replace(
    ENCODEC,
    name="funcodec",
    about="FunCodec DistributedResidualVectorQuantization, levels stacked",
    book=r"(?P<name>(?:.+\.)?rq)\.model\.embed",
    axis="qkd",
    level_in=None,
    level_out=None,
    ema=replace(AVERAGES, decay=0.95),
    refine=_after_projection,
)

"""Audio codecs that look codes up by cosine in a few dimensions: DAC, SNAC, BigCodec.

Each level projects the residual down, compares directions, and projects the chosen row, as stored, back up. Rows are not
normalised in the file: two that differ only in length are one code.
Source: descriptinc/descript-audio-codec dac/nn/quantize.py; hubertsiuzdak/snac snac/vq.py; Aria-K-Alethia/BigCodec
vq/factorized_vector_quantize.py; huggingface/transformers models/dac.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, find_projection, standard_normal


def _is_projected(sites: list[Site]) -> bool:
    return all(find_projection(site.state, f"{site.owner}in_proj") is not None for site in sites)


def _is_parametrised(sites: list[Site]) -> bool:
    return all(site.state.get(f"{site.owner}in_proj.parametrizations.weight.original1") is not None for site in sites)


DAC = Family(
    name="dac",
    about="Descript Audio Codec, also in transformers",
    book=r"(?P<name>(?:.+\.)?quantizer)\.quantizers\.(?P<level>\d+)\.codebook\.weight",
    structure="residual",
    metric="cosine",
    start=standard_normal,
    level_in="in_proj",
    level_out="out_proj",
    when=_is_projected,
)

SNAC = replace(
    DAC,
    name="snac",
    about="SNAC, told from DAC by its weight norm (parametrizations)",
    structure="multiscale",
    searchable="its levels see the residual averaged over time by strides that only config.json states (vq_strides)",
    when=_is_parametrised,
)

BIGCODEC = replace(
    DAC,
    name="bigcodec",
    about="BigCodec",
    book=r"(?P<name>(?:.+\.)?quantizer)\.layers\.(?P<level>\d+)\._codebook\.weight",
    when=None,
)

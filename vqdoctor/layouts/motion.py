"""Motion tokenisers: T2M-GPT, MotionGPT and MoMask. Square tables (512 × 512) and no counts in the file.

Their sums and counts are plain attributes: a resumed run draws the codebook anew from its first batch. Source:
Mael-zys/T2M-GPT models/quantize_cnn.py; EricGuo5513/momask-codes models/vq/residual_vq.py; OpenMotionLab/MotionGPT
quantize_cnn.py.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, uniform_in_codes
from vqdoctor.layouts.tells import holds_beside
from vqdoctor.model import Quantizer

REDRAWN = "resuming draws the whole book anew from the first batch: that it is initialised is not saved"
FORGETS = {"VQ303": f"if trained with T2M-GPT's stock code, {REDRAWN}"}
NOT_SIM_VQ = ("codebook_to_codes.weight", "code_transform.weight")


def _stated_beside_its_encoder(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    basis = "stated" if holds_beside(sites[0], "encoder.model.") else "assumed"
    return replace(quantizer, metric_basis=basis)


T2M_GPT = Family(
    name="t2m-gpt",
    about="T2M-GPT and MotionGPT QuantizeEMAReset, QuantizeEMA, QuantizeReset",
    book=r"(?P<name>(?:.*\.)?quantizer)\.codebook",
    lacks=NOT_SIM_VQ,
    kmeans_start=True,
    defects=FORGETS,
    notes=("codes with an EMA count under 1 are replaced by the first rows of the batch at every step; the counts are not saved",),
)

T2M_GPT_VQ = Family(
    name="t2m-gpt-vq",
    about="T2M-GPT Quantizer, and VQ-VAEs that store quantizer.embedding.weight like it",
    book=r"(?P<name>(?:.*\.)?quantizer)\.embedding\.weight",
    start=uniform_in_codes,
    refine=_stated_beside_its_encoder,
)

MOMASK = Family(
    name="momask",
    about="MoMask ResidualVQ of QuantizeEMAReset",
    book=r"(?P<name>(?:.*\.)?quantizer)\.layers\.(?P<level>\d+)\.codebook",
    structure="residual",
    lacks=NOT_SIM_VQ,
    kmeans_start=True,
    defects=FORGETS,
    notes=("training samples codes (Gumbel, temperature 0.5); nearest codes are what its evaluation uses",),
)

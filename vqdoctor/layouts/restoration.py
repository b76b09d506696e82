"""Codebooks of face restoration (VQFR) and of clustering VQ (CVQ-VAE).

Source: TencentARC/VQFR vqfr/archs/quantizer_arch.py; lyndonzheng/CVQ-VAE quantise.py.
"""

from vqdoctor.layouts.family import Family, uniform_in_codes
from vqdoctor.model import EmaFacts

VQFR = Family(
    name="vqfr",
    about="VQFR L2VectorQuantizer, one per scale",
    book=r"(?P<name>(?:.*\.)?quantize_dict\.Level_\d+)\.embedding\.weight",
    project_in="quant_conv",
    start=uniform_in_codes,
    notes=(
        "before warmup_iters it is bypassed",
        "until reestimate_maxiters k-means overwrites the whole book every reestimate_iters steps",
    ),
)

CVQ = Family(
    name="cvq",
    about="CVQ-VAE VectorQuantiser",
    book=r"(?P<stem>(?P<name>.+)\.)embedding\.weight",
    metric="cosine",
    metric_basis="assumed",
    count="embed_prob",
    needs=("embed_prob",),
    ema=EmaFacts(counts="probability", decay=0.99, start_mass=0.0, revival="resets"),
    start=uniform_in_codes,
    notes=(
        "cosine is its default, L2 an option that the file does not state",
        "training moves rarely used codes to features at every step",
    ),
)

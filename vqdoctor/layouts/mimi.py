"""Mimi, the codec of Moshi: no codes in the file, only the running sums and how often each was used; code = sum / max(usage, eps).

One stack of levels for meaning and one for sound; both see the encoder's output, each through a 1x1 convolution of its own.
Source: kyutai-labs/moshi moshi/quantization/core_vq.py, vq.py and models/loaders.py; huggingface/transformers models/mimi.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family
from vqdoctor.model import EmaFacts

AVERAGES = EmaFacts(relation="clamped", decay=0.99, start_mass=1.0, threshold=0.1, threshold_unit="uniform", revival="resets")
PARTS = r"(?P<name>(?:.+\.)?rvq_(?:first|rest))\.vq\.layers\.(?P<level>\d+)\._codebook\."

MIMI = Family(
    name="mimi",
    about="Moshi's Mimi",
    book=PARTS + "embedding_sum",
    structure="residual",
    count="cluster_usage",
    total="embedding_sum",
    flag="_initialized",
    needs=("cluster_usage",),
    ema=AVERAGES,
    kmeans_start=True,
    transform="clamped",
    project_in="input_proj",
)

# The loader renames these; they carry EnCodec's names and Mimi's meaning.
MIMI_LEGACY = replace(
    MIMI,
    name="mimi-legacy",
    about="Moshi's Mimi before its keys were renamed",
    book=PARTS + "(?:embed_avg|embed_sum)",
    count="cluster_size",
    total=None,
    flag="inited",
    needs=("cluster_size",),
    lacks=("embed",),
)

HF_MIMI = replace(
    MIMI,
    name="hf-mimi",
    about="transformers Mimi",
    book=r"(?P<name>(?:.+\.)?(?:semantic|acoustic)_residual_vector_quantizer)\.layers\.(?P<level>\d+)\.codebook\.embed_sum",
    total="embed_sum",
    flag="initialized",
)

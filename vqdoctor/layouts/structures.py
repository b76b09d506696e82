"""Tokenisers of protein structures and of latent actions: ESM3 (VideoGPT's codebook), FoldToken, LAPA.

Source: evolutionaryscale/esm esm/layers/codebook.py; wilson1yan/VideoGPT videogpt/vqvae.py; A4Bio/FoldToken_open vq_modules.py;
LatentActionPretraining/LAPA laq/laq_model/nsvq.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vqdoctor.layouts.family import Family, standard_normal
from vqdoctor.layouts.motion import REDRAWN
from vqdoctor.layouts.state import StateDict
from vqdoctor.model import EmaFacts, Quantizer

VIDEOGPT = Family(
    name="videogpt",
    about="VideoGPT Codebook, ESM3 EMACodebook",
    book=r"(?P<name>(?:.*\.)?codebook)\.embeddings",
    count="N",
    total="z_avg",
    needs=("N", "z_avg"),
    ema=EmaFacts(relation="laplace", decay=0.99, eps=1e-7, start_mass=1.0, threshold=1.0, revival="late"),
    start=standard_normal,
    kmeans_start=True,
    defects={"VQ303": f"if trained with VideoGPT's stock code, {REDRAWN}"},
    notes=("ESM3 stores VideoGPT's names; its training code is not public, VideoGPT's update rule is taken for it",),
)

FOLDTOKEN = Family(
    name="foldtoken",
    about="FoldToken VQLayer, SoftVQLayer",
    book=r"(?P<stem>(?P<name>(?:.*\.)?vq)\.)embedding\.weight",
    metric="cosine",
    count="count",
    needs=("count", "proj_inv.weight"),
    ema=EmaFacts(counts="cumulative", start_mass=0.0),
    project_in="proj",
    notes=("count holds hits since construction, not a running mean",),
)

LAPA = Family(
    name="lapa",
    about="LAPA NSVQ",
    book=r"(?P<name>(?:.*\.)?vq)\.codebooks",
    needs=("project_in.weight", "project_out.weight"),
    start=standard_normal,
    notes=(
        "it quantises the difference of two encoded frames, after project_in and its convolutions: features are those differences",
        "replaced codes are copies of live ones with noise of 1e-12: near-duplicates here are revived codes",
    ),
)


@dataclass(frozen=True, slots=True)
class BitCodes:
    """FoldToken's layers without a table of codes: each code is built from its bits, by a sum of vectors or by an MLP."""

    name: str = "foldtoken-bits"
    about: str = "FoldToken SoftGVQLayer, SoftCVQLayer, HierCVQLayer"

    def match(self, state: StateDict) -> Iterator[Quantizer]:
        """One implicit quantiser for each module that has `proj_inv` and makes codes of bits."""
        for bare in state.bare:
            found = re.fullmatch(r"(?P<name>(?:.*\.)?vq)\.proj_inv\.weight", bare)
            if found and (made := _made_of_bits(state, found["name"])):
                how, bits = made
                yield Quantizer(
                    name=state.bare[bare].removesuffix(".proj_inv.weight"), layout=self.name,
                    evidence=f"keys like {state.bare[bare]}: {self.about}", structure="implicit", metric="cosine",
                    metric_basis="stated", levels=(), container=state.container, facts={"codes": 2**bits},
                    searchable=f"its codes are not stored: each is {how}", notes=(f"2^{bits} codes, each {how}",),
                )  # fmt: skip


def _made_of_bits(state: StateDict, name: str) -> tuple[str, int] | None:
    """How codes are made and of how many bits; None where the layer has a table of codes."""
    table, mlp = state.get(f"{name}.embedding.weight"), _first_layer(state, f"{name}.embedding_mlp.")
    if mlp is not None and len(mlp) == 2:
        return "an MLP of its bits", min(mlp[1], 63)
    if table is not None and state.get(f"{name}.count") is None and len(table.shape) == 2:
        return "the sum of one vector a bit", min(table.shape[0] // 2, 63)
    return None


def _first_layer(state: StateDict, prefix: str) -> tuple[int, ...] | None:
    return next(
        (state.specs[key].shape for bare, key in state.bare.items() if bare.startswith(prefix) and bare.endswith(".weight")), None
    )


FOLDTOKEN_BITS = BitCodes()

"""lucidrains/vector-quantize-pytorch, the books: every generation of its codebook class and what is built from it.

Axes by release: D x K up to 0.3.0, K x D from 0.3.2, a book per head (H x K x D) from 0.9.0. The key is the same for Euclidean and
cosine, averaged and learned, plain and transformed books; what a book is, `lucidrains_tells` finds out.
Source: vector_quantize_pytorch/vector_quantize_pytorch.py, residual_vq.py, hierarchical_vq.py, random_projection_quantizer.py,
sim_vq.py.
"""

from __future__ import annotations

from dataclasses import replace

from vqdoctor.layouts.family import Family, Site, frozen_normal, join, kaiming_in_book, standard_normal, unflagged
from vqdoctor.layouts.lucidrains_tells import grouped, implicit_networks, tell_averages, told
from vqdoctor.layouts.tells import beside_quantizer
from vqdoctor.model import EmaFacts, Quantizer

# Replacement is off by default (threshold_ema_dead_code=0): its threshold is known only where the file states it. The codebook
# class and the examples of its documentation have 2.
UNSTATED = ("threshold_ema_dead_code", 2.0)
AVERAGES = EmaFacts(relation="laplace", decay=0.8, unstated=UNSTATED, revival="resets")
# Up to 0.8 k-means put bare centroids into the sums, and a replaced code was rewritten from the old sums one step later.
EARLY_AVERAGES = EmaFacts(
    relation="laplace", decay=0.8, start_mass=0.0, unstated=UNSTATED, revival="late", centroid_start=True
)  # fmt: skip


def _residual(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    return grouped(sites, implicit_networks(sites, told(sites, quantizer)))


def _is_one_book_each(sites: list[Site]) -> bool:
    return all(len(site.spec.shape) == 2 or site.spec.shape[0] == 1 for site in sites)


def _has_phi(sites: list[Site]) -> bool:
    keys = ("phi_shared.conv.weight", "phi_levels.0.conv.weight")
    return any(sites[0].state.get(join(sites[0].name, key)) for key in keys)


def _has_random_projection(sites: list[Site]) -> bool:
    return beside_quantizer(sites[0], "rand_projs") is not None


LUCIDRAINS = Family(
    name="lucidrains",
    about="vector-quantize-pytorch VectorQuantize from 0.9",
    book=r"(?:(?P<name>.+)\.)?_codebook\.embed",
    structure="product",
    axis="hkd",
    count="cluster_size",
    total="embed_avg",
    flag="initted",
    needs=("initted",),
    ema=AVERAGES,
    start=kaiming_in_book,
    kmeans_start=True,
    project_in="project_in",
    refine=told,
)

LUCIDRAINS_RESIDUAL = replace(
    LUCIDRAINS,
    name="lucidrains-residual",
    about="vector-quantize-pytorch ResidualVQ and GroupedResidualVQ from 0.9, VQ-BeT",
    book=r"(?:(?P<name>.+)\.)?layers\.(?P<level>\d+)\._codebook\.embed",
    structure="residual",
    when=_is_one_book_each,
    refine=_residual,
)

LUCIDRAINS_UNFLAGGED, LUCIDRAINS_RESIDUAL_UNFLAGGED = unflagged(LUCIDRAINS), unflagged(LUCIDRAINS_RESIDUAL)

LUCIDRAINS_HIERARCHICAL = replace(
    LUCIDRAINS,
    name="lucidrains-hierarchical",
    about="vector-quantize-pytorch HierarchicalVQ",
    book=r"(?:(?P<name>.+)\.)?vqs?\.(?:(?P<level>\d+)\.)?_codebook\.embed",
    structure="multiscale",
    ema=replace(AVERAGES, decay=0.99, threshold=2.0, unstated=None),
    project_in=None,
    searchable="it quantises a pyramid of pooled residuals with convolutions between them: a row alone does not decide its codes",
    notes=("its scales are in the config only (scales)",),
    when=_has_phi,
)

LUCIDRAINS_RANDOM_PROJECTION = replace(
    LUCIDRAINS,
    name="lucidrains-random-projection",
    about="vector-quantize-pytorch RandomProjectionQuantizer (BEST-RQ)",
    book=r"(?P<name>(?:.+\.)?vq)\._codebook\.embed",
    kmeans_start=False,
    notes=(
        "a frozen random book: rows as drawn and even counts are as they should be",
        "rows of features are those after rand_projs, before which it normalises",
    ),
    when=_has_random_projection,
)

LUCIDRAINS_2D = replace(
    LUCIDRAINS,
    name="lucidrains-0.8",
    about="vector-quantize-pytorch VectorQuantize 0.3.2 to 0.8",
    axis="kd",
    ema=EARLY_AVERAGES,
    start=standard_normal,
)

LUCIDRAINS_2D_RESIDUAL = replace(
    LUCIDRAINS_2D,
    name="lucidrains-0.8-residual",
    about="vector-quantize-pytorch ResidualVQ 0.3.2 to 0.8",
    book=LUCIDRAINS_RESIDUAL.book,
    structure="residual",
    refine=_residual,
)

TIME_VQVAE = replace(
    LUCIDRAINS_2D,
    name="timevqvae",
    about="TimeVQVAE, a book for low and one for high frequencies",
    book=r"(?P<name>(?:.+\.)?vq_model_[lh])\._codebook\.embed",
    notes=("training samples its codes from a softmax over distances; nearest codes are its limit",),
)

LUCIDRAINS_COLUMNS = Family(
    name="lucidrains-0.3",
    about="vector-quantize-pytorch VectorQuantize 0.3.0, codes in columns",
    book=r"(?:(?P<name>(?:.+\.)?(?!_?codebook\.)\w+)\.)?embed",
    axis="dk",
    count="cluster_size",
    total="embed_avg",
    flag="initted",
    needs=("cluster_size", "embed_avg", "initted"),
    ema=EARLY_AVERAGES,
    start=standard_normal,
    kmeans_start=True,
    refine=tell_averages,
)

LUCIDRAINS_COLUMNS_RESIDUAL = replace(
    LUCIDRAINS_COLUMNS,
    name="lucidrains-0.3-residual",
    about="vector-quantize-pytorch ResidualVQ 0.3.0, codes in columns",
    book=r"(?:(?P<name>.+)\.)?layers\.(?P<level>\d+)\.embed",
    structure="residual",
)

SIM_VQ_LUCIDRAINS = Family(
    name="lucidrains-simvq",
    about="vector-quantize-pytorch SimVQ and ResidualSimVQ",
    book=r"(?:(?P<name>.+?)\.)??(?:layers\.(?P<level>\d+)\.)?frozen_codebook",
    structure="residual",
    start=frozen_normal,
    linear="code_transform",
    notes=("the stored table is frozen noise; what is measured is code_transform of it",),
)

SIM_VQ_LUCIDRAINS_LEGACY = replace(
    SIM_VQ_LUCIDRAINS,
    name="lucidrains-simvq-legacy",
    about="vector-quantize-pytorch SimVQ of its first days",
    book=r"(?:(?P<name>.+?)\.)??(?:layers\.(?P<level>\d+)\.)?codebook",
    needs=("codebook_to_codes.weight",),
    linear="codebook_to_codes",
    notes=("the stored table is frozen noise; what is measured is codebook_to_codes of it",),
)

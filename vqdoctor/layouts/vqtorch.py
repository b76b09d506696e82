"""vqtorch: a plain embedding, told by the counters and affine parameters beside it.

`_counts` counts down the batches until a code is replaced: recency, not use. Books of groups or residual levels that are not
shared lie below one another in one tensor, and how many they are is in the code only.
Source: minyoungg/vqtorch vqtorch/nn/vq.py, gvq.py, rvq.py, affine.py, utils/replace.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vqdoctor.layouts.family import Family, Site, standard_normal
from vqdoctor.model import EmaFacts, Initialisation, Quantizer

RUNNING = {
    "batch_mean": "running_ze_mean", "batch_variance": "running_ze_var",
    "codebook_mean": "running_c_mean", "codebook_variance": "running_c_var",
}  # fmt: skip


def _has_company(sites: list[Site]) -> bool:
    beside = (sites[0].sibling(name) for name in ("_counts", "data_initialized"))
    return any(beside) or f"{sites[0].stem}affine_transform" in sites[0].state.modules


def _affine(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """Codes through the affine transform: known from running statistics, not known where its learning rate scales it."""
    site, level = sites[0], quantizer.levels[0]
    found = {role: site.sibling(f"affine_transform.{name}") for role, name in RUNNING.items()}
    names = {role: spec.name for role, spec in found.items() if spec is not None and spec.shape == (1, level.dim)}
    if len(names) == len(RUNNING):
        moved = replace(level, transform="affine", transform_tensors=names, initialisation=Initialisation("unknown"))
        return replace(quantizer, levels=(moved,))
    if not _is_moved(site):
        return quantizer
    reason = "its codes are moved by an affine map whose scale (affine_lr, affine_groups) is in the config only"
    return replace(quantizer, levels=(replace(level, data_dependent=True),), searchable=reason)


def _is_moved(site: Site) -> bool:
    """True where an affine transform stands beside the book and is not the identity that it starts as."""
    if site.sibling("affine_transform.running_ze_mean") is not None:
        return True
    learned = [site.sibling(f"affine_transform.{name}") for name in ("scale", "bias")]
    return any(spec is not None and np.any(site.state.source.read(spec.name)) for spec in learned)


VQTORCH = Family(
    name="vqtorch",
    about="vqtorch VectorQuant",
    book=r"(?P<stem>(?:(?P<name>.+)\.)?)codebook\.weight",
    count="_counts",
    flag="data_initialized",
    ema=EmaFacts(counts="countdown", revival="resets"),
    start=standard_normal,
    kmeans_start=True,
    when=_has_company,
    refine=_affine,
    notes=("its groups or levels, where not shared, are stacked in this one table; how many they are is in the code only",),
)

"""The bundled trainer's own checkpoints: they say beside the weights what their counts mean, so nothing is left to guess.

A gradient book keeps counts to show its use, but no sums: its codes do not follow from them. Source:
vqdoctor/trainer/checkpoints.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vqdoctor.layouts.family import Family, Site
from vqdoctor.model import Codebook, EmaFacts, Initialisation, Quantizer

DEFAULTS = EmaFacts(relation="laplace", decay=0.99, start_mass=1.0)
REVIVALS = {"consistent": "resets", "undone": "undone", "none": "none"}
SHRINKS = "this run was told to start from k-means as encodec does, with sum = centroid beside count = bin size"


def as_stated(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """The quantiser with what the file itself says of it."""
    said = _stated(sites[0].state.source.tree)
    sums = quantizer.levels[0].ema_sum is not None
    if said is None:
        return replace(quantizer, ema=replace(DEFAULTS, relation="laplace" if sums else "none"))
    metric = said.get("metric")
    known = metric in ("l2", "cosine")
    return replace(
        quantizer,
        metric=str(metric) if known else "l2",
        metric_basis="stated" if known else "assumed",
        emits="normalised" if metric == "cosine" else "codes",
        ema=_ema(said, sums),
        kmeans_start=said.get("kmeans") is True,
        defects={"VQ305": SHRINKS} if said.get("centroid_sum") == "bare" else {},
        levels=tuple(replace(level, initialisation=_start(str(said.get("init")), level)) for level in quantizer.levels),
    )


def _stated(tree: Any) -> Mapping[str, Any] | None:
    about = tree.get("vqdoctor") if isinstance(tree, Mapping) else None
    said = about.get("quantizer") if isinstance(about, Mapping) else None
    return said if isinstance(said, Mapping) else None


def _ema(said: Mapping[str, Any], sums: bool) -> EmaFacts:
    unit = said.get("threshold_unit")
    return EmaFacts(
        relation="laplace" if sums else "none",
        decay=_number(said.get("decay")),
        start_mass=_number(said.get("start_mass")),
        threshold=_number(said.get("threshold")),
        threshold_unit="uniform" if unit == "uniform" else "absolute",
        revival=REVIVALS.get(str(said.get("revival")), "none"),
        centroid_start=said.get("centroid_sum") == "bare",
        basis="stated",
    )


def _start(kind: str, level: Codebook) -> Initialisation:
    starts = {
        "uniform": Initialisation("uniform", 1 / level.codes, "1/K"),
        "normal": Initialisation("normal", 1.0, "N(0, 1)"),
        "zeros": Initialisation("zeros"),
    }
    return starts.get(kind, Initialisation("unknown"))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


VQDOCTOR_TRAINER = Family(
    name="vqdoctor-trainer",
    about="the bundled trainer's ResidualQuantizer",
    book=r"(?P<name>(?:.*\.)?quantizer)\.layers\.(?P<level>\d+)\.codebook",
    structure="residual",
    metric_basis="assumed",
    count="ema_count",
    total="ema_sum",
    flag="initialised",
    needs=("ema_count", "initialised"),
    refine=as_stated,
)

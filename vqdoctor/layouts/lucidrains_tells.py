"""What a lucidrains book is, told by its neighbours and its values, for the key is always `_codebook.embed`.

Unit rows mean cosine; a book that stands before its counts is a Parameter, learned by gradient; counts that are all 1 (or, before
1.15.3, all 0) were never updated. Source: vector_quantize_pytorch/vector_quantize_pytorch.py, residual_vq.py.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from vqdoctor.layouts.arrays import ema_counts, ema_sums, flag, stored_rows
from vqdoctor.layouts.family import BY_NETWORK, Site, join, linear_codes, of_columns, repeated, sharing_notes
from vqdoctor.layouts.tells import option
from vqdoctor.model import Codebook, EmaFacts, Initialisation, Quantizer, TensorSource, laplace

AFFINE = ("batch_mean", "batch_variance", "codebook_mean", "codebook_variance")
UNKNOWN = Initialisation("unknown")


def told(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """The quantiser with metric, meaning of its averages, transforms of its book and heads as the checkpoint tells them."""
    for tell in (tell_metric, tell_averages, _tell_transforms, _tell_heads):
        quantizer = tell(sites, quantizer)
    return quantizer


def tell_metric(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """Cosine where the rows of the first book are unit vectors; Euclidean where not; assumed while the book awaits k-means."""
    source, level = sites[0].state.source, quantizer.levels[0]
    if flag(source, level) == 0:
        note = "the book still waits for its k-means start: the lookup may be Euclidean or cosine"
        return replace(quantizer, metric_basis="assumed", notes=(*quantizer.notes, note))
    if not _are_units(stored_rows(source, level), 1e-4 if level.dtype in {"float32", "float64"} else 1e-2):
        evidence = f"{quantizer.evidence}; its rows are not unit vectors, hence Euclidean"
        return replace(quantizer, metric_basis="inferred", evidence=evidence)
    evidence = f"{quantizer.evidence}; its rows are unit vectors, hence cosine"
    levels = tuple(replace(one, initialisation=UNKNOWN) for one in quantizer.levels)
    return replace(quantizer, metric="cosine", metric_basis="inferred", evidence=evidence, levels=levels)


def tell_averages(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """What counts and sums mean here: nothing, hits beside a learned book, or the averages that the codes follow from."""
    if quantizer.ema is None:
        return quantizer
    source, levels = sites[0].state.source, quantizer.levels
    facts = _as_stated(source, levels[0], quantizer.ema)
    note: tuple[str, ...] = ()
    if all(_says_nothing(source, level) for level in levels):
        facts = replace(facts, relation="none", counts="stale")
        note = ("its counts were never updated: a fresh book, or one learned by gradient without replacement of codes",)
    elif len(sites[0].spec.shape) == 3 and _is_learned(sites[0], levels[0], cosine=quantizer.metric == "cosine"):
        facts = replace(facts, relation="none")
        note = ("learned by gradient: its codes do not follow from the running sums",)
    elif levels[0].ema_sum is None:
        facts = replace(facts, relation="none")
    elif quantizer.metric == "cosine":
        facts = replace(facts, relation="cosine")
    return replace(quantizer, ema=facts, notes=quantizer.notes + note)


def implicit_networks(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """QINCo: from the second level on, codes come out of an MLP of the code and of what is reconstructed so far."""
    if sites[0].of_quantizer("mlps.0.proj_in.weight") is None:
        return quantizer
    levels = tuple(replace(level, data_dependent=level.index > 0 or level.data_dependent) for level in quantizer.levels)
    reason = "from level 1 on its codes come out of a network of the row (an implicit neural codebook, QINCo)"
    return replace(quantizer, levels=levels, searchable=reason, notes=(*quantizer.notes, reason))


def grouped(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """A member of a GroupedResidualVQ sees its share of the columns."""
    found = re.fullmatch(r"(?P<outer>(?:.+\.)?rvqs)\.(?P<group>\d+)", sites[0].name)
    return of_columns(quantizer, sites[0].state, found["outer"], found["group"]) if found else quantizer


def _are_units(rows: np.ndarray, tolerance: float) -> bool:
    """True where every finite, non-zero row has norm 1."""
    norms = np.sqrt(np.einsum("kd,kd->k", rows, rows))
    norms = norms[np.isfinite(norms) & (norms > 0)]
    return norms.size > 0 and bool(np.abs(norms - 1).max() < tolerance)


def _as_stated(source: TensorSource, level: Codebook, facts: EmaFacts) -> EmaFacts:
    """The facts with the file's own threshold, where its configuration states one, and the start of the release that wrote it."""
    threshold = option(source, "threshold_ema_dead_code")
    if isinstance(threshold, int | float):
        facts = replace(facts, threshold=float(threshold) if threshold > 0 else None, unstated=None, basis="stated")
    # The flag became a bool in 1.26.0; counts start at 1 since 1.15.3 and at 0 before.
    is_bool = level.flag is not None and source.specs[level.flag.name].dtype == "bool"
    return replace(facts, start_mass=1.0) if is_bool else facts


def _says_nothing(source: TensorSource, level: Codebook) -> bool:
    counts = ema_counts(source, level)
    return counts is None or bool(np.all(counts == 1) or np.all(counts == 0))


def _is_learned(site: Site, level: Codebook, *, cosine: bool) -> bool:
    """True where the book is a Parameter: those stand before all buffers in a torch file; in files that are sorted, values tell."""
    count = site.sibling("cluster_size")
    if site.state.source.kind.startswith("torch") and count is not None:
        return next(key for key in site.state.specs if key in {site.spec.key, count.key}) == site.spec.key
    return not _some_row_follows(site.state.source, level, cosine=cosine)


def _some_row_follows(source: TensorSource, level: Codebook, *, cosine: bool) -> bool:
    counts, sums = ema_counts(source, level), ema_sums(source, level)
    if counts is None or sums is None:
        return True
    rows = stored_rows(source, level)
    with np.errstate(all="ignore"):
        means = sums / laplace(counts)[:, None]
        if cosine:
            means /= np.linalg.norm(means, axis=1, keepdims=True)
        away = np.linalg.norm(rows - means, axis=1)
        return bool(np.any(away < 1e-2 * np.linalg.norm(rows, axis=1)))


def _tell_transforms(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    by_key = {site.spec.key: site for site in sites}
    levels = tuple(_transformed(by_key[level.key], level) for level in quantizer.levels)
    notes = quantizer.notes
    if any(site.sibling("codebook_mean") for site in sites) and all(level.transform == "stored" for level in levels):
        notes = (*notes, "its affine statistics are not set yet: its codes are shown as stored")
    if any(level.transform == "affine" for level in levels):
        notes = (*notes, "its affine statistics follow the rows even in evaluation; the codes are as of its last batch")
    made = any(level.data_dependent for level in levels)
    return replace(quantizer, levels=levels, notes=notes, searchable=BY_NETWORK if made else quantizer.searchable)


def _transformed(site: Site, level: Codebook) -> Codebook:
    if f"{site.stem}vq_bridge" in site.state.modules:
        level = linear_codes(replace(level, initialisation=UNKNOWN), site.state, f"{site.stem}vq_bridge")
    if (tensors := _affine_tensors(site)) is None:
        return level
    if level.transform != "stored" or level.data_dependent:  # affine after a bridge: more than one known step
        return replace(level, data_dependent=True)
    return replace(level, transform="affine", transform_tensors=tensors, initialisation=UNKNOWN)


def _affine_tensors(site: Site) -> dict[str, str] | None:
    """Names of the statistics of affine_param, None where there are none or they are still uninitialised memory."""
    books, _, dim = site.spec.shape if len(site.spec.shape) == 3 else (1, 0, 0)
    found = {role: spec.name for role in AFFINE if (spec := site.sibling(role)) is not None and spec.shape == (books, 1, dim)}
    waiting = [site.sibling(f"{role}_needs_init") for role in AFFINE[2:]]
    read = site.state.source.read
    if len(found) < len(AFFINE) or any(spec is not None and np.any(read(spec.name)) for spec in waiting):
        return None
    return found


def _tell_heads(sites: list[Site], quantizer: Quantizer) -> Quantizer:
    """Heads that share one book are only seen in how wide its projection is; with a layer norm, rows are taken after it."""
    if quantizer.structure not in {"single", "product"}:
        return quantizer
    normed = sites[0].state.get(join(sites[0].name, "project_in.0.weight"))
    wide = quantizer.project_in.columns_out if quantizer.project_in else normed.shape[0] if normed is not None else 0
    if normed is not None:
        note = "its project_in ends in a layer norm: rows of features are those after it"
        quantizer = replace(quantizer, width=wide, notes=(*quantizer.notes, note))
    heads, rest = divmod(wide, quantizer.levels[0].dim)
    if len(quantizer.levels) > 1 or heads < 2 or rest:
        return quantizer
    levels = repeated(quantizer.levels, heads)
    return replace(quantizer, structure="product", levels=levels, notes=quantizer.notes + sharing_notes(levels))

"""Which tensors of a checkpoint are a codebook, and what its family does with them: facts, no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Which (K, D) matrix or (K,) vector lies inside a stored tensor, and how.

    Reading is ``array = tensor[index]``, then ``.reshape(shape)`` if given, then ``.T`` if `transpose`. All three are invertible
    views, so the same description serves for writing rows back.

    Example: head 2 of a lucidrains book (H, K, D) is ``Slice(name, index=(2,))``; rosinality's (D, K) book is
    ``Slice(name, transpose=True)``; kakaobrain's book without its padding row is ``Slice(name, index=(slice(0, K),))``.
    """

    name: str
    index: Index = ()
    transpose: bool = False
    shape: tuple[int, ...] | None = None

    def view(self, tensor: np.ndarray) -> np.ndarray:
        """The matrix or vector as a view of `tensor` (writable where that is)."""
        part = tensor[self.index] if self.index else tensor
        if self.shape is not None:
            part = part.reshape(self.shape)
        return part.T if self.transpose else part


@dataclass(frozen=True, slots=True)
class EmaFacts:
    """What a family's running counts mean (reference: theory §2.1).

    Attributes:
        relation: how the codes follow from sum and count.
            "laplace": embed = sum / smoothed(count); "ratio": sum / count (the stored count may be smoothed already);
            "clamped": sum / max(count, eps), no codes stored (Mimi); "cosine": l2norm(sum / smoothed(count));
            "none": the codes are not derived from the sums.
        counts: what a count is. "ema": decayed hits a step; "smoothed": the same, Laplace-smoothed in the file;
            "probability": decayed share of a batch; "ring": the last indices themselves; "scales": decayed hits per scale;
            "cumulative": hits since construction; "countdown": steps until replacement; "stale": never updated.
        decay: the family's default, None where it has none.
        eps: of the smoothing or clamp.
        start_mass: what a count is before the first step (0 or 1), None unknown.
        threshold: the family's dead-code test, count < threshold; None where it has none.
        threshold_unit: "absolute", or "uniform": times the mean count.
        unstated: (option, value) of a test that is off unless the training switched it on, which the file does not tell, and the
            value that it then usually has; None where the test is known.
        revival: what its dead-code replacement does. "resets": writes codes and sums; "undone": the same step overwrites the new
            code from stale sums; "late": survives one assignment; "none": it has none.
        centroid_start: True where its k-means start stores sum = centroid beside count = bin size (shrinks the book, VQ305).
        basis: "stated" where the values are from the checkpoint itself, "family" where they are the stock defaults.
    """

    relation: str = "none"
    counts: str = "ema"
    decay: float | None = None
    eps: float = 1e-5
    start_mass: float | None = None
    threshold: float | None = None
    threshold_unit: str = "absolute"
    unstated: tuple[str, float] | None = None
    revival: str = "none"
    centroid_start: bool = False
    basis: str = "family"


def laplace(counts: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Laplace-smoothed counts (N+ε)/(ΣN+Kε)·ΣN, (K,) float64: the same total, and never 0, so that no `> 0` test ever fails on
    them.

    The divisor of `EmaFacts.relation` "laplace"; here because what reads a book and what measures it must agree on it.
    """
    counts = np.asarray(counts, dtype=np.float64)
    total = counts.sum()
    return (counts + eps) / (total + counts.size * eps) * total


@dataclass(frozen=True, slots=True)
class Initialisation:
    """How a family draws a fresh codebook: `kind` "uniform" (support ±bound), "normal" (sd = bound), "zeros", "frozen" or
    "unknown".

    `formula` says the bound in the family's words ("1/K"); `bound` is its value for this book.
    """

    kind: str
    bound: float | None = None
    formula: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear map stored in the file. `weight`: tensor names, one for a plain weight, (g, v) for a weight-normed one."""

    weight: tuple[str, ...]
    bias: str | None = None
    columns_in: int = 0
    columns_out: int = 0


@dataclass(frozen=True, slots=True)
class Codebook:
    """One level (or group, head, scale) of a quantiser.

    Attributes:
        index: its place, from 0.
        key: the key, in its state dict, of the tensor that the codes are read from.
        stored: where the codes are. For relation "clamped" this is the sum, and the codes are derived.
        codes, dim: K and D as looked up. dtype: as stored.
        ema_count, ema_sum: (K,) and (K, D), None where the file has none.
        flag: the "initialised" flag, None where the file has none.
        transform: how stored becomes effective: "stored", "clamped", "linear" (× transform_weight), "affine" (VQ-affine
            statistics).
        transform_tensors: names of the tensors that `transform` needs, by role.
        project_in, project_out: per-level maps (DAC).
        shared_with: index of the level whose very tensor this one repeats, None if its own.
        initialisation: how a fresh book of this shape looks.
        data_dependent: True where the effective codes are made by a network, of the row (QINCo levels ≥ 1) or of the stored rows
            (a vq_bridge): no fixed book to search or to write.
    """

    index: int
    key: str
    stored: Slice
    codes: int
    dim: int
    dtype: str
    ema_count: Slice | None = None
    ema_sum: Slice | None = None
    flag: Slice | None = None
    transform: str = "stored"
    transform_tensors: Mapping[str, str] = field(default_factory=dict)
    project_in: Projection | None = None
    project_out: Projection | None = None
    shared_with: int | None = None
    initialisation: Initialisation = Initialisation("unknown")
    data_dependent: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)  # role ("ema_count", "ema_sum") → key in the state dict


@dataclass(frozen=True, slots=True)
class Quantizer:
    """A quantiser found in a checkpoint.

    Attributes:
        name: the module path of the quantiser inside its state dict ("quantizer.vq"), wrappers kept; unique in a report.
        layout: which layout recognised it. evidence: by what, in one sentence.
        structure: "single", "residual", "product", "multiscale" or "implicit" (no stored book: FSQ, LFQ).
        metric: "l2", "cosine", "dot", "logits" or "unknown". metric_basis: "stated", "inferred" or "assumed".
        levels: its codebooks; () for implicit ones.
        container: path of its state dict in the file.
        ema: what its counts mean, None where it keeps none.
        project_in: before level 0. columns: see Lookup.columns. width: columns of a feature row, before any projection.
        searchable: None where nearest-code search on rows gives the model's codes, else the reason why not.
        normalise_residuals: see Lookup. emits: what a chosen code stands for: "codes" (the row itself) or "normalised" (its
            l2-normalised row).
        kmeans_start: True where the family may start from k-means on first use (matters for a missing or false flag).
        items: True where the family codes items of a catalogue, so that each should have an ID of its own.
        notes: what a reader should know (twins counted once, shared levels, foreign book), one sentence each.
        defects: known defects of the family's stock code, worded "if trained with …"; ids are rule ids.
        confidence: 0…1 that this is a codebook at all; below 0.9 it is said.
        facts: anything else a rule of this layout wants.
    """

    name: str
    layout: str
    evidence: str
    structure: str
    metric: str
    metric_basis: str
    levels: tuple[Codebook, ...]
    container: str = ""
    ema: EmaFacts | None = None
    project_in: Projection | None = None
    columns: tuple[int, int] | None = None
    width: int | None = None
    searchable: str | None = None
    normalise_residuals: bool = False
    emits: str = "codes"
    kmeans_start: bool = False
    items: bool = False
    notes: tuple[str, ...] = ()
    defects: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)

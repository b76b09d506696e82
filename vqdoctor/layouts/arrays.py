"""From the facts of a layout to arrays, and back: effective codes, EMA counts and sums, the lookup, and writes that change a row.

One mechanism for all families: `model.Slice` says where a matrix lies, `Codebook.transform` how stored becomes effective.
`state_for` is the inverse of `codes`: what has to be written so that the family itself would look up the given rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from vqdoctor.errors import UsageError, printable
from vqdoctor.model import Codebook, EmaFacts, Linear, Lookup, Projection, Quantizer, Slice, Stage, TensorSource, laplace

Array = np.ndarray
EPS = 1e-5  # of Laplace smoothing and clamps, in every family that has been read


@dataclass(frozen=True, slots=True)
class Write:
    """Rows of one stored matrix or vector to be replaced: ``where.view(tensor)[rows] = values``; rows ``...`` are all of it."""

    where: Slice
    rows: Array | EllipsisType
    values: Array

    def apply(self, tensor: Array) -> None:
        """Change `tensor` (the whole stored tensor, writable) in place."""
        self.where.view(tensor)[self.rows] = self.values.astype(tensor.dtype, copy=False)


def read_slice(source: TensorSource, where: Slice | None) -> Array | None:
    """The matrix or vector at `where`, None for None."""
    return None if where is None else where.view(source.read(where.name))


def stored_rows(source: TensorSource, level: Codebook) -> Array:
    """The rows as the file has them, (K, D stored) float32: what the running sums divided by the counts are compared with."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and found as such
        return np.array(read_slice(source, level.stored), dtype=np.float32, order="C")


def codes(source: TensorSource, level: Codebook, *, eps: float = EPS) -> Array:
    """The effective codes of a level, (K, D) float32: what its rows are compared with, before any normalisation for cosine.

    Args:
        eps: floor of the count where codes are sum / max(count, eps) (Quantizer.ema.eps).
    """
    stored = stored_rows(source, level)
    with np.errstate(over="ignore", invalid="ignore"):
        return _effective(source, level, stored, eps)


def _effective(source: TensorSource, level: Codebook, stored: Array, eps: float) -> Array:
    if level.transform == "clamped":
        count = read_slice(source, level.ema_count)
        floor = np.maximum(np.asarray(count, dtype=np.float32), np.float32(eps))
        return stored / floor[:, None]
    if level.transform == "linear":
        return _transform(source, level)(stored)
    if level.transform == "affine":
        scale, shift = _affine(source, level)
        return stored * scale + shift
    return stored


def ema_counts(source: TensorSource, level: Codebook) -> Array | None:
    """The stored running counts of a level as they are, float64: (K,), or for ring and scale counters whatever shape they have."""
    found = read_slice(source, level.ema_count)
    return None if found is None else np.asarray(found, dtype=np.float64)


def ema_sums(source: TensorSource, level: Codebook) -> Array | None:
    """The stored running sums of a level, (K, D) float64."""
    found = read_slice(source, level.ema_sum)
    return None if found is None else np.asarray(found, dtype=np.float64)


def flag(source: TensorSource, level: Codebook) -> float | None:
    """The value of the level's initialised flag, None where the file has none."""
    found = read_slice(source, level.flag)
    return None if found is None else float(np.asarray(found, dtype=np.float64).min())


def linear(source: TensorSource, projection: Projection | None) -> Linear | None:
    """A stored projection as arrays; weight norm folded (w = g·v/‖v‖), kernel axes of size 1 dropped."""
    if projection is None:
        return None
    parts = [np.asarray(source.read(name), dtype=np.float32) for name in projection.weight]
    direction = parts[-1].reshape(parts[-1].shape[0], -1)
    if len(parts) == 2:
        norm = np.linalg.norm(direction, axis=1, keepdims=True)
        direction = direction * (parts[0].reshape(-1, 1) / np.maximum(norm, np.finfo(np.float32).tiny))
    bias = None if projection.bias is None else np.asarray(source.read(projection.bias), dtype=np.float32)
    return Linear(np.ascontiguousarray(direction), bias)


def lookup(source: TensorSource, quantizer: Quantizer, *, metric: str | None = None) -> Lookup:
    """The quantiser as arrays for nearest-code search.

    Args:
        metric: used instead of the quantiser's own ("l2", "cosine" or "dot").

    Raises:
        UsageError: the model's codes are not the nearest codes of a row (`Quantizer.searchable` says why).
    """
    if quantizer.searchable is not None:
        raise UsageError(f"{printable(quantizer.name)}: {quantizer.searchable}", hint="Give the model's own codes with --codes.")
    used = metric or quantizer.metric
    return Lookup(
        stages=tuple(_stage(source, quantizer, level) for level in quantizer.levels),
        structure="residual" if quantizer.structure == "residual" else "product" if quantizer.structure == "product" else "single",
        metric="l2" if used == "unknown" else used, width=quantizer.width or quantizer.levels[0].dim,
        project_in=linear(source, quantizer.project_in), columns=quantizer.columns,
        normalise_residuals=quantizer.normalise_residuals,
    )  # fmt: skip


def state_for(source: TensorSource, quantizer: Quantizer, level: Codebook, rows: Array, new: Array, counts: Array) -> list[Write]:
    """The writes after which `codes(level)[rows]` is `new`, with every copy, running sum and flag consistent.

    A sum is written as code × count, the count smoothed where the family smooths it, so that the family's next normalisation gives
    back the same code (theory §7.2) whatever the count.

    Args:
        rows: (r,) indices of codes. new: (r, D) float32. counts: (r,) running count that each shall have.

    Returns:
        Writes in the order stored, count, sum, flag; only tensors that the file has and the family uses.

    Raises:
        UsageError: the codes of this level do not lie in the file (they depend on the row, or come out of a network).
    """
    if level.data_dependent:
        raise UsageError(f"{printable(level.key)}: its codes are made by a network; there is no book to write")
    eps = quantizer.ema.eps if quantizer.ema else EPS
    stored = _stored_for(source, level, new, np.maximum(counts, eps))
    writes = [Write(level.stored, rows, stored)]
    if level.ema_count is not None and _counts_per_code(quantizer):
        writes.append(Write(level.ema_count, rows, counts))
    if level.ema_sum is not None and level.transform != "clamped" and quantizer.ema and quantizer.ema.relation != "none":
        writes.append(Write(level.ema_sum, rows, stored * _divisors(source, quantizer.ema, level, rows, counts)[:, None]))
    if level.flag is not None and not flag(source, level):
        writes.append(Write(level.flag, ..., np.ones(())))
    return writes


def _counts_per_code(quantizer: Quantizer) -> bool:
    return quantizer.ema is not None and quantizer.ema.counts in {"ema", "smoothed", "probability", "cumulative"}


def _divisors(source: TensorSource, ema: EmaFacts, level: Codebook, rows: Array, counts: Array) -> Array:
    """(r,) what the family divides the sums of `rows` by, once their counts are written."""
    every = ema_counts(source, level)
    if every is None or ema.relation == "ratio":
        return counts
    every[rows] = counts
    return laplace(every, ema.eps)[rows]


def _stored_for(source: TensorSource, level: Codebook, new: Array, counts: Array) -> Array:
    if level.transform == "clamped":
        return new * counts[:, None]
    if level.transform == "linear":
        transform = _transform(source, level)
        target = new if transform.bias is None else new - transform.bias
        return np.linalg.lstsq(transform.weight.astype(np.float64), target.T.astype(np.float64), rcond=None)[0].T
    if level.transform == "affine":
        scale, shift = _affine(source, level)
        return (new - shift) / scale
    return new


def _transform(source: TensorSource, level: Codebook) -> Linear:
    weight = np.asarray(source.read(level.transform_tensors["weight"]), dtype=np.float32)
    bias = level.transform_tensors.get("bias")
    return Linear(weight, None if bias is None else np.asarray(source.read(bias), dtype=np.float32))


def _affine(source: TensorSource, level: Codebook) -> tuple[Array, Array]:
    """scale and shift of (embed − codebook mean)·√(batch variance / codebook variance) + batch mean."""
    head = level.stored.index or (0,)

    def statistic(role: str) -> Array:
        return np.asarray(source.read(level.transform_tensors[role]), dtype=np.float32)[head].reshape(-1)

    batch, codebook = (np.sqrt(np.maximum(statistic(f"{whose}_variance"), 1e-5)) for whose in ("batch", "codebook"))
    scale = batch / codebook
    return scale, statistic("batch_mean") - statistic("codebook_mean") * scale


def _stage(source: TensorSource, quantizer: Quantizer, level: Codebook) -> Stage:
    book = codes(source, level, eps=quantizer.ema.eps if quantizer.ema else EPS)
    values = book
    if quantizer.emits == "normalised":
        norms = np.linalg.norm(book, axis=1, keepdims=True)
        values = book / np.maximum(norms, 1e-12)
    return Stage(book, values, linear(source, level.project_in), linear(source, level.project_out))

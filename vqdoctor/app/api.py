"""The Python face of the use cases: the same values as the command line prints, typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vqdoctor.app.compare import compare_checkpoints
from vqdoctor.app.encode import Encoded
from vqdoctor.app.encode import encode as encode_rows
from vqdoctor.app.inspect import inspect as inspect_paths
from vqdoctor.app.repair import RepairPlan, RepairRequest, RepairResult, plan_repair
from vqdoctor.app.repair import repair as repair_file
from vqdoctor.app.request import InspectRequest
from vqdoctor.checkpoint import open_source
from vqdoctor.errors import UsageError
from vqdoctor.model import Report, TensorSource
from vqdoctor.samples import ArrayRows, Rows, StoredArray
from vqdoctor.treatment import TreatmentRequest

Features = str | Any | Mapping[str, str | Any] | None
"""A file of rows (N, D), the rows as an array or a tensor, or either by the name of the quantiser that takes them."""


def inspect(
    path: str,
    *,
    features: Features = None,
    codes: str | None = None,
    population: bool | None = None,
    metric: str | None = None,
    **options: Any,
) -> Report:
    """Inspects one checkpoint or semantic-ID file.

    Args:
        path: the file. features: a file of rows (N, D), the rows themselves, or {quantiser name: either}.
        codes: a file of assigned codes.
        population: the rows are all there are. metric: "l2", "cosine" or "dot" where the file cannot say.
        options: the other fields of `vqdoctor.app.request.InspectRequest`.

    Raises:
        VqdoctorError: the file cannot be read or holds no quantiser that is known; what was given does not fit.

    Example:
        >>> report = inspect("sample_checkpoints/ema-illusion.pt")  # doctest: +SKIP
        >>> report.verdict  # doctest: +SKIP
        'sick'
    """
    named = _named(features)
    request = InspectRequest(features=named, codes=codes, population=population, metric=metric, **options)
    reports = inspect_paths([str(path)], request)
    if len(reports) != 1:
        raise UsageError(f"names {len(reports)} checkpoints, inspect takes one.", where=str(path), hint="Call it for each file.")
    return reports[0]


def load(path: str) -> TensorSource:
    """Opens a checkpoint without executing anything in it: names and shapes at once, values on demand. Close it when done.

    Raises:
        InputError: it cannot be read.
    """
    return open_source(str(path))


def repair(
    path: str,
    features: Features = None,
    *,
    out: str | None = None,
    method: str = "kmeans",
    quantizer: str | None = None,
    metric: str | None = None,
    **options: Any,
) -> RepairResult | RepairPlan:
    """Writes a repaired, proven copy of a checkpoint, with its note and the way back beside it.

    Args:
        path: the checkpoint. features: a file of rows (N, D), the rows themselves (an array or a tensor), or {quantiser name:
            either}; None: those beside it.
        out: the copy; None: only plan, nothing is written.
        method: "kmeans", "reset-dead", "split", "sanitize", "sync-ema", "freeze-init", or "auto".
        options: the other fields of `vqdoctor.treatment.TreatmentRequest` (only_dead, threshold, seed, …).

    Returns:
        what was written; the plan where there was nothing to repair, or no `out`.

    Raises:
        VqdoctorError: a file cannot be read or written, or the treatment is refused, with the reason.
    """
    treatment = None if method == "auto" else TreatmentRequest(method, **options)
    request = RepairRequest(treatment, _named(features), quantizer, metric)
    return plan_repair(str(path), request) if out is None else repair_file(str(path), str(out), request)


def compare(a: str, b: str) -> dict[str, Any]:
    """`vqdoctor.compare/1` of two checkpoints: codes that moved, died, came back, never changed.

    Raises:
        VqdoctorError: one cannot be read or holds no quantiser that is known.
    """
    return compare_checkpoints(str(a), str(b))


def encode(path: str, *, features: str | None = None, data: str | None = None, dedup: bool = False, **options: Any) -> Encoded:
    """The nearest codes (N, L) of every row, level by level.

    Args:
        path: the checkpoint. features: a file of latents. data: raw inputs instead, for a checkpoint of the bundled trainer.
        dedup: also each row's rank among those of equal ID. options: quantizer, metric.

    Raises:
        VqdoctorError: what was given cannot be read or does not fit.
    """
    return encode_rows(str(path), features=features, data=data, dedup=dedup, **options)


def _named(features: Features) -> tuple[tuple[str | None, str | Rows], ...]:
    if features is None:
        return ()
    if isinstance(features, Mapping):
        return tuple((name, _file_or_rows(given)) for name, given in features.items())
    return ((None, _file_or_rows(features)),)


def _file_or_rows(given: Any) -> str | Rows:
    if not hasattr(given, "shape"):
        return str(given)
    array = np.asarray(given.detach().float().cpu() if hasattr(given, "detach") else given)
    return ArrayRows(StoredArray("rows in memory", "", array.shape, str(array.dtype), lambda start, stop: array[start:stop]))

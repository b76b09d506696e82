"""The Python face of the use cases: the same values as the command line prints, typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vqdoctor.app.inspect import inspect as inspect_paths
from vqdoctor.app.request import InspectRequest
from vqdoctor.checkpoint import open_source
from vqdoctor.errors import UsageError
from vqdoctor.model import Report, TensorSource


def inspect(
    path: str,
    *,
    features: str | Mapping[str, str] | None = None,
    codes: str | None = None,
    population: bool | None = None,
    metric: str | None = None,
    **options: Any,
) -> Report:
    """Inspects one checkpoint or semantic-ID file.

    Args:
        path: the file. features: a file of rows (N, D), or {quantiser name: file}. codes: a file of assigned codes.
        population: the rows are all there are. metric: "l2", "cosine" or "dot" where the file cannot say.
        options: the other fields of `vqdoctor.app.request.InspectRequest`.

    Raises:
        VqdoctorError: the file cannot be read or holds no quantiser that is known; what was given does not fit.

    Example:
        >>> report = inspect("sample_checkpoints/ema-illusion.pt")  # doctest: +SKIP
        >>> report.verdict  # doctest: +SKIP
        'sick'
    """
    named = () if features is None else ((None, features),) if isinstance(features, str) else tuple(features.items())
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

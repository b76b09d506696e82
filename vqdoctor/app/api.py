"""The Python face of the use cases: the same values as the command line prints, typed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vqdoctor.app.compare_runs import compare_two
from vqdoctor.app.encode import Encoded
from vqdoctor.app.encode import encode as encode_rows
from vqdoctor.app.gating.gate import gate as gate_paths
from vqdoctor.app.gating.request import GateRequest, parse_at
from vqdoctor.app.inspect import inspect as inspect_paths
from vqdoctor.app.repair import RepairPlan, RepairRequest, RepairResult, plan_repair
from vqdoctor.app.repair import repair as repair_file
from vqdoctor.app.request import InspectRequest
from vqdoctor.app.watching.once import look_once
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.view import WatchView
from vqdoctor.checkpoint import open_source
from vqdoctor.errors import UsageError
from vqdoctor.gating import parse_gate
from vqdoctor.gating.asks import with_origin
from vqdoctor.model import Report, TensorSource
from vqdoctor.model.gate import GateResult
from vqdoctor.samples import ArrayRows, CodeTable, Rows, StoredArray
from vqdoctor.treatment import TreatmentRequest

Features = str | Any | Mapping[str, str | Any] | None
"""A file of rows (N, D), the rows as an array or a tensor, or either by the name of the quantiser that takes them."""


def inspect(
    path: str,
    *,
    features: Features = None,
    codes: str | Any | None = None,
    population: bool | None = None,
    metric: str | None = None,
    **options: Any,
) -> Report:
    """Inspects one checkpoint or semantic-ID file.

    Args:
        path: the file. features: a file of rows (N, D), the rows themselves, or {quantiser name: either}.
        codes: a file of assigned codes, or the codes (N,) or (N, L) as an array or a tensor.
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
    assigned = None if codes is None else _file_or_codes(codes)
    request = InspectRequest(features=named, codes=assigned, population=population, metric=metric, **options)
    reports = inspect_paths([str(path)], request)
    if len(reports) != 1:
        raise UsageError(f"names {len(reports)} checkpoints, inspect takes one.", where=str(path), hint="Call it for each file.")
    return reports[0]


def gate(
    *paths: str,
    min: Mapping[str, float] | None = None,
    max: Mapping[str, float] | None = None,
    max_drop: Mapping[str, float | str] | None = None,
    rules: Mapping[str, str] | None = None,
    preset: str | Sequence[str] = (),
    features: str | Mapping[str, str] | None = None,
    baseline: str | None = None,
    inconclusive: str = "fail",
    fail_on: str | None = None,
    at: str = "last",
    require_n: bool = False,
    **options: Any,
) -> GateResult:
    """Judges checkpoints, semantic-ID files and logs by thresholds and rules; nothing asked for: the recommended preset.

    Args:
        paths: files or folders; none: only the names and values of what is asked are checked.
        min, max: bounds by metric, ``{"vq[1]:usage.utilization": 0.9}``. rules: ``{"VQ103": "error"}``.
        preset: "recommended", "strict", "codec", "semantic-ids", or several.
        features: a file of rows (N, D), or {quantiser: file}.
        baseline: file of known failures; max_drop: how much worse than it a metric may be, ``0.02`` or ``"2%"``.
        inconclusive: "fail", "pass" or "warn". fail_on: the least level that stops. at: "last", "best" or "window:N" of a log.
        require_n: what a log states without saying on how many rows is inconclusive.
        options: the other fields of `vqdoctor.app.request.InspectRequest`.

    Returns:
        the verdict ("pass", "fail", "inconclusive"), `passed`, `raise_for_failure()`, and every check with its value, rows and
        reason.

    Raises:
        VqdoctorError: a name or value that nothing reads; a source cannot be read or holds no quantiser that is known.

    Example:
        >>> gate("model.ckpt", min={"usage.utilization": 0.9}).passed  # doctest: +SKIP
        True
    """
    table: dict[str, Any] = {}
    for key, bounds in (("min", min), ("max", max), ("max-drop", max_drop)):
        for metric, value in (bounds or {}).items():
            table.setdefault(metric, {})[key] = value
    table |= {"preset": [preset] if isinstance(preset, str) else list(preset), **(rules or {})}
    policies = parse_gate({"inconclusive": inconclusive, **({} if fail_on is None else {"fail-on": fail_on})}).policies
    asks = with_origin(parse_gate(table).asks, "the call")
    request = GateRequest(
        asks, InspectRequest(features=_named(features), **options), policies.get("fail-on"), policies["inconclusive"], require_n,
        parse_at(at, "at"), baseline,
    )  # fmt: skip
    return gate_paths([str(path) for path in paths], request).result


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
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> RepairResult | RepairPlan:
    """Writes a repaired, proven copy of a checkpoint, with its note and the way back beside it.

    Args:
        path: the checkpoint. features: a file of rows (N, D), the rows themselves (an array or a tensor), or {quantiser name:
            either}; None: those beside it.
        out: the copy; None: only plan, nothing is written.
        method: "kmeans", "reset-dead", "split", "sanitize", "sync-ema", "freeze-init", or "auto".
        quantizer, metric: which one, where the file holds several; how the model looks codes up, where the file cannot say.
        rules: for "auto", what to judge by, as in ``[tool.vqdoctor.rules]``: ``{"VQ401": {"warn": 0.1}}``.
        options: the other fields of `vqdoctor.treatment.TreatmentRequest` (only_dead, threshold, seed, …).

    Returns:
        what was written; the plan where there was nothing to repair, or no `out`.

    Raises:
        VqdoctorError: a file cannot be read or written, or the treatment is refused, with the reason.
    """
    request = RepairRequest(TreatmentRequest(method, **options), _named(features), quantizer, metric, rules or {})
    return plan_repair(str(path), request) if out is None else repair_file(str(path), str(out), request)


def compare(a: str, b: str, *, rules: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """`vqdoctor.compare/1` of two checkpoints (codes that moved, died, came back) or of two logs (where their curves ended).

    Args:
        rules: what to judge by, as in ``[tool.vqdoctor.rules]``.

    Raises:
        VqdoctorError: one cannot be read or holds nothing to compare.
    """
    return compare_two(str(a), str(b), rules=rules)


def encode(
    path: str, *, features: str | Any | None = None, data: str | None = None, dedup: bool = False, **options: Any
) -> Encoded:
    """The nearest codes (N, L) of every row, level by level.

    Args:
        path: the checkpoint. features: a file of latents, or the latents (N, D) as an array or a tensor.
        data: raw inputs instead, for a checkpoint of the bundled trainer.
        dedup: also each row's rank among those of equal ID. options: quantizer, metric, engine.

    Raises:
        VqdoctorError: what was given cannot be read or does not fit.
    """
    rows = None if features is None else _file_or_rows(features)
    return encode_rows(str(path), features=rows, data=data, dedup=dedup, **options)


def watch_once(path: str | Sequence[str], *, checkpoints: bool = True, **options: Any) -> WatchView:
    """Where runs stand now: every curve with its meaning, what happened, what is wrong and since which step.

    Args:
        path: a log or a folder of runs, or several. checkpoints: also open the checkpoints beside the logs.
        options: the other fields of `vqdoctor.app.watching.request.WatchRequest` (bindings, rules).

    Returns:
        the runs, newest first; its `to_dict()` is `vqdoctor.watch/1`.

    Raises:
        MissingInput: there is no such file or folder, or it cannot be read. UnsupportedInput: it is no log, but a checkpoint, say.

    Example:
        >>> [run] = watch_once("sample_checkpoints/ema-illusion.log.jsonl").runs  # doctest: +SKIP
        >>> run.state, [finding.rule for finding in run.findings]  # doctest: +SKIP
        ('ended', ['VQ501', 'VQ103'])
    """
    return look_once([path] if isinstance(path, str | os.PathLike) else path, WatchRequest(checkpoints=checkpoints, **options))


def _named(features: Features) -> tuple[tuple[str | None, str | Rows], ...]:
    if features is None:
        return ()
    if isinstance(features, Mapping):
        return tuple((name, _file_or_rows(given)) for name, given in features.items())
    return ((None, _file_or_rows(features)),)


def _file_or_rows(given: Any) -> str | Rows:
    """Raises:
    UsageError: neither the name of a file nor rows of numbers.
    """
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    array = _array(given)
    if array.dtype.kind not in "fiu":
        raise UsageError("features are the name of a file, or rows of numbers (N, D): an array, a tensor or lists.")
    return ArrayRows(_stored(array, "rows in memory"))


def _file_or_codes(given: Any) -> str | CodeTable:
    """Raises:
    UsageError: neither the name of a file nor whole numbers.
    """
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    array = _array(given)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or not array.size:
        raise UsageError("codes are the name of a file, or whole numbers (N,) or (N, L): an array, a tensor or lists.")
    levels = 1 if array.ndim == 1 else array.shape[1]
    return CodeTable("codes in memory", len(array), levels, str(array.dtype), _stored(array, "codes in memory"))


def _array(given: Any) -> np.ndarray:
    """An array of it; one of objects where it is none."""
    try:
        if not hasattr(given, "detach"):
            return np.asarray(given)
        there = given.detach().cpu()
        return np.asarray(there.float() if there.is_floating_point() else there)  # NumPy has no bfloat16
    except ValueError:
        return np.empty(0, object)


def _stored(array: np.ndarray, name: str) -> StoredArray:
    return StoredArray(name, "", array.shape, str(array.dtype), lambda start, stop: array[start:stop])

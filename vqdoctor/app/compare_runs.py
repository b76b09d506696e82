"""`vqdoctor compare` of two runs by their logs: where each curve ended, and what was found in each."""

from __future__ import annotations

import os
from typing import Any

from vqdoctor.app.compare import SCHEMA, Rules, compare_checkpoints, gravest
from vqdoctor.app.request import Progress
from vqdoctor.app.watching.once import look_once
from vqdoctor.app.watching.request import WatchRequest
from vqdoctor.app.watching.view import RunView
from vqdoctor.diagnosis import verdict
from vqdoctor.errors import UsageError
from vqdoctor.logs import looks_like_log


def compare_two(a: str, b: str, progress: Progress | None = None, rules: Rules | None = None) -> dict[str, Any]:
    """`vqdoctor.compare/1` of two logs, or of two checkpoints; judged by `rules`.

    Raises:
        VqdoctorError: one cannot be read, or holds nothing to compare. UsageError: one is a log and the other is not.
    """
    logs = [path for path in (a, b) if is_log(path)]
    if len(logs) == 1:
        raise UsageError("is a log, the other is none.", where=logs[0], hint="Give two logs, or two checkpoints.")
    return compare_runs(a, b, rules) if logs else compare_checkpoints(a, b, progress, rules)


def is_log(path: str) -> bool:
    """Whether it is a file that is a log by its name."""
    return os.path.isfile(path) and looks_like_log(os.path.basename(path))


def compare_runs(a: str, b: str, rules: Rules | None = None) -> dict[str, Any]:
    """`vqdoctor.compare/1` of two logs: the last value of every curve that both have, and whose curves only one has.

    Raises:
        MissingInput: one is not there or cannot be read. UsageError: one holds more or less than one run.
    """
    runs = [_run(path, rules or {}) for path in (a, b)]
    first, second = (_ends(run) for run in runs)
    metrics = {name: {"a": first[name], "b": second[name], "delta": second[name] - first[name]} for name in first if name in second}
    return {
        "schema": SCHEMA,
        "a": a,
        "b": b,
        "quantizers": [],
        "only_a": [name for name in first if name not in second],
        "only_b": [name for name in second if name not in first],
        "verdicts": [verdict(run.findings, ()) for run in runs],
        "gravest": [gravest(run.findings) for run in runs],
        "metrics": metrics,
    }


def _run(path: str, rules: Rules) -> RunView:
    runs = look_once([path], WatchRequest(checkpoints=False, rules=rules)).runs
    if len(runs) != 1:
        raise UsageError(f"holds {len(runs)} runs, a comparison takes one.", where=path, hint="vqdoctor watch shows several.")
    return runs[0]


def _ends(run: RunView) -> dict[str, float]:
    """The last value of each curve: our name where it has one, with the place and the part of the data that it is of."""
    ends = {}
    for series in run.series:
        if series.last is not None:
            name = series.meaning.metric or series.meaning.scalar or series.key.name
            quantizer, level = series.meaning.quantizer, series.meaning.level
            where = f"{quantizer or ''}{'' if level is None else f'[{level}]'}"
            scope = f" ({series.meaning.scope})" if series.meaning.scope else ""
            ends[f"{where}:{name}{scope}" if where else f"{name}{scope}"] = float(series.last)
    return ends

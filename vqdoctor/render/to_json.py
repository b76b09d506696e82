"""`vqdoctor.report/1` as JSON, exactly as the contract lists it; `report.schema.json` beside this file says it to programs.

ASCII only, so no byte of a file reaches a terminal or log raw; an undefined number is null, never NaN. Names stay as they are in
the file (JSON's own escaping is the sink's), so that scripts can look them up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from vqdoctor.model.report import (
    REPORTS_SCHEMA,
    SCHEMA,
    Finding,
    Group,
    LevelReport,
    QuantizerReport,
    Report,
    Source,
    Unmeasured,
)
from vqdoctor.model.sample import Sample
from vqdoctor.render.screen import Screen

_LINE = 120  # a value that fits is written on one line


def render(reports: Sequence[Report], screen: Screen) -> str:
    """One report as `vqdoctor.report/1`, any other number of them as `vqdoctor.reports/1`."""
    if len(reports) == 1:
        return pretty(report_object(reports[0])) + "\n"
    return pretty({"schema": REPORTS_SCHEMA, "reports": [report_object(report) for report in reports]}) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `render` writes."""
    from importlib.resources import files  # loads half a dozen modules, for those who ask for the schema

    loaded: dict[str, Any] = json.loads(files("vqdoctor.render").joinpath("report.schema.json").read_text("utf-8"))
    return loaded


def report_object(report: Report) -> dict[str, Any]:
    """A report as JSON's own types, keys in the contract's order."""
    return {
        "schema": SCHEMA,
        "version": report.version,
        "source": _source(report.source),
        "sample": _sample(report.sample) if report.sample else None,
        "quantizers": [_quantizer(quantizer) for quantizer in report.quantizers],
        "findings": [finding_object(finding) for finding in report.findings],
        "verdict": report.verdict,
        "unmeasured": [_unmeasured(each) for each in report.unmeasured],
    }


def plain(value: Any) -> Any:
    """`value` as JSON's own types: NaN and infinities are None, numpy scalars numbers, keys strings, anything unknown its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return _whole(int(value))
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, without importing it
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def _whole(number: int) -> int | float | str:
    """What readers of JSON can hold: an integer of 64 bits, else a float; a garbage value beyond both is only described."""
    if number.bit_length() <= 64:
        return number
    return float(number) if number.bit_length() < 1024 else f"an integer of {number.bit_length()} bits"


def pretty(value: Any, indent: int = 0) -> str:
    """JSON that people can read: a short or purely numeric value on one line, longer ones a line an entry."""
    if not isinstance(value, dict | list) or _is_numeric(value):
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    if isinstance(value, dict):
        start, end = "{}"
        entries = [f"{json.dumps(key)}: {pretty(each, indent + 2)}" for key, each in value.items()]
    else:
        start, end = "[]"
        entries = [pretty(each, indent + 2) for each in value]
    if sum(len(entry) + 2 for entry in entries) + indent <= _LINE and not any("\n" in entry for entry in entries):
        return start + ", ".join(entries) + end
    pad = "\n" + " " * (indent + 2)
    return start + ",".join(pad + entry for entry in entries) + "\n" + " " * indent + end


def _is_numeric(value: dict[str, Any] | list[Any]) -> bool:
    """Counts, points and lists of numbers: long, and nobody reads them entry by entry."""
    if isinstance(value, dict):
        return all(key.isdigit() for key in value)
    return all(not isinstance(each, str | dict) for each in value)


def _source(source: Source) -> dict[str, Any]:
    return {
        "path": source.path,
        "kind": source.kind,
        "bytes": source.bytes,
        "sha256": source.sha256,
        "info": plain(source.info),
        "warnings": list(source.warnings),
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "path": sample.path,
        "kind": sample.kind,
        "n": sample.n,
        "dropped": sample.dropped,
        "population": sample.population,
        "batch": sample.batch,
        "width": sample.width,
        "origin": sample.origin,
        "complete": sample.complete,
    }


def _quantizer(quantizer: QuantizerReport) -> dict[str, Any]:
    return {
        "name": quantizer.name,
        "layout": quantizer.layout,
        "evidence": quantizer.evidence,
        "structure": quantizer.structure,
        "metric": quantizer.metric,
        "metric_basis": quantizer.metric_basis,
        "levels": [_level(level) for level in quantizer.levels],
        "metrics": plain(quantizer.metrics),
        "groups": [_group(group) for group in quantizer.groups],
        "map": plain(quantizer.map),
        "prefixes": plain(quantizer.prefixes),
        "container": quantizer.container,
        "notes": list(quantizer.notes),
        "translations": plain(quantizer.translations),
    }


def _level(level: LevelReport) -> dict[str, Any]:
    return {
        "index": level.index,
        "key": level.key,
        "ema_count_key": level.ema_count_key,
        "ema_sum_key": level.ema_sum_key,
        "codes": level.codes or None,  # not known: an ID file does not hold K
        "dim": level.dim or None,
        "dtype": level.dtype,
        "metrics": plain(level.metrics),
        "counts": None if level.counts is None else {str(code): int(hits) for code, hits in level.counts.items()},
    }


def _group(group: Group) -> dict[str, Any]:
    return {"id": plain(group.id), "items": plain(group.items), "members": list(group.members)}


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding as JSON's own types."""
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity,
        "where": finding.where,
        "message": finding.message,
        "evidence": plain(finding.evidence),
        "confidence": finding.confidence,
        "remedy": {"text": finding.remedy.text, "command": finding.remedy.command},
        "next": finding.next,
    }


def _unmeasured(each: Unmeasured) -> dict[str, Any]:
    return {"metric": each.metric, "why": each.why, "how": each.how}

"""`--details`: one row a code, for a spreadsheet, a script or a data frame.

The columns are computed with the metrics and lie in each level's ``facts["details"]``: {column: values, one per code}. Here they
are only joined and written. A CSV cell of text that a spreadsheet would run as a formula gets a leading apostrophe (OWASP ASVS
1.2.10); numbers stay bare.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vqdoctor.errors import UsageError, printable
from vqdoctor.model.report import Report
from vqdoctor.render.to_json import plain

Columns = Mapping[str, Sequence[Any]]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def code_columns(reports: Sequence[Report]) -> dict[str, list[Any]]:
    """The details of all levels as columns of equal length: path, quantizer and level in front, None where a level lacks one."""
    levels = [
        ((report.source.path, quantizer.name, level.index), level.facts["details"])
        for report in reports
        for quantizer in report.quantizers
        for level in quantizer.levels
        if level.facts.get("details")
    ]
    named = ("path", "quantizer", "level")
    columns: dict[str, list[Any]] = {name: [] for name in named}
    columns |= {name: [] for _, details in levels for name in details}
    for place, details in levels:
        rows = max(len(values) for values in details.values())
        for name, value in zip(named, place, strict=True):
            columns[name] += [value] * rows
        for name in columns.keys() - set(named):
            columns[name] += plain(details[name]) if name in details else [None] * rows
    return columns


def details_encoder(path: str) -> Callable[[Columns], bytes]:
    """What turns columns into the bytes of a file that is called `path`.

    Raises:
        UsageError: it ends in none of .csv, .json, .parquet; or, when it is used, pyarrow is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ENCODERS:
        raise UsageError("--details writes .csv, .json or .parquet; name the file so.", where=path)
    return ENCODERS[suffix]


def cell(value: Any) -> Any:
    """A CSV cell: text that could drive a terminal or be read as a formula is disarmed, an undefined number is empty."""
    if isinstance(value, str):
        shown = printable(value, 4096)
        return f"'{shown}" if value.startswith(FORMULA) else shown
    return "" if value is None else value


def _csv(columns: Columns) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return out.getvalue().encode("utf-8", errors="backslashreplace")


def _json(columns: Columns) -> bytes:
    rows = (json.dumps(dict(zip(columns, row, strict=True)), allow_nan=False) for row in zip(*columns.values(), strict=True))
    return ("[" + ",\n".join(rows) + "]\n").encode("ascii")


def _parquet(columns: Columns) -> bytes:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError("Writing parquet needs pyarrow.", hint="Run: pip install 'vqdoctor[tables]', or write .csv.") from None
    out = io.BytesIO()
    parquet.write_table(arrow.table({name: arrow.array(_encodable(values)) for name, values in columns.items()}), out)
    return out.getvalue()


def _encodable(values: Sequence[Any]) -> list[Any]:
    """Values with lone surrogates, which UTF-8 has no bytes for, as escapes."""
    return [value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value for value in values]


ENCODERS = {".csv": _csv, ".json": _json, ".parquet": _parquet}

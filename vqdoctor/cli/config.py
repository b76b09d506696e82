"""Settings of a project: ``[tool.vqdoctor]`` in the nearest `pyproject.toml` upward from the working directory, or `vqdoctor.toml`.

In `vqdoctor.toml` the same tables may stand without the `tool.vqdoctor` in front. Data only: nothing is imported or run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vqdoctor import toml_text
from vqdoctor.errors import UsageError, printable
from vqdoctor.small_files import read_small

NAMES = ("vqdoctor.toml", "pyproject.toml")
TABLES = ("rules", "gate")
LARGEST = 1 << 20  # bytes; a settings file is small


def project_table(name: str, folder: Path) -> tuple[dict[str, Any], Path | None]:
    """The table ``[tool.vqdoctor.<name>]`` that holds in `folder` and the file it is from; empty and None where there is none.

    Raises:
        UsageError: the file cannot be read or is no TOML, or holds a table that nothing reads.
    """
    for path in _candidates(folder):
        settings = _settings(path)
        if settings is not None:
            table = settings.get(name, {})
            if not isinstance(table, dict):
                raise UsageError(f"[tool.vqdoctor.{name}] must be a table.", where=str(path))
            return table, path
    return {}, None


def project_rules(folder: Path) -> dict[str, dict[str, Any]]:
    """Thresholds and severities by rule id, from ``[tool.vqdoctor.rules]``.

    Raises:
        UsageError: naming file and key, where a rule, a threshold or a value is not known.
    """
    from vqdoctor.diagnosis import parse_overrides

    table, path = project_table("rules", folder)
    try:
        return parse_overrides(table)
    except UsageError as error:
        keys = (error.where or "").removeprefix("tool.vqdoctor.").split(".")
        at = str(path) if path is None else located(path, keys)
        where = f"{at}: {error.where}" if error.where else at
        raise UsageError(error.what, where=where, hint=error.hint) from error


def line_of(path: Path, keys: Sequence[str]) -> int | None:
    """The line, from 1, on which a key stands: the last of `keys` that can be found, from the table's name inward.

    TOML's reader keeps no lines, so this looks for the words: a header that ends in the key, or the key before "=" below the
    headers of the keys before it.

    Example: for ``["gate", "usage.utilization", "mim"]`` the line that holds ``"usage.utilization" = { mim = 0.9 }``.
    """
    found, start = None, 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for key in keys:
        quoted = rf"(?:\"{re.escape(key)}\"|'{re.escape(key)}'|{re.escape(key)})"
        named = re.compile(rf"\s*\[(?:.*\.)?\s*{quoted}\s*\]|(?:.*[{{,\s])?{quoted}\s*=|\s*(?:rules\.)?{quoted}\s*=")
        at = next((number for number in range(start, len(lines)) if named.match(lines[number])), None)
        if at is not None:
            found, start = at + 1, at
    return found


def located(path: Path, keys: Sequence[str]) -> str:
    """``pyproject.toml:12`` for a key, the path alone where it cannot be found."""
    line = line_of(path, keys)
    return str(path) if line is None else f"{path}:{line}"


def _candidates(folder: Path) -> Iterator[Path]:
    """Files that may hold our settings, nearest first."""
    for parent in (folder, *folder.parents):
        yield from (parent / name for name in NAMES if (parent / name).is_file())


def _settings(path: Path) -> Mapping[str, Any] | None:
    """Our part of the file, None where it has none."""
    document = _parsed(path)
    tool = document.get("tool", {})
    settings = tool.get("vqdoctor") if isinstance(tool, dict) else None
    if settings is None and path.name == NAMES[0] and "tool" not in document:
        settings = document
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise UsageError("[tool.vqdoctor] must be a table.", where=str(path))
    for key in settings:
        if key not in TABLES:
            close = difflib.get_close_matches(key, TABLES, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are {' and '.join(TABLES)}."
            raise UsageError(f"nothing reads [tool.vqdoctor.{printable(key)}].", where=located(path, [key]), hint=hint)
    return settings


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return toml_text.parse(read_small(path, LARGEST, "a settings file").decode("utf-8"))
    except ValueError as error:  # no UTF-8, no TOML, or a number of too many digits
        raise UsageError(f"not valid TOML: {printable(error)}.", where=str(path)) from error

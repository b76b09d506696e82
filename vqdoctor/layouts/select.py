"""Codebooks named by hand (``--select REGEX --axis kd``), and what to name where none was recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from vqdoctor.errors import UsageError, printable
from vqdoctor.layouts.family import FLOATS, Site
from vqdoctor.layouts.generic import CODEBOOK, TABLE, is_foreign, named_parts, quantizer_of, table_site
from vqdoctor.layouts.state import StateDict, state_dicts
from vqdoctor.layouts.twins import settle
from vqdoctor.model import Quantizer, TensorSource, TensorSpec

SPEAKS = re.compile(r"quant|vq|code_?(?:book|word|vector)|(?:^|_)codes?(?:_|$)|cluster|centroid", re.IGNORECASE)
Likely = tuple[str, tuple[int, ...], str, str]


def select_quantizer(source: TensorSource, regex: str, axis: str | None, metric: str | None = None) -> list[Quantizer]:
    r"""The quantisers whose books `regex` names.

    Args:
        regex: searched in each tensor's full name. With a group ``level`` ("codebooks\.(?P<level>\d+)") matches that differ only
            there are levels of one residual quantiser; otherwise each match is a quantiser of its own.
        axis: "kd" (codes are rows), "dk" (columns), None: by evidence, else rows.
        metric: "l2", "cosine" or "dot"; None: L2 assumed.

    Raises:
        UsageError: not a regular expression, or it names no table of floating-point numbers.
    """
    pattern = _compiled(regex)
    if axis not in {None, "kd", "dk"}:
        raise UsageError(f"no axis {printable(axis)}", hint="kd: each row is a code; dk: each column is.")
    states = list(state_dicts(source))
    groups: dict[str, list[Site]] = {}
    for state, bare, spec, found in _matches(states, pattern):
        level = found.groupdict().get("level") or ""
        group = f"{spec.name[: found.start('level')]}#{spec.name[found.end('level') :]}" if level else spec.name
        groups.setdefault(group, []).append(table_site(state, bare, spec, level))
    if not groups:
        raise UsageError(
            f"--select {printable(regex)} names no table of floating-point numbers", where=source.path, hint=_hint(source)
        )
    found_all = [_built(sites, regex, axis, metric) for sites in groups.values()]
    return settle(states, found_all)


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except re.error as error:
        raise UsageError(f"--select {printable(regex)} is not a regular expression: {printable(error)}") from error


def _matches(states: list[StateDict], pattern: re.Pattern[str]) -> Iterator[tuple[StateDict, str, TensorSpec, re.Match[str]]]:
    for state in states:
        for bare, key in state.bare.items():
            spec = state.specs[key]
            found = pattern.search(spec.name)
            if found and spec.dtype in FLOATS and 1 <= len(spec.shape) <= 3 and min(spec.shape) > 0 and spec.size > 1:
                yield state, bare, spec, found


def _built(sites: list[Site], regex: str, axis: str | None, metric: str | None) -> Quantizer:
    sites.sort(key=lambda site: (int(site.level), "") if site.level.isdigit() else (0, site.level))
    if len({site.name for site in sites}) > 1:  # levels of one quantiser: its name is what theirs have in common
        sites = [replace(site, name="") for site in sites]
    return quantizer_of(sites, "selected", f"named by --select {printable(regex)}", 1.0, axis=axis, metric=metric)


def _hint(source: TensorSource) -> str:
    best = likeliest(source, 1)
    return (
        f"The likeliest table is {printable(best[0][0])}: --select '{printable(best[0][3])}'."
        if best
        else "The file has no such tensor."
    )


def likeliest(source: TensorSource, most: int = 5) -> list[Likely]:
    """The tensors that are likeliest to be codebooks where no layout knew any: (name, shape, why, regex for --select), best first.

    Tables only: two axes (or one in front that counts levels), floating point, more than one row. What is named like a table of
    something else comes last and says so.
    """
    scored = [(score, i, spec, why) for i, spec in enumerate(_tables(source)) for score, why in (_likelihood(spec),)]
    scored.sort(key=lambda one: (-one[0], one[1]))
    return [(spec.name, spec.shape, why, f"^{re.escape(spec.name)}$") for _, _, spec, why in scored[:most]]


def _tables(source: TensorSource) -> Iterator[TensorSpec]:
    for state in state_dicts(source):
        for spec in state.specs.values():
            shape = spec.shape
            if spec.dtype in FLOATS and 2 <= len(shape) <= 3 and min(shape) > 0 and shape[-2] > 1:
                yield spec


def _likelihood(spec: TensorSpec) -> tuple[float, str]:
    """How likely a tensor is a codebook, by name first and shape second, and the reason in words."""
    parts = named_parts(spec.key)
    rows, columns = spec.shape[-2:]
    score, why = 0.0, [" × ".join(map(str, spec.shape))]
    if CODEBOOK.fullmatch(parts[-1] if parts else "") or any(SPEAKS.search(part) for part in parts):
        score += 4
        why.append("its name speaks of quantising")
    if TABLE.fullmatch(parts[-1] if parts else ""):
        score += 2
        why.append("its name says table")
    if rows & (rows - 1) == 0 and rows >= 16 and rows >= columns:
        score += 1
        why.append("a power of two of rows")
    if is_foreign(spec.key):
        score -= 8
        why.append("but named like something else")
    return score - (len(spec.shape) - 2), ", ".join(why)

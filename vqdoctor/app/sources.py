"""Paths to opened inputs: what a user named, what it is, and which rows belong to which quantiser."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vqdoctor.app.request import InspectRequest
from vqdoctor.checkpoint import list_checkpoints, open_source, sniff
from vqdoctor.errors import MissingInput, SampleError, UnsupportedInput, UsageError, printable
from vqdoctor.layouts import lookup
from vqdoctor.model import Lookup, Quantizer, Source, TensorSource
from vqdoctor.samples import Rows, find_sidecar, open_rows, sniff_ids

HASHED_UNASKED = 64 << 20  # bytes; a larger file is hashed only where its features name a hash


@dataclass(frozen=True, slots=True)
class Given:
    """Feature rows for a quantiser. origin: how they came to be used; population: what their JSON says, None if nothing."""

    rows: Rows
    origin: str
    population: bool | None = None


def expand(paths: Sequence[str]) -> list[str]:
    """The files that `paths` name: folders become their checkpoints, newest last.

    Raises:
        MissingInput: a path does not exist. UnsupportedInput: a folder without checkpoints.
    """
    files: list[str] = []
    for path in paths:
        if not os.path.lexists(path):
            raise MissingInput("there is no such file or folder.", where=path, hint="Check the path.")
        if not os.path.isdir(path):
            files.append(path)
            continue
        found = list_checkpoints(path)
        if not found:
            raise UnsupportedInput(
                "this folder holds no checkpoint.", where=path, hint="Name the file itself, or a folder of checkpoints."
            )
        files += found
    return files


def is_ids(path: str, request: InspectRequest) -> bool:
    """True where a file is to be read as semantic IDs: it looks like them, or is named with options that only they have."""
    looks = sniff_ids(path)
    if looks == "npy":
        return True
    asked = request.sizes is not None or request.checkpoint is not None or request.suffix is not None
    return sniff(path) is None and (looks is not None or asked)


def digest(path: str) -> str:
    """sha256 of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(source: TensorSource, warnings: Sequence[str] = ()) -> Source:
    """The report's header of an opened checkpoint; the hash where it costs nothing to speak of."""
    single = not source.kind.endswith("-sharded") and os.path.isfile(source.path)
    known = digest(source.path) if single and source.bytes <= HASHED_UNASKED else None
    info = {name: value for name, value in source.info.items() if isinstance(value, str | int | float | bool)}
    return Source(source.path, source.kind, source.bytes, known, info, (*source.warnings, *warnings))


def features_for(path: str, quantizers: Sequence[Quantizer], request: InspectRequest, warnings: list[str]) -> dict[str, Given]:
    """Rows for each quantiser, by its name: those given, else those beside the checkpoint.

    Args:
        warnings: told why a file beside the checkpoint is not used.

    Raises:
        SampleError: given rows fit no quantiser, or more than one.
    """
    given: dict[str, Given] = {}
    for name, file in request.features:
        rows = open_rows(file, open_source=open_source)
        for quantizer in takers(rows, _named(quantizers, name), file):
            given[quantizer.name] = Given(rows, "given")
    return given or _beside(path, quantizers, warnings)


def takers(rows: Rows, quantizers: Sequence[Quantizer], file: str) -> list[Quantizer]:
    """The quantiser that takes rows of this width; several only where they are groups of one, each seeing its own columns.

    Raises:
        SampleError: none, several, or one whose codes are not its nearest codes.
    """
    fit = [quantizer for quantizer in quantizers if rows.width in widths(quantizer)]
    if not fit:
        takes = ", ".join(f"{printable(one.name)} takes {' or '.join(map(str, widths(one))) or 'no rows'}" for one in quantizers)
        raise SampleError(
            f"its rows have {rows.width} columns; {takes}.", where=file, hint="Give encoder outputs before quantisation."
        )
    searchable = [quantizer for quantizer in fit if quantizer.searchable is None]
    if not searchable:
        raise SampleError(
            f"{printable(fit[0].name)}: {fit[0].searchable}.", where=file, hint="Give the model's own codes with --codes."
        )
    if len(searchable) > 1 and any(quantizer.columns is None for quantizer in searchable):
        names = ", ".join(printable(quantizer.name) for quantizer in searchable)
        raise SampleError(
            f"its rows fit {len(searchable)} quantisers ({names}).", where=file, hint="Say which: --features NAME=FILE."
        )
    return searchable


def widths(quantizer: Quantizer) -> list[int]:
    """Row widths that a quantiser takes: that of the encoder's output, and, behind one shared projection, that of the lookup."""
    inner = [quantizer.levels[0].dim] if quantizer.project_in is not None and quantizer.levels else []
    return list(dict.fromkeys([*([quantizer.width] if quantizer.width else []), *inner]))


def lookup_for(source: TensorSource, quantizer: Quantizer, width: int, metric: str | None) -> Lookup:
    """The quantiser as arrays for rows of this width: rows of the lookup's own width have been projected already."""
    ready = lookup(source, quantizer, metric=metric)
    return ready if width == ready.width else replace(ready, project_in=None, width=width)


def _named(quantizers: Sequence[Quantizer], name: str | None) -> Sequence[Quantizer]:
    if name is None:
        return quantizers
    found = [quantizer for quantizer in quantizers if quantizer.name == name]
    if not found:
        names = ", ".join(printable(quantizer.name) for quantizer in quantizers)
        raise UsageError(f"there is no quantiser {printable(name)}; this file has {names}.")
    return found


def only(quantizers: Sequence[Quantizer], name: str | None) -> list[Quantizer]:
    """The quantisers that the user asked for with --quantizer."""
    return list(_named(quantizers, name))


def _beside(path: str, quantizers: Sequence[Quantizer], warnings: list[str]) -> dict[str, Given]:
    beside = find_sidecar(path, lambda: digest(path))
    if beside is None:
        return {}
    if beside.objections:
        warnings.append(f"{printable(beside.path)} is not used: {'; '.join(beside.objections)}.")
        return {}
    try:
        rows = open_rows(beside.path)
        population = beside.facts.get("population")
        given = Given(rows, "found beside the checkpoint", population if isinstance(population, bool) else None)
        return {quantizer.name: given for quantizer in takers(rows, quantizers, beside.path)}
    except (SampleError, UnsupportedInput) as error:
        warnings.append(f"{error} It is not used.")
        return {}

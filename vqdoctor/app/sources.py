"""Paths to opened inputs: what a user named, what it is, and which rows belong to which quantiser."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vqdoctor.app.request import InspectRequest
from vqdoctor.checkpoint import CheckpointSource, list_broken, list_checkpoints, open_source, sniff
from vqdoctor.errors import InputError, MissingInput, SampleError, UnsupportedInput, UsageError, printable
from vqdoctor.layouts import lookup
from vqdoctor.model import Lookup, Quantizer, Source, TensorSource
from vqdoctor.remote import is_url
from vqdoctor.samples import CodeTable, Rows, Sidecar, find_sidecar, open_rows, read_codes, sniff_ids

MOST_INNER = 32  # folders below a named one that are looked into, to say where its checkpoints are
TRAINERS = "vqdoctor-trainer"
"""Layout of the checkpoints whose encoder we can run."""
HASHED_UNASKED = 64 << 20  # bytes; a larger file is hashed only where its features name a hash


@dataclass(frozen=True, slots=True)
class Given:
    """Feature rows for a quantiser.

    Attributes:
        origin: how they came to be used. population: what their JSON says, None if nothing.
        codes: the model's own codes of the same rows, None where there are none. kind: as Sample.kind.
        proven: their note holds the hash of this very checkpoint.
    """

    rows: Rows
    origin: str
    population: bool | None = None
    codes: CodeTable | None = None
    kind: str = "features"
    proven: bool = False


def expand(paths: Sequence[str]) -> list[tuple[str, bool]]:
    """The files that `paths` name: folders become their checkpoints, newest last, and what is named like one and is broken.

    Returns:
        (path, whether the user named this very file) pairs.

    Raises:
        MissingInput: a path does not exist. UnsupportedInput: a folder without checkpoints.
    """
    files: list[tuple[str, bool]] = []
    for path in paths:
        if is_url(path):
            files.append((path, True))
            continue
        _must_be_there(path)
        if not os.path.isdir(path):
            files.append((path, True))
            continue
        found = [*list_checkpoints(path), *list_broken(path)]
        if not found:
            raise UnsupportedInput("this folder holds no checkpoint.", where=path, hint=_below(path))
        files += ((each, False) for each in found)
    return files


def _must_be_there(path: str) -> None:
    """Raises MissingInput where it is not, or where a folder on the way to it is closed to us."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        hint = "Standard input is not read: save it to a file." if path == "-" else "Check the path."
        raise MissingInput("there is no such file or folder.", where=path, hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        hint = "Check the permissions of the folders that it is in." if isinstance(error, PermissionError) else "Check the path."
        raise MissingInput(f"cannot be reached ({reason}).", where=path, hint=hint) from None


def _below(folder: str) -> str:
    """What to name instead of `folder`: a folder in it that holds checkpoints (a diffusers pipeline has one a model)."""
    with os.scandir(folder) as entries:
        inside = [(entry.path, os.path.isdir(entry.path)) for entry in entries]
    if any(path.endswith(".distcp") for path, _ in inside):
        make = f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {shlex.quote(printable(folder))} model.pt"
        return f"A distributed checkpoint first becomes a file: {make}"
    inner = sorted(path for path, is_folder in inside if is_folder)
    found = next((path for path in inner[:MOST_INNER] if os.access(path, os.R_OK | os.X_OK) and list_checkpoints(path)), None)
    return f"A folder in it does: {printable(found)}." if found else "Name the file itself, or a folder of checkpoints."


def open_checkpoint(path: str) -> CheckpointSource:
    """`open_source`, where semantic IDs are told for what they are: to the reader of checkpoints they are just some text.

    Raises:
        InputError: it is no checkpoint that can be read.
    """
    try:
        return open_source(path)
    except UnsupportedInput as error:
        if sniff_ids(path) is None:
            raise
        what = "semantic IDs, not a checkpoint: the codebooks are in the file that gave them."
        look = f"Look at the IDs: vqdoctor inspect {shlex.quote(printable(path))}"
        raise UnsupportedInput(what, where=path, hint=look) from error


def is_ids(path: str, request: InspectRequest) -> bool:
    """True where a file is to be read as semantic IDs: it looks like them, or is named with options that only they have."""
    looks = sniff_ids(path)
    if looks == "npy":
        return True
    asked = request.sizes is not None or request.checkpoint is not None or request.suffix is not None
    return (looks is not None or asked) and sniff(path) is None


def digest(path: str) -> str:
    """sha256 of a file, hex."""
    import hashlib  # loads OpenSSL, for files that are hashed only

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unchanged(path: str) -> str:
    """What differs once a file is another: its place, size and time. Reading it whole would take as long as counting it."""
    if is_url(path):
        raise UsageError("--spill goes on with a file only where it can tell that it is the same; this is a URL.", where=path)
    status = os.stat(path)
    return f"{os.path.abspath(path)} {status.st_size} {status.st_mtime_ns}"


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
        SampleError: given rows fit no quantiser, or more than one. UsageError: two files are given for one.
    """
    given: dict[str, Given] = {}
    for name, file in request.features:
        rows = open_rows(file, open_source=open_source) if isinstance(file, str) else file
        for quantizer in takers(rows, _named(quantizers, name), rows.path):
            if quantizer.name in given:
                raise UsageError(
                    f"{printable(quantizer.name)} has rows already, from {printable(given[quantizer.name].rows.path)}.",
                    where=rows.path, hint="Put the files into one folder and name that: its files are read as one.",
                )  # fmt: skip
            given[quantizer.name] = Given(rows, "given", proven=isinstance(file, str) and _is_of(path, file))
    return given or _beside(path, quantizers, warnings)


def _is_of(path: str, file: str) -> bool:
    """Whether rows that were named are those beside the checkpoint, whose note holds its hash."""
    beside = find_sidecar(path)
    if beside is None or not os.path.exists(file) or not os.path.samefile(beside.path, file):
        return False
    proven = find_sidecar(path, lambda: digest(path))
    return proven is not None and proven.proven


def takers(rows: Rows, quantizers: Sequence[Quantizer], file: str) -> list[Quantizer]:
    """The quantiser that takes rows of this width; several only where they are groups of one, each seeing its own columns.

    Raises:
        SampleError: none, several, or one whose codes are not its nearest codes.
    """
    fit = [quantizer for quantizer in quantizers if rows.width in widths(quantizer)]
    if not fit:
        takes = ", ".join(f"{printable(one.name)} takes {' or '.join(map(str, widths(one))) or 'no rows'}" for one in quantizers)
        turned = rows.n in {width for one in quantizers for width in widths(one)}
        hint = "Rows and columns look swapped: save the transpose." if turned else "Give encoder outputs before quantisation."
        raise SampleError(f"its rows have {rows.width} columns; {takes}.", where=file, hint=hint)
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
        named = isinstance(population, bool)
        given = Given(rows, "found beside the checkpoint", population if named else None, proven=beside.proven)
        found = takers(rows, quantizers, beside.path)
        return {quantizer.name: replace(given, codes=_codes_beside(beside, rows, quantizer, warnings)) for quantizer in found}
    except (SampleError, InputError) as error:
        warnings.append(f"{error} It is not used.")
        return {}


def _codes_beside(beside: Sidecar, rows: Rows, quantizer: Quantizer, warnings: list[str]) -> CodeTable | None:
    """The model's own codes of the rows beside the checkpoint; None where there are none that fit."""
    if beside.codes is None:
        return None
    try:
        table = read_codes(beside.codes)
    except (InputError, SampleError) as error:
        warnings.append(f"{error} They are not used.")
        return None
    if (table.n, table.levels) != (rows.n, len(quantizer.levels)):
        found = f"holds {table.n} rows of {table.levels} codes beside {rows.n} rows for {len(quantizer.levels)} levels"
        warnings.append(f"{printable(beside.codes)} {found}: it is not used.")
        return None
    return table


def latents_of(path: str, quantizers: Sequence[Quantizer], data: str) -> Rows:
    """Raw inputs through the encoder of a checkpoint that the bundled trainer wrote.

    Raises:
        UsageError: whose encoder it is is not known. SampleError: the inputs are not what it takes.
    """
    if not any(one.layout == TRAINERS for one in quantizers):
        what = "--data needs a checkpoint of the bundled trainer, whose encoder is known."
        raise UsageError(what, where=path, hint="Give the encoder's outputs: --features.")
    from vqdoctor.trainer.encoding import latents  # torch, 2 s

    return latents(path, data)

"""`vqdoctor inspect` as a use case: open, find, measure, judge. One report a source; views and exit codes are others' work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import vqdoctor
from vqdoctor.app.finding import as_told, each_file, find
from vqdoctor.app.fit import add_kmeans_ratio
from vqdoctor.app.ids import inspect_ids
from vqdoctor.app.judge import judge
from vqdoctor.app.request import InspectRequest, Progress, Silent
from vqdoctor.app.sources import Given, describe, features_for, is_ids, latents_of, lookup_for, only, takers, unchanged
from vqdoctor.app.static import QUANTIZER_METRICS, StaticLevel, level_report, measure_static
from vqdoctor.app.unmeasured import of_checkpoint
from vqdoctor.app.unused import refuse_contradictions, unused_for_checkpoint
from vqdoctor.app.use import QuantizerUse, add_distortion, code_map, measure_levels_use, translations_of, whole
from vqdoctor.app.views import browser, level_maps
from vqdoctor.checkpoint import open_source
from vqdoctor.diagnosis.words import plural
from vqdoctor.engines import Tally, engine_named, tally_codes
from vqdoctor.errors import SampleError, VqdoctorError, printable
from vqdoctor.metrics import measure_agreement
from vqdoctor.model import Lookup, Quantizer, QuantizerReport, Report, Sample, TensorSource
from vqdoctor.remote import is_url, shown
from vqdoctor.samples import CodeTable, read_assigned, read_codes, sniff_ids

SEED = 0
"""Of the rows that are kept for pictures, medians and fits: the same file gives the same report."""
NO_CODE = "no row finds a code: every code of a level holds NaN or Inf, or has no direction"
"""Why a book is not judged by its rows that is too broken for any."""
BLOCK = 1 << 18  # rows of codes at a time


def inspect(
    paths: Sequence[str],
    request: InspectRequest | None = None,
    progress: Progress | None = None,
    left_out: Callable[[VqdoctorError], None] = lambda error: None,
    inspected: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Inspects checkpoints and semantic-ID files.

    Args:
        paths: files or folders; a folder stands for the checkpoints in it, newest last.
        request: the options; progress: told of long passes.
        left_out: told of each file of a folder that cannot be read or holds no quantiser (an optimiser's state, a file that is
            being written), and of each plugin that failed: the others are inspected all the same.
        inspected: told of each report as soon as it is there.

    Returns:
        one report a file, in order.

    Raises:
        VqdoctorError: a file that was named, or every file of the folders, cannot be read, or what was given does not fit;
            NoQuantizerError: it holds no quantiser that is known.
    """
    request, progress = request or InspectRequest(), progress or Silent()
    refuse_contradictions(request)
    engine_named(request.engine)  # a name that nobody has is told before the work, not after

    def look(path: str) -> Report:
        report = _inspect_one(path, request, progress)
        inspected(report)
        return report

    return each_file(paths, look, left_out)


def _inspect_one(path: str, request: InspectRequest, progress: Progress) -> Report:
    if is_ids(path, request):
        return inspect_ids(path, request, progress, vqdoctor.__version__)
    with open_source(path) as source:
        return _inspect_checkpoint(source, shown(path) if is_url(path) else path, request, progress)


def _inspect_checkpoint(source: TensorSource, path: str, request: InspectRequest, progress: Progress) -> Report:
    warnings: list[str] = []
    quantizers = [as_told(one, request) for one in only(find(source, request), request.quantizer)]
    passes = _tallies(source, path, quantizers, request, progress, warnings)
    tallies = {name: tallied for name, tallied in passes.items() if tallied.tally.n}
    statics = {one.name: measure_static(source, one) for one in quantizers}
    reports = [_report(source, one, statics[one.name], tallies.get(one.name), request) for one in quantizers]
    samples = {name: tallied.sample for name, tallied in tallies.items()}

    def measured_by(name: str, metric: str) -> QuantizerReport | None:
        tallied = tallies.get(name)
        if tallied is None or tallied.given is None:
            return None
        quantizer = replace(next(one for one in quantizers if one.name == name), metric=metric)
        again = _tally_features(source, quantizer, tallied.given, request, progress)
        return _report(source, quantizer, measure_static(source, quantizer), again if again.tally.n else None, request)

    judged = judge(quantizers, reports, path=path, samples=samples, rules=request.rules, measured_by=measured_by)
    told = [replace(one, searchable=NO_CODE) if one.name in passes.keys() - tallies.keys() else one for one in quantizers]
    missing = of_checkpoint(path, told, reports, samples, request)
    warnings += unused_for_checkpoint(request, quantizers, searched=any(one.given for one in passes.values()), used=bool(passes))
    sample = next((tallied.sample for tallied in (*tallies.values(), *passes.values())), None)
    return Report(
        describe(source, warnings), tuple(reports), judged.findings, judged.verdict, sample,
        (*judged.unmeasured, *missing), vqdoctor.__version__,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tallied:
    """One pass over a sample for one quantiser; of a book without a usable code it counts nothing.

    lookup: None where codes were given; given: the features, to pass over again.
    """

    tally: Tally
    sample: Sample
    lookup: Lookup | None = None
    given: Given | None = None


def _tallies(
    source: TensorSource,
    path: str,
    quantizers: Sequence[Quantizer],
    request: InspectRequest,
    progress: Progress,
    warnings: list[str],
) -> dict[str, Tallied]:
    stored = [one for one in quantizers if one.levels]
    if request.data is not None:
        rows = latents_of(path, stored, request.data)
        encoded = Given(rows, "put through the checkpoint's encoder", True, kind="data")
        fed = takers(rows, stored, request.data)
        return {one.name: _tally_features(source, one, encoded, request, progress) for one in fed}
    if request.codes is not None and not request.features:
        quantizer, table = _codes_for(stored, request.codes)
        return {quantizer.name: _tally_given_codes(quantizer, table, request, progress)}
    given = features_for(path, stored, request, warnings) if stored else {}
    by_name = {one.name: one for one in stored}
    return {name: _tally_features(source, by_name[name], rows, request, progress) for name, rows in given.items()}


def _assigned(file: str | CodeTable) -> CodeTable:
    """Assigned codes, as an array or as the IDs that `encode` writes."""
    if not isinstance(file, str):
        return file
    return read_assigned(file) if sniff_ids(file) in ("json", "csv", "parquet") else read_codes(file, open_source=open_source)


def _codes_for(quantizers: Sequence[Quantizer], file: str | CodeTable) -> tuple[Quantizer, CodeTable]:
    table = _assigned(file)
    fit = [one for one in quantizers if len(one.levels) == table.levels]
    if len(fit) != 1:
        levels = ", ".join(f"{printable(one.name)} has {len(one.levels)}" for one in quantizers) or "there is none with a codebook"
        fits = "fits more than one quantiser" if fit else "fits no quantiser"
        what = f"a code for each of {plural(table.levels, 'level')} {fits}; {levels}."
        raise SampleError(what, where=table.path, hint="Name one with --quantizer." if fit else "Give one column a level.")
    return fit[0], table


def _tally_given_codes(quantizer: Quantizer, table: CodeTable, request: InspectRequest, progress: Progress) -> Tallied:
    progress.start("counting codes", table.n)
    sizes = [level.codes for level in quantizer.levels]
    tally = tally_codes(
        table.blocks(BLOCK), sizes, batch=request.batch, path=table.path, progress=progress.advance,
        merging=lambda n: progress.start("merging IDs", n),
        spill=request.spill, source="" if request.spill is None else unchanged(table.path),
    )  # fmt: skip
    progress.stop()
    return Tallied(tally, Sample(table.path, "codes", tally.n, tally.dropped, bool(request.population), request.batch))


def _tally_features(
    source: TensorSource, quantizer: Quantizer, given: Given, request: InspectRequest, progress: Progress
) -> Tallied:
    rows = given.rows
    lookup = lookup_for(source, quantizer, rows.width, None)
    progress.start(f"finding nearest codes of {printable(quantizer.name, 40)}", rows.n)
    tally = engine_named(request.engine)(
        rows,
        lookup,
        rng=np.random.default_rng(SEED),
        batch=request.batch,
        temperature=request.temperature,
        progress=progress.advance,
    )
    progress.stop()
    if not tally.n and next(iter(rows.blocks(BLOCK)), None) is None:
        raise SampleError(
            "none of its rows could be used: all hold NaN or Inf.", where=rows.path, hint="Capture the features again."
        )
    population = given.population if request.population is None else request.population
    sample = Sample(rows.path, given.kind, tally.n, tally.dropped, bool(population), request.batch, rows.width, given.origin)
    return Tallied(tally, sample, lookup, given)


def _report(
    source: TensorSource, quantizer: Quantizer, static: list[StaticLevel], tallied: Tallied | None, request: InspectRequest
) -> QuantizerReport:
    use = QuantizerUse(()) if tallied is None else _use(quantizer, static, tallied, request)
    maps = _maps(static, tallied) if request.views else [{}] * len(static)
    levels = []
    for index, level in enumerate(static):
        used = use.levels[index] if use.levels else None
        per_code = level.per_code | (used.per_code if used else {})
        facts = (used.facts if used else {}) | maps[index] | ({"details": _details(level, per_code)} if request.details else {})
        levels.append(level_report(level, used.metrics if used else {}, facts, used.counts if used else None))
    return QuantizerReport(
        name=quantizer.name, layout=quantizer.layout, evidence=quantizer.evidence, structure=quantizer.structure,
        metric=quantizer.metric, metric_basis=quantizer.metric_basis, levels=tuple(levels),
        metrics={name: use.metrics.get(name) for name in QUANTIZER_METRICS}, groups=use.groups, map=use.map, prefixes=use.prefixes,
        notes=_notes(quantizer, source.kind), container=quantizer.container,
        translations=use.translations if request.translate else (),
        facts={"ids": browser(tallied.tally, None)} if request.views and tallied is not None else {},
    )  # fmt: skip


def _maps(static: list[StaticLevel], tallied: Tallied | None) -> list[dict[str, Any]]:
    """For each level the fact "map"."""
    tally, lookup = (None, None) if tallied is None else (tallied.tally, tallied.lookup)
    return [{"map": drawn} for drawn in level_maps(static, tally, lookup)]


def _use(quantizer: Quantizer, static: list[StaticLevel], tallied: Tallied, request: InspectRequest) -> QuantizerUse:
    tally, lookup = tallied.tally, tallied.lookup
    uses = measure_levels_use(tally, static, population=tallied.sample.population)
    if lookup is not None:
        add_distortion(tally, lookup, static, uses)
        if request.fit:
            add_kmeans_ratio(tally, lookup, uses, seed=SEED)
        beside = tallied.given.codes if tallied.given is not None else None
        own = beside if request.codes is None else _assigned(request.codes)
        if own is not None:
            _add_agreement(tally, uses, own)
    use = whole(tally, uses, structure=quantizer.structure)
    drawn = code_map(static[0], tally, lookup) if lookup is not None else None
    return replace(use, map=drawn, translations=use.translations or translations_of(tally, uses))


def _add_agreement(tally: Tally, uses: Sequence[Any], table: CodeTable) -> None:
    """match.agreement on the kept rows: the model's own codes beside the nearest ones."""
    if tally.kept is None:
        return
    if table.levels != len(uses) or table.n <= int(tally.kept.numbers.max(initial=-1)):
        raise SampleError(
            f"has {table.n} rows of {table.levels} codes, the features are other rows.",
            where=table.path,
            hint="Give the codes of the same rows, in the same order.",
        )
    own = _rows_of(table, tally.kept.numbers)
    for index, use in enumerate(uses):
        agreement = measure_agreement(own[:, index], tally.kept.codes[:, index])
        use.metrics.update(agreement.metrics)
        use.facts.update({f"match.{name}": value for name, value in agreement.facts.items()})


def _rows_of(table: CodeTable, numbers: np.ndarray) -> np.ndarray:
    """Codes (m, L) of the rows that have these numbers, ascending (m,)."""
    edges = np.searchsorted(numbers, np.arange(0, table.n + BLOCK, BLOCK))
    starts = range(0, table.n, BLOCK)
    parts = [
        table.read(start, start + BLOCK)[numbers[first:last] - start]
        for start, first, last in zip(starts, edges[:-1], edges[1:], strict=False)
        if first < last
    ]
    return np.concatenate(parts)


def _details(level: StaticLevel, per_code: dict[str, Any]) -> dict[str, Any]:
    """The columns of --details, in the contract's order, those that exist."""
    count = per_code.get("count")
    columns = {"key": [level.level.key] * level.level.codes, "code": np.arange(level.level.codes)}
    if count is not None:
        columns |= {"count": count, "share": count / max(1, count.sum())}
    return columns | {
        name: per_code[name] for name in ("ema_count", "norm", "nearest", "nearest_distance", "verdict") if name in per_code
    }


def _notes(quantizer: Quantizer, kind: str) -> tuple[str, ...]:
    if quantizer.confidence >= 0.9:
        return quantizer.notes
    doubtful = f"recognised by its shape and name only (confidence {100 * quantizer.confidence:.0f} %): check it with --select"
    lone = ("a lone array may be features as well as a codebook: features go to --features, after their checkpoint",)
    return (*quantizer.notes, doubtful, *(lone if kind == "npy" else ()))

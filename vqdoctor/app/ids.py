"""Inspecting a file of semantic IDs: use of each level and collisions, without a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from vqdoctor.app.judge import judge
from vqdoctor.app.request import InspectRequest, Progress
from vqdoctor.app.sources import HASHED_UNASKED, digest, only, unchanged
from vqdoctor.app.static import LEVEL_METRICS, QUANTIZER_METRICS
from vqdoctor.app.unmeasured import of_ids
from vqdoctor.app.unused import unused_for_ids
from vqdoctor.app.use import LevelUse, QuantizerUse, measure_levels_use, translations_of, whole
from vqdoctor.app.views import browser
from vqdoctor.checkpoint import open_source
from vqdoctor.diagnosis.words import plural
from vqdoctor.engines import Tally, distinct_ids, tally_codes
from vqdoctor.errors import SampleError, UsageError, printable
from vqdoctor.layouts import find_quantizers
from vqdoctor.metrics import measure_collisions
from vqdoctor.model import LevelReport, QuantizerReport, Report, Sample, Source
from vqdoctor.samples import SemanticIds, read_ids

BLOCK = 1 << 16  # rows at a time
OF_ANY_SIZE = (
    "usage.n",
    "usage.used",
    "usage.entropy_bits",
    "usage.entropy_bits_corrected",
    "usage.perplexity",
    "usage.hill2",
    "usage.max_share",
    "usage.coverage",
)
"""What can be said of a level whose K is not known."""


def inspect_ids(path: str, request: InspectRequest, progress: Progress, version: str) -> Report:
    """The report of a semantic-ID file.

    Raises:
        InputError, SampleError: it cannot be read, or holds codes beyond the sizes given.
    """
    sizes = _sizes(request)
    progress.start("reading IDs", None)
    ids = read_ids(path, suffix=request.suffix, sizes=sizes, distinct=distinct_ids, seen=progress.advance)
    if sizes is not None and len(sizes) != ids.levels:
        raise SampleError(
            f"its IDs have {plural(ids.levels, 'level')}, but {plural(len(sizes), 'size')} "
            f"{'was' if len(sizes) == 1 else 'were'} given.",
            where=path,
            hint="One size a level, de-dup token left out.",
        )
    population = True if request.population is None else request.population
    progress.start("counting IDs", ids.n)
    tally = _tally(ids, sizes, request, progress)
    progress.stop()
    sample = Sample(path, "ids", tally.n, tally.dropped, population, request.batch)
    report = _quantizer_report(ids, tally, sizes, population, request)
    judged = judge([None], [report], path=path, samples={report.name: sample}, rules=request.rules)
    size = os.path.getsize(path)
    source = Source(path, "semantic-ids", size, digest(path) if size <= HASHED_UNASKED else None, warnings=unused_for_ids(request))
    missing = of_ids(path, sizes is not None, report)
    return Report(source, (report,), judged.findings, judged.verdict, sample, (*judged.unmeasured, *missing), version)


def _sizes(request: InspectRequest) -> tuple[int, ...] | None:
    """K of each level: as told, or of the checkpoint named."""
    if request.sizes is not None or request.checkpoint is None:
        return request.sizes
    with open_source(request.checkpoint) as source:
        found = [one for one in only(find_quantizers(source), request.quantizer) if one.levels]
        if len(found) != 1:
            names = ", ".join(printable(one.name) for one in found) or "none"
            raise UsageError(
                f"--checkpoint must hold one quantiser to take the sizes from; it holds {names}.",
                where=request.checkpoint, hint="Name one with --quantizer, or give --sizes.",
            )  # fmt: skip
        return tuple(level.codes for level in found[0].levels)


def _tally(ids: SemanticIds, sizes: Sequence[int] | None, request: InspectRequest, progress: Progress) -> Tally:
    counted = sizes or tuple(top + 1 for top in ids.highest)  # enough to count by; not K, and never reported
    return tally_codes(
        ids.blocks(BLOCK), counted, batch=request.batch, top_suffix=ids.top_suffix, path=ids.path, progress=progress.advance,
        merging=lambda n: progress.start("merging IDs", n), spill=request.spill, source=unchanged(ids.path),
    )  # fmt: skip


def _quantizer_report(
    ids: SemanticIds, tally: Tally, sizes: Sequence[int] | None, population: bool, request: InspectRequest
) -> QuantizerReport:
    uses = measure_levels_use(tally, None, population=population)
    used = whole(tally, uses, ids.name)
    metrics = {name: used.metrics.get(name) for name in QUANTIZER_METRICS}
    if tally.ids is None:  # an ID of one code: items that share it collide all the same
        counts = tally.levels[0].counts
        metrics |= measure_collisions(counts[counts > 0], sizes=sizes).metrics
        if tally.unique_with_suffix is not None:
            metrics["collision.after_suffix"] = tally.n - tally.unique_with_suffix
    if sizes is None:
        metrics |= {"collision.capacity": None, "collision.expected_excess": None, "levels.hourglass": None}
    levels = tuple(
        _level(ids, index, None if sizes is None else sizes[index], use, details=request.details) for index, use in enumerate(uses)
    )
    return QuantizerReport(
        name="ids", layout="semantic-ids", evidence=ids.dialect, structure="residual" if len(levels) > 1 else "single",
        metric="unknown", metric_basis="assumed", levels=levels, metrics=metrics, groups=used.groups, prefixes=used.prefixes,
        notes=(*_offsets(ids), f"codes count from {ids.base}: {ids.base_basis}", ids.suffix_basis),
        translations=_translations(tally, used, request),
        facts={"ids": browser(tally, ids.name)} if request.views else {},
    )  # fmt: skip


def _offsets(ids: SemanticIds) -> tuple[str, ...]:
    """What was taken away from the codes of each level."""
    added = ", ".join(map(str, ids.offsets))
    return (f"levels share one vocabulary: {added} taken away from their codes, since {ids.offsets_basis}",) if added else ()


def _translations(tally: Tally, used: QuantizerUse, request: InspectRequest) -> tuple[dict[str, object], ...]:
    if not request.translate:
        return ()
    return used.translations or translations_of(tally, used.levels)


def _level(ids: SemanticIds, index: int, size: int | None, use: LevelUse, *, details: bool) -> LevelReport:
    letter = ids.letters[index] if index < len(ids.letters) else str(index)
    known = use.metrics if size is not None else {name: use.metrics[name] for name in OF_ANY_SIZE}
    return LevelReport(
        index=index, key=letter, codes=size or 0, dim=0, dtype="int32",
        metrics={name: known.get(name) for name in LEVEL_METRICS},
        counts={int(code): int(use.counts[code]) for code in np.flatnonzero(use.counts)},
        facts={"details": _details(letter, use, of_known_size=size is not None)} if details else {},
    )  # fmt: skip


def _details(letter: str, use: LevelUse, *, of_known_size: bool) -> dict[str, Any]:
    """The columns of --details that IDs have: verdicts only where K is known, since they rest on it."""
    columns = {
        "key": [letter] * len(use.counts),
        "code": np.arange(len(use.counts)),
        "count": use.counts,
        "share": use.counts / max(1, use.counts.sum()),
    }
    return columns | ({"verdict": use.per_code["verdict"]} if of_known_size else {})

"""What has no number in a report, why, and which command would give it one. Silence is never the answer to "how healthy is it?".

An entry names one metric or one family ("usage.*"), so that a program finds it; views put those of one reason on one line.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import printable
from vqdoctor.model import Quantizer, QuantizerReport, Sample, Unmeasured

AGAINST_FEATURES = ("distortion.*", "match.*")
TOGETHER = ("collision.*", "levels.*")
ILLUSION = ("ema.illusion_gap", "ema.illusion_gap_conservative")
OF_PAIRS = ("geometry.near_duplicate_rows", "geometry.distinct", "geometry.parallel_rows")
_NO_SUMS = "the file holds no running sums that the codes follow from"


def command(path: str, *more: str) -> str:
    """`vqdoctor inspect PATH …`, ready to be pasted into a shell."""
    return " ".join(["vqdoctor inspect", shlex.quote(printable(path, 1000)), *more])


def each(metrics: Iterable[str], why: str, how: str | None = None) -> Iterator[Unmeasured]:
    """An entry a metric, all for one reason."""
    return (Unmeasured(metric, why, how) for metric in metrics)


def of_checkpoint(
    path: str,
    quantizers: Sequence[Quantizer],
    reports: Sequence[QuantizerReport],
    samples: Mapping[str, Sample],
    request: InspectRequest,
) -> tuple[Unmeasured, ...]:
    """For each quantiser of a checkpoint, said once where it is the same for all."""
    found: dict[tuple[str, str], Unmeasured] = {}
    several = len(quantizers) > 1
    for quantizer, report in zip(quantizers, reports, strict=True):
        for one in _of_quantizer(path, quantizer, report, samples.get(quantizer.name), request, several):
            found.setdefault((one.metric, one.why), one)
    return tuple(found.values())


def of_ids(path: str, sizes_known: bool, report: QuantizerReport) -> tuple[Unmeasured, ...]:
    """For a semantic-ID file."""
    missing = [
        *each(("ema.*", "geometry.*", "distortion.*", "match.*"), "a file of IDs holds no codebook", "vqdoctor inspect CHECKPOINT"),
        Unmeasured(
            "collision.floor_excess",
            "the items' features are not in the file",
            "vqdoctor inspect CHECKPOINT --features FEATURES.npy",
        ),
    ]
    if not sizes_known:
        example = ",".join(["256"] * len(report.levels))
        missing[:0] = each(
            ("usage.*", "collision.capacity", "collision.expected_excess", "levels.hourglass"),
            "the size of the codebooks is not in the file, and the largest code seen is no substitute (--checkpoint tells too)",
            command(path, f"--sizes {example}"),
        )
    missing.append(Unmeasured("usage.soft_perplexity", "IDs have no distances"))
    if len(report.levels) == 1:
        missing.append(Unmeasured("levels.*", "one level; there is nothing it could add to"))
    told = {one.metric for one in missing}
    return (*missing, *(one for one in of_levels(report) if one.metric not in told))


def _of_quantizer(
    path: str, quantizer: Quantizer, report: QuantizerReport, sample: Sample | None, request: InspectRequest, several: bool
) -> Iterator[Unmeasured]:
    if quantizer.structure == "implicit":
        why = f"{printable(quantizer.name)} has no stored codebook ({quantizer.layout}): its codes follow from rounding"
        yield from each(
            ("ema.*", "geometry.*", "usage.*"), f"{why}; those it assigns can be inspected as IDs", "vqdoctor inspect CODES.npy"
        )
        return
    yield from _of_use(path, quantizer, sample, several)
    yield from _of_counters(report)
    yield from _of_book(report)
    if len(quantizer.levels) == 1:
        yield from each(TOGETHER, "one codebook; nothing to collide")
    elif sample is not None:
        yield from of_levels(report)
    if sample is not None and sample.kind == "features":
        yield from _of_options(path, report, sample, request)


def _of_use(path: str, quantizer: Quantizer, sample: Sample | None, several: bool) -> Iterator[Unmeasured]:
    name = f"{shlex.quote(printable(quantizer.name))}=" if several else ""
    features = command(path, f"--features {name}FEATURES.npy")
    if sample is None:
        by_codes = quantizer.searchable is not None
        together = TOGETHER if len(quantizer.levels) > 1 else ()
        claims = ILLUSION if quantizer.ema is not None else ()
        why, how = (quantizer.searchable or "", command(path, "--codes CODES.npy")) if by_codes else ("no features given", features)
        yield from each(("usage.*", *AGAINST_FEATURES, *together, *claims), why, how)
    elif sample.kind == "codes":
        missing = ("usage.soft_perplexity", *AGAINST_FEATURES)
        yield from each(missing, "codes were given, not features", features if quantizer.searchable is None else None)


def _of_counters(report: QuantizerReport) -> Iterator[Unmeasured]:
    """One entry a reason, with the levels that it holds for."""
    reasons: dict[str, list[int]] = {}
    for level in report.levels:
        if level.metrics.get("ema.total") is None:
            why = level.facts.get("ema.uninformative") or "this family's checkpoint keeps no running counts"
            reasons.setdefault(why, []).append(level.index)
        elif level.metrics.get("ema.inconsistent_rows") is None:
            reasons.setdefault("", []).append(level.index)
    for why, levels in reasons.items():
        where = _of_levels(levels, report)
        yield Unmeasured("ema.*", why + where) if why else Unmeasured("ema.inconsistent_rows", _NO_SUMS + where)


def of_levels(report: QuantizerReport) -> Iterator[Unmeasured]:
    """What the levels together would show if more were known."""
    why = {
        "collision.after_suffix": "there is no de-dup token",
        "collision.floor_excess": "the features behind the codes are not known",
        "levels.gain_db": "it takes features and a residual quantiser",
        "levels.hourglass": "it takes three levels",
    }
    return (Unmeasured(metric, reason) for metric, reason in why.items() if report.metrics.get(metric) is None)


def _of_book(report: QuantizerReport) -> Iterator[Unmeasured]:
    """What of geometry.* could not be told, with the levels that it holds for."""
    reasons: dict[tuple[str, str], list[int]] = {}
    for level in report.levels:
        facts = level.facts
        alone = facts.get("geometry.neighbours_skipped")
        for metric, why in (
            ("geometry.untouched_rows", facts.get("geometry.untouched_why")),
            *((name, alone) for name in OF_PAIRS),
        ):
            if level.metrics.get(metric) is None and why:
                reasons.setdefault((metric, why), []).append(level.index)
    for (metric, why), levels in reasons.items():
        yield Unmeasured(metric, why + _of_levels(levels, report))


def _of_levels(levels: Sequence[int], report: QuantizerReport) -> str:
    """`` (levels 1, 2)``; nothing where it is all of them."""
    return "" if len(levels) == len(report.levels) else f" (levels {', '.join(map(str, levels))})"


def _of_options(path: str, report: QuantizerReport, sample: Sample, request: InspectRequest) -> Iterator[Unmeasured]:
    given = f"--features {shlex.quote(printable(sample.path, 1000))}"
    if not request.fit:
        yield Unmeasured("distortion.kmeans_ratio", "fitting a reference takes time", command(path, given, "--fit"))
    skipped: dict[str, list[int]] = {}
    for level in report.levels:
        if (why := level.facts.get("fit.skipped")) is not None:
            skipped.setdefault(why, []).append(level.index)
    yield from (Unmeasured("distortion.kmeans_ratio", why + _of_levels(levels, report)) for why, levels in skipped.items())
    if request.temperature is None:
        yield Unmeasured("usage.soft_perplexity", "no temperature given", command(path, given, "--temperature 1.0"))
    if all(level.metrics.get("match.agreement") is None for level in report.levels):
        yield Unmeasured(
            "match.agreement", "the model's own codes for these rows are not known", command(path, given, "--codes CODES.npy")
        )

"""What has no number in a report, why, and which command would give it one. Silence is never the answer to "how healthy is it?"."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from vqdoctor.app.request import InspectRequest
from vqdoctor.errors import printable
from vqdoctor.model import Quantizer, QuantizerReport, Sample, Unmeasured


def command(path: str, *more: str) -> str:
    """`vqdoctor inspect PATH …`, ready to be pasted into a shell."""
    return " ".join(["vqdoctor inspect", shlex.quote(printable(path, 1000)), *more])


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


def of_ids(path: str, sizes_known: bool, levels: int) -> tuple[Unmeasured, ...]:
    """For a semantic-ID file."""
    missing = [
        Unmeasured("ema.*, geometry.*, distortion.*, match.*", "a file of IDs holds no codebook", "vqdoctor inspect CHECKPOINT"),
        Unmeasured(
            "collision.floor_excess",
            "the items' features are not in the file",
            "vqdoctor inspect CHECKPOINT --features FEATURES.npy",
        ),
    ]
    if not sizes_known:
        example = ",".join(["256"] * levels)
        missing.insert(
            0,
            Unmeasured(
                "usage.*, collision.capacity, collision.expected_excess, levels.hourglass",
                "the size of the codebooks is not in the file, and the largest code seen is no substitute",
                command(path, f"--sizes {example}   (or --checkpoint CKPT)"),
            ),
        )
    return tuple(missing)


def _of_quantizer(
    path: str, quantizer: Quantizer, report: QuantizerReport, sample: Sample | None, request: InspectRequest, several: bool
) -> Iterator[Unmeasured]:
    if quantizer.structure == "implicit":
        why = f"{printable(quantizer.name)} has no stored codebook ({quantizer.layout}): its codes follow from rounding"
        yield Unmeasured(
            "ema.*, geometry.*, usage.*", why, "inspect the codes it assigns as a file of IDs: vqdoctor inspect CODES.npy --sizes …"
        )
        return
    yield from _of_use(path, quantizer, sample, several)
    yield from _of_counters(report)
    if len(quantizer.levels) == 1:
        yield Unmeasured("collision.*, levels.*", "one codebook; nothing to collide")
    if sample is not None and sample.kind == "features":
        yield from _of_options(path, report, sample, request)


def _of_use(path: str, quantizer: Quantizer, sample: Sample | None, several: bool) -> Iterator[Unmeasured]:
    name = f"{shlex.quote(printable(quantizer.name))}=" if several else ""
    if sample is None and quantizer.searchable is not None:
        yield Unmeasured("usage.*, distortion.*, match.*", quantizer.searchable, command(path, "--codes CODES.npy"))
    elif sample is None:
        yield Unmeasured("usage.*, distortion.*, match.*", "no features given", command(path, f"--features {name}FEATURES.npy"))
    elif sample.kind == "codes" and quantizer.searchable is None:
        yield Unmeasured("distortion.*, match.*", "codes were given, not features", command(path, f"--features {name}FEATURES.npy"))


def _of_counters(report: QuantizerReport) -> Iterator[Unmeasured]:
    levels = [level for level in report.levels if level.metrics.get("ema.total") is None]
    if not levels:
        return
    why = levels[0].facts.get("ema.uninformative") or "this family's checkpoint keeps no running counts"
    where = "" if len(levels) == len(report.levels) else f" (levels {', '.join(str(level.index) for level in levels)})"
    yield Unmeasured(f"ema.*{where}", why)


def _of_options(path: str, report: QuantizerReport, sample: Sample, request: InspectRequest) -> Iterator[Unmeasured]:
    given = f"--features {shlex.quote(printable(sample.path, 1000))}"
    if not request.fit:
        yield Unmeasured("distortion.kmeans_ratio", "fitting a reference takes time", command(path, given, "--fit"))
    if request.temperature is None:
        yield Unmeasured("usage.soft_perplexity", "no temperature given", command(path, given, "--temperature 1.0"))
    if all(level.metrics.get("match.agreement") is None for level in report.levels):
        yield Unmeasured(
            "match.agreement", "the model's own codes for these rows are not known", command(path, given, "--codes CODES.npy")
        )
